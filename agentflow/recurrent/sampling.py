"""Choose tokens.

Owns how a token is drawn from logits and what is told about its probability. Knows no model and no text.
A draw depends on the row's logits and on the request's own generator alone, never on what else is in the batch.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agentflow.recurrent.requests import Sampling, TokenLogprob


class LogitsError(ValueError):
    """Logits that no token can be chosen from; `rows` are their places in the batch."""

    def __init__(self, *, rows: tuple[int, ...], problem: str) -> None:
        self.rows = rows
        super().__init__(f"no token can be chosen: {problem}")


@dataclass(frozen=True, kw_only=True)
class Pick:
    """A chosen token.

    Attributes:
        logprob: Natural logarithm of its probability; None where it was not asked for.
        top: The likeliest tokens, best first.
    """

    token: int
    logprob: float | None = None
    top: tuple[TokenLogprob, ...] = ()


class Sampler:
    """Chooses the tokens of one request; its random numbers come from the request's seed alone.

    Without a seed the generator is seeded by the system.
    """

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = _checked(sampling)
        self._generator = torch.Generator()  # on the CPU: the same numbers on every device
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed % 2**64)

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is always taken."""
        return self._sampling.temperature == 0

    def pick(
        self, logits: Tensor, alternatives: int | None = None, *, constrained: Tensor | None = None
    ) -> Pick:
        """Choose a token.

        Args:
            logits: (vocabulary,). Probabilities are told of these, before temperature and the like.
            alternatives: How many likely tokens are told beside the chosen one; None tells none and no probability.
            constrained: (vocabulary,). The logits to choose from, where a grammar has set some to -inf.

        Raises:
            LogitsError: They are NaN or infinite, or every token is forbidden.
        """
        rows = {} if constrained is None else {0: constrained}
        return pick_all(logits[None], [self], [alternatives], constrained=rows)[0]

    def draw(self, logits: Tensor) -> int:
        """Draw a token at random from logits (vocabulary,) that are not NaN; not for a greedy request."""
        chances, tokens = _chances(logits, self._sampling)
        total = chances.cumsum(0)
        point = float(torch.rand((), generator=self._generator, dtype=torch.float64))
        place = torch.searchsorted(total, point * total[-1], right=True)
        # Rounding may lead past the last token that can be drawn at all.
        last = chances.nonzero()[-1, 0]
        return int(tokens[torch.minimum(place, last)])


def pick_all(
    logits: Tensor,
    samplers: Sequence[Sampler],
    alternatives: Sequence[int | None],
    *,
    constrained: Mapping[int, Tensor] | None = None,
) -> list[Pick]:
    """Choose a token in each row; greedy rows together.

    Args:
        logits: (rows, vocabulary).
        samplers: One a row.
        alternatives: One a row; see `Sampler.pick`.
        constrained: Rows to choose from other logits than probabilities are told of.

    Raises:
        LogitsError: Rows of NaN or infinity, or without an allowed token; nothing was drawn for any row.
    """
    choices = logits
    if constrained:
        choices = logits.clone()
        for row, allowed in constrained.items():
            choices[row] = allowed
    best, likeliest = choices.max(dim=-1)
    tokens: list[int] = likeliest.tolist()
    _check(best)
    for row, sampler in enumerate(samplers):
        if not sampler.is_greedy:
            tokens[row] = sampler.draw(choices[row])
    return [
        _told(row, token, asked)
        for row, token, asked in zip(logits, tokens, alternatives, strict=True)
    ]


def _check(best: Tensor) -> None:
    """Raise for rows whose greatest logit is no number; a NaN anywhere in a row is its greatest."""
    values: list[float] = best.tolist()
    rows = tuple(row for row, value in enumerate(values) if not math.isfinite(value))
    if not rows:
        return
    none_left = all(values[row] == -math.inf for row in rows)
    problem = (
        "every token is forbidden"
        if none_left
        else "the model's logits are NaN or infinite (try --dtype fp32; the weights may be broken)"
    )
    raise LogitsError(rows=rows, problem=problem)


def _chances(logits: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Return chances (not summing to 1), float64, and the tokens that they belong to."""
    tokens = torch.arange(logits.shape[-1], device=logits.device)
    logits = logits.double()
    if 0 < sampling.top_k < logits.shape[-1] or sampling.top_p < 1:
        logits, tokens = torch.sort(logits, descending=True, stable=True)
        if sampling.top_k:
            logits, tokens = logits[: sampling.top_k], tokens[: sampling.top_k]
    # The greatest becomes 0 first, so that no temperature however low makes an infinity.
    chances = torch.softmax((logits - logits.max()) / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        before = chances.cumsum(0) - chances
        is_in = before < sampling.top_p
        is_in[0] = True
        chances = chances * is_in
    return chances, tokens


def _told(logits: Tensor, token: int, alternatives: int | None) -> Pick:
    """Return the token with what was asked for about its probability."""
    if alternatives is None:
        return Pick(token=token)
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    values, tokens = logprobs.topk(min(alternatives, logprobs.shape[-1]))
    top = tuple(
        TokenLogprob(other, value)
        for other, value in zip(tokens.tolist(), values.tolist(), strict=True)
        if value > -math.inf
    )
    return Pick(token=token, logprob=float(logprobs[token]), top=top)


def _checked(sampling: Sampling) -> Sampling:
    """Return it; raise ValueError when it says nothing sensible."""
    if not (math.isfinite(sampling.temperature) and sampling.temperature >= 0):
        raise ValueError(f"temperature must be 0 or more, not {sampling.temperature}")
    if not 0 < sampling.top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, not {sampling.top_p}")
    if sampling.top_k < 0:
        raise ValueError(f"top_k must be 0 (all tokens) or more, not {sampling.top_k}")
    return sampling
