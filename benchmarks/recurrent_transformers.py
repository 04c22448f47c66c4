"""The peer that keeps nothing between requests: transformers' `generate`, each prompt read again.

A wave's prompts are equally long, so it is given batches without padding: more than an agent that
calls it prompt by prompt would get. Of each wave it can measure a few batches and scale them up.
"""

import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, StoppingCriteriaList
from transformers import __version__ as version

from benchmarks.recurrent_workloads import FIRST_TOKEN, Ask, Tokens, Wave


class FirstToken:
    """Note when `generate` has read the prompts: it asks whether to stop after each token."""

    def __init__(self) -> None:
        self.at_s: float | None = None

    def __call__(self, ids: torch.Tensor, _scores: Any, **_options: Any) -> torch.Tensor:
        if self.at_s is None:
            self.at_s = time.process_time()
        return torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)


class Transformers:
    """`rows` prompts at once; `sample` batches of a wave are measured, 0 is all of them."""

    def __init__(self, folder: Path, *, rows: int, sample: int) -> None:
        self._rows, self._sample = rows, sample
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self._model = model.eval()

    def wave(self, asks: list[Ask], generated: int) -> Wave:
        batches = [asks[at : at + self._rows] for at in range(0, len(asks), self._rows)]
        chosen = batches[: self._sample] if self._sample else batches
        replies: list[Tokens] = []
        prefill_s = decode_s = 0.0
        wall_s = -time.perf_counter()
        for batch in chosen:
            first, started_s = FirstToken(), time.process_time()
            replies += self._generate(batch, generated, first)
            assert first.at_s is not None
            prefill_s += first.at_s - started_s
            decode_s += time.process_time() - first.at_s
        wall_s += time.perf_counter()
        measured = len(replies) / len(asks)
        replies += [(FIRST_TOKEN,) * generated] * (len(asks) - len(replies))
        return Wave(
            replies=replies,
            prefilled_tokens=sum(len(ask.tokens) for ask in asks),
            prefill_s=prefill_s / measured,
            decode_s=decode_s / measured,
            total_s=(prefill_s + decode_s) / measured,
            wall_s=wall_s / measured,
            measured=measured,
        )

    def _generate(self, batch: list[Ask], generated: int, first: FirstToken) -> list[Tokens]:
        prompts = torch.tensor([ask.tokens for ask in batch])
        with torch.inference_mode():
            told = self._model.generate(
                prompts,
                attention_mask=torch.ones_like(prompts),
                max_new_tokens=generated,
                do_sample=False,
                pad_token_id=0,
                stopping_criteria=StoppingCriteriaList([first]),
            )
        return [tuple(row) for row in told[:, prompts.shape[1] :].tolist()]

    def facts(self) -> dict[str, Any]:
        return {"version": version, "rows": self._rows}

    def close(self) -> None:
        """Nothing is held."""
