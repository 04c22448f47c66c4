"""A model of the catalogue that decodes many requests at once, in this process.

Requests join and leave at any step; a prompt that begins like an earlier one reads only what is new.
Each request draws from its own seeded generator, with llama.cpp's default filters (top-k 40, top-p 0.95,
min-p 0.05), so that a sample does not depend on its neighbours.
"""

import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread
import torch

from agentflow.errors import ModelRequestError
from agentflow.models import catalogue, weights
from agentflow.models.protocol import Message, ModelSpec, OnText, Price, Reply, Request, Usage
from benchmarks.batched.transformer import MAX_TOKENS, SLOTS, Qwen2

TOP_K, TOP_P, MIN_P = 40, 0.95, 0.05
DEFAULT_TOKENS = 1024


@dataclass
class _Sequence:
    request: Request
    prompt: list[int]
    answer: "Future[Reply]"
    generator: torch.Generator
    slot: int = -1
    cached: int = 0
    written: list[int] = field(default_factory=list)

    @property
    def tokens(self) -> list[int]:
        return self.prompt + self.written


class BatchedModel:
    """One model; all its requests share the decoding steps of one thread."""

    concurrency: int | None = SLOTS
    price = Price(input=0, output=0)

    def __init__(self, name: str) -> None:
        self.spec = ModelSpec(provider="gguf", name=name)
        path = weights.path_of(catalogue.find(name))
        self._tokenizer = _tokenizer(path)
        self._end = {self._tokenizer.token_to_id(word) for word in ("<|im_end|>", "<|endoftext|>")}
        self._model = Qwen2(path)
        self._waiting: queue.Queue[_Sequence] = queue.Queue()
        self._held: dict[int, list[int]] = {}
        threading.Thread(target=self._serve, daemon=True).start()

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        if request.grammar or request.output_schema or request.tools:
            problem = "this engine writes free text only: no grammar, schema or tools"
            raise ModelRequestError(model=str(self.spec), problem=problem)
        prompt = self._tokenizer.encode(_chat(request.messages), add_special_tokens=False).ids
        generator = torch.Generator().manual_seed(request.seed or 0)
        sequence = _Sequence(request, prompt, Future(), generator)
        self._waiting.put(sequence)
        reply = await anyio.to_thread.run_sync(
            sequence.answer.result, limiter=anyio.CapacityLimiter(1)
        )
        on_text(reply.text)
        return reply

    async def aclose(self) -> None:
        """Nothing to free: the process ends soon."""

    def _serve(self) -> None:
        active: list[_Sequence] = []
        while True:
            while len(active) < SLOTS and not (active and self._waiting.empty()):
                sequence = self._waiting.get()
                self._begin(sequence, {other.slot for other in active})
                if not self._finished(sequence):
                    active.append(sequence)
            lengths = [len(sequence.tokens) - 1 for sequence in active]
            last = [sequence.tokens[-1] for sequence in active]
            logits = self._model.step([sequence.slot for sequence in active], last, lengths)
            for sequence, row in zip(active, logits, strict=True):
                sequence.written.append(_drawn(row, sequence))
                self._held[sequence.slot] = sequence.tokens[:-1]
            active = [sequence for sequence in active if not self._finished(sequence)]

    def _begin(self, sequence: _Sequence, taken: set[int]) -> None:
        """Give it a slot, copy the longest beginning that some slot holds, and read the rest."""
        shared = {slot: _shared(held, sequence.prompt) for slot, held in self._held.items()}
        best = max(shared, key=lambda slot: shared[slot], default=None)
        free = [slot for slot in range(SLOTS) if slot not in taken]
        sequence.slot = min(free, key=lambda slot: (shared.get(slot, 0), slot))
        start = 0 if best is None else min(shared[best], len(sequence.prompt) - 1)
        if best is not None and start and best != sequence.slot:
            self._model.copy(best, sequence.slot, start)
        sequence.cached = start
        logits = self._model.prefill(sequence.slot, sequence.prompt[start:], start)
        self._held[sequence.slot] = list(sequence.prompt)
        sequence.written.append(_drawn(logits[0], sequence))

    def _finished(self, sequence: _Sequence) -> bool:
        limit = min(
            sequence.request.max_tokens or DEFAULT_TOKENS, MAX_TOKENS - 1 - len(sequence.prompt)
        )
        is_ended = sequence.written[-1] in self._end
        text = self._tokenizer.decode(sequence.written, skip_special_tokens=True)
        cuts = [at for stop in sequence.request.stop if (at := text.find(stop)) >= 0]
        if not is_ended and not cuts and len(sequence.written) < limit:
            return False
        first = sequence.request.messages[-1]
        opening = first.text if first.role == "assistant" else ""
        usage = Usage(
            input_tokens=len(sequence.prompt),
            output_tokens=len(sequence.written),
            cached_tokens=sequence.cached,
        )
        sequence.answer.set_result(
            Reply(
                text=opening + text[: min(cuts, default=len(text))],
                finish="stop" if is_ended or cuts else "length",
                usage=usage,
                cost_usd=0.0,
                model=self.spec.name,
            )
        )
        return True


def _drawn(logits: torch.Tensor, sequence: _Sequence) -> int:
    temperature = sequence.request.temperature or 0.0
    if temperature == 0.0:
        return int(logits.argmax())
    values, tokens = logits.topk(TOP_K)
    shares = torch.softmax(values, -1)
    keep = (shares.cumsum(-1) - shares < TOP_P) & (shares >= MIN_P * shares[0])
    heated = torch.softmax((values / temperature).masked_fill(~keep, float("-inf")), -1)
    return int(tokens[torch.multinomial(heated, 1, generator=sequence.generator)])


def _shared(held: list[int], prompt: list[int]) -> int:
    pairs = zip(held, prompt, strict=False)
    return next(
        (index for index, (own, other) in enumerate(pairs) if own != other),
        min(len(held), len(prompt)),
    )


def _chat(messages: tuple[Message, ...]) -> str:
    turns = [f"<|im_start|>{message.role}\n{message.text}" for message in messages]
    end = "<|im_end|>\n"
    if messages[-1].role == "assistant":
        return end.join(turns)
    return end.join([*turns, "<|im_start|>assistant\n"])


def _tokenizer(path: Path):
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    return loaded.backend_tokenizer
