"""One generation on its way through the engine.

Owns what is known of it: how far its prompt is read, what was generated, when it is over. Knows neither the tree
nor the other jobs.
"""

import time
from collections.abc import Sequence

from torch import Tensor

from agentflow.recurrent.generation import Generation
from agentflow.recurrent.language_models.protocol import State
from agentflow.recurrent.requests import Finish, Outcome, Piece
from agentflow.recurrent.sampling import Pick, Sampler
from agentflow.recurrent.text.streaming import TextStream
from agentflow.recurrent.text.tokenizer import Tokenizer


class Job:
    """A generation, from waiting to its end."""

    def __init__(
        self, generation: Generation, tokenizer: Tokenizer, context_tokens: int | None
    ) -> None:
        self.generation, self.request = generation, generation.request
        self.tokens = self.request.prompt.tokens
        self.sampler = Sampler(self.request.sampling)
        self.outputs: list[int] = []
        self.finish: Finish | None = None
        self.has_begun = False
        self.at = 0
        self.state: State | None = None
        self._logits: Tensor | None = None
        self._cuts: list[int] = []
        self._tokenizer = tokenizer
        self._stream = TextStream(tokenizer, self.request.stop)
        self._matcher = self.request.grammar.matcher() if self.request.grammar else None
        self._texts: list[str] = []
        self._room = (context_tokens or len(self.tokens) + self.request.max_tokens) - len(
            self.tokens
        )
        self._cached = 0
        self._submitted = self._started = self._first = time.perf_counter()
        self._prefill_s = 0.0

    @property
    def alternatives(self) -> int | None:
        """How many probabilities are told with each token; None: none."""
        return self.request.logprobs

    # The prompt ---------------------------------------------------------------------------

    def began(self) -> None:
        """Note that its turn has come."""
        self.has_begun = True
        self._started = time.perf_counter()

    def resume(self, state: State, logits: Tensor) -> None:
        """Go on from a state of the first `state.length` tokens."""
        self.at = self._cached = state.length
        self.state, self._logits = state, logits

    def plan_cuts(self, more: Sequence[int]) -> None:
        """Fix at which positions ahead a state is to be kept: those asked for, `more`, and the end."""
        wanted = {*self.request.prompt.cuts, *more, len(self.tokens)}
        self._cuts = sorted((at for at in wanted if self.at < at <= len(self.tokens)), reverse=True)

    @property
    def next_cut(self) -> int:
        """Position of the next state to keep."""
        return self._cuts[-1]

    def pass_cut(self) -> None:
        """Note that it is kept."""
        self._cuts.pop()

    def read(self, count: int, logits: Tensor, state: State, took_s: float) -> None:
        """Note that more of the prompt has been read."""
        self.at += count
        self.state, self._logits = state, logits
        self._prefill_s += took_s

    def taken(self) -> tuple[Tensor, State]:
        """Hand over what the whole prompt led to; the job keeps nothing of it."""
        assert self._logits is not None
        assert self.state is not None
        found = self._logits, self.state
        self._logits = self.state = None
        self._first = time.perf_counter()
        return found

    # The reply ----------------------------------------------------------------------------

    def masked(self, logits: Tensor) -> Tensor:
        """Return the logits with what its grammar does not allow taken out."""
        return logits if self._matcher is None else self._matcher.mask(logits)

    def take(self, pick: Pick) -> None:
        """Append a token, tell it, and note when it was the last."""
        token = pick.token
        self.outputs.append(token)
        if self._matcher is not None:
            self._matcher.accept(token)
        is_end = token in self.request.stop_tokens
        text = "" if is_end else self._stream.push(token)
        self.finish = self._finish_at(is_end)
        if self.finish and not self._stream.is_stopped:
            text += self._stream.finish()
        self._texts.append(text)
        self.generation.tell(Piece(token=token, text=text, logprob=pick.logprob, top=pick.top))

    def _finish_at(self, is_end: bool) -> Finish | None:
        is_told = (
            self._matcher is not None and self._matcher.is_over and not self.request.stop_tokens
        )
        if is_end or is_told or self._stream.is_stopped:
            return "stop"
        return "length" if len(self.outputs) >= min(self.request.max_tokens, self._room) else None

    @property
    def leaves_state(self) -> bool:
        """Whether its last token is to be read so that others can go on from the end of the reply.

        Not after a stop text, which is no part of the reply; nor after a single token, as a warm-up asks for.
        """
        is_warm_up = self.request.max_tokens == 1 and self.finish == "length"
        return not self._stream.is_stopped and not is_warm_up

    def sequence(self) -> tuple[int, ...]:
        """Return prompt and reply."""
        return (*self.tokens, *self.outputs)

    def kept_tokens(self) -> tuple[int, ...]:
        """Return prompt and reply without what belongs to a stop text."""
        if not self._stream.is_stopped:
            return self.sequence()
        text = "".join(self._texts)
        count = len(self.outputs)
        while count and not text.startswith(self._tokenizer.decode(self.outputs[:count])):
            count -= 1
        told = self.outputs[:count]
        rest = self._tokenizer.encode(text[len(self._tokenizer.decode(told)) :])
        return (*self.tokens, *told, *rest)

    def end(self, finish: Finish, handle: str | None) -> None:
        """Hand the outcome over."""
        now = time.perf_counter()
        outcome = Outcome(
            tokens=tuple(self.outputs),
            text="".join(self._texts),
            finish=finish,
            prompt_tokens=len(self.tokens),
            cached_tokens=self._cached,
            handle=handle,
            queued_s=self._started - self._submitted,
            prefill_s=self._prefill_s,
            decode_s=now - self._first if self.outputs else 0.0,
        )
        self.generation.finish(outcome)
