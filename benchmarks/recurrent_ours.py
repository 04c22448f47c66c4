"""Our engine as a peer: every prompt names where the others branch off.

Owns the clock around the model. Prefill is what `extend` takes, decoding what `step` does; what is
left of the engine's time is forking, packing, choosing tokens and the scheduler.
"""

import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from agentflow.recurrent.engine import Engine
from agentflow.recurrent.language_models.loading import load
from agentflow.recurrent.language_models.protocol import Batch, LanguageModel, State
from agentflow.recurrent.options import EngineOptions
from agentflow.recurrent.requests import GenerationRequest, Prompt
from agentflow.recurrent.text.tokenizer import Tokenizer
from benchmarks.recurrent_workloads import Ask, Wave


class TimedBatch:
    """A batch that notes what its steps take."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self.step_s = self.join_s = 0.0

    def __len__(self) -> int:
        return len(self._batch)

    def add(self, state: State) -> None:
        started_s = time.thread_time()
        self._batch.add(state)
        self.join_s += time.thread_time() - started_s

    def step(self, tokens: Sequence[int]) -> Tensor:
        started_s = time.thread_time()
        logits = self._batch.step(tokens)
        self.step_s += time.thread_time() - started_s
        return logits

    def state(self, row: int) -> State:
        started_s = time.thread_time()
        state = self._batch.state(row)
        self.join_s += time.thread_time() - started_s
        return state

    def remove(self, rows: Collection[int]) -> None:
        started_s = time.thread_time()
        self._batch.remove(rows)
        self.join_s += time.thread_time() - started_s


class TimedModel:
    """A model that notes what reading and decoding take, in CPU seconds of the engine's thread."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self.name = model.name
        self.vocabulary_size = model.vocabulary_size
        self.context_tokens = model.context_tokens
        self.most_rows = model.most_rows
        self.device = model.device
        self.abilities = model.abilities
        self.extend_s, self.extended_tokens = 0.0, 0
        self._batches: list[TimedBatch] = []

    def extend(self, tokens: Sequence[int], state: State | None) -> tuple[Tensor, State]:
        started_s = time.thread_time()
        read = self._model.extend(tokens, state)
        self.extend_s += time.thread_time() - started_s
        self.extended_tokens += len(tokens)
        return read

    def batch(self) -> TimedBatch:
        self._batches.append(TimedBatch(self._model.batch()))
        return self._batches[-1]

    @property
    def step_s(self) -> float:
        return sum(batch.step_s for batch in self._batches)

    @property
    def join_s(self) -> float:
        return sum(batch.join_s for batch in self._batches)


class Ours:
    """The engine in this process, with its defaults but for the batch."""

    def __init__(self, folder: Path, *, rows: int) -> None:
        self._model = TimedModel(load(folder, dtype="fp32", device="cpu"))
        options = EngineOptions(most_rows=rows or None, most_waiting=1_000)
        self._engine = Engine(self._model, Tokenizer.load(folder), options)
        self._engine.start()

    def wave(self, asks: list[Ask], generated: int) -> Wave:
        model, engine = self._model, self._engine
        before = (model.extend_s, model.step_s, engine.totals.prefilled_tokens)
        started_s, wall_s = time.process_time(), time.perf_counter()
        asked = [engine.submit(_request(ask, generated)) for ask in asks]
        replies = [generation.wait().tokens for generation in asked]
        return Wave(
            replies=replies,
            prefilled_tokens=engine.totals.prefilled_tokens - before[2],
            prefill_s=model.extend_s - before[0],
            decode_s=model.step_s - before[1],
            total_s=time.process_time() - started_s,
            wall_s=time.perf_counter() - wall_s,
        )

    def facts(self) -> dict[str, Any]:
        totals = self._engine.totals
        return {
            "rows": self._engine.options.most_rows or self._model.most_rows,
            "notes": list(self._model.abilities.notes),
            "extended_tokens": self._model.extended_tokens,
            "join_s": self._model.join_s,
            "snapshots": totals.snapshots,
            "snapshot_mb": totals.snapshot_bytes / 2**20,
            "evicted": totals.evicted,
            "decode_steps": totals.decode_steps,
        }

    def close(self) -> None:
        self._engine.close()


def _request(ask: Ask, generated: int) -> GenerationRequest:
    prompt = Prompt(tokens=ask.tokens, cuts=(ask.shared,))
    return GenerationRequest(prompt=prompt, max_tokens=generated)
