"""Find out, on the loaded model, what can be done to its states without changing its answers.

Owns the experiments and what follows from them. Knows no architecture. Every experiment compares logits with those of
a full reading from the beginning; the error is that of the worst token, the root mean square of the difference in
units of the standard deviation of the logits, so large and small weights are judged alike. As a control the state is
dropped: when that changes the logits little, nothing can be told, and only the slow paths are trusted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from agentflow.errors import WeightsError
from agentflow.recurrent.language_models.protocol import Abilities, State
from agentflow.recurrent.language_models.reader import Reader
from agentflow.recurrent.language_models.reading_model import ReadingModel
from agentflow.recurrent.states import walk

TOLERANCE = {torch.float32: 2e-3, torch.float16: 5e-3, torch.bfloat16: 2e-2}
"""Above the difference between two orders of summation; a state that was lost in part shows with 0.04 and more."""
_REFUSED = {torch.float32: 2e-3, torch.float16: 1e-1, torch.bfloat16: 3e-1}
"""A step from a state rounds at other places than a full reading does, in half precision sometimes much."""
_CONTROL = 5  # a dropped state must change the logits by this many tolerances
_KEPT, _MORE = 12, 6
_SEED = 20


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a probe has found; `errors` are in standard deviations of the logits, infinite where nothing came back.

    `growing`: the tensors of a state that grow with the sequence, and along which dimension.
    """

    abilities: Abilities
    vocabulary_size: int
    growing: Mapping[str, int]
    errors: Mapping[str, float] = field(default_factory=dict)


@torch.no_grad()
def probe(reader: Reader, *, context_tokens: int | None = None) -> Findings:
    """Try forking, continuing in chunks, stacking and padding.

    Raises:
        WeightsError: Even token by token from a state the model is wrong, or it cannot read a text at all.
    """
    try:
        return _Probe(reader, context_tokens).findings()
    except (WeightsError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        problem = f"it cannot read a short text from its beginning ({_in_a_line(error)})"
        raise WeightsError(model=reader.name, problem=problem) from error


class _Probe:
    """A few random texts and what the model says to them when it reads each from its beginning."""

    def __init__(self, reader: Reader, context_tokens: int | None) -> None:
        self._reader, self._context_tokens = reader, context_tokens
        random = torch.Generator().manual_seed(_SEED)
        shape = (4, _KEPT + _MORE)
        self._texts = torch.randint(0, reader.vocabulary_size, shape, generator=random)
        self._tolerance = TOLERANCE.get(reader.dtype, 2e-2)
        self._errors: dict[str, float] = {}
        self._problems: dict[str, str] = {}

    def findings(self) -> Findings:
        full = self._full(0, _KEPT + _MORE)
        model = self._model(full.shape[-1], self._growing())
        self._measure("forking", lambda: self._forking(model))
        if self._errors["forking"] > _REFUSED.get(self._reader.dtype, 3e-1):
            raise WeightsError(model=self._reader.name, problem=self._refusal())
        # What a step of the model's own differs by is its rounding; the fast paths may round as much.
        self._tolerance = max(self._tolerance, 2 * self._errors["forking"])
        self._errors["control"] = _error(self._read(self._texts[:1, _KEPT:])[0], full[_KEPT:])
        if self._errors["control"] < _CONTROL * self._tolerance:
            note = "the probe could not tell what is right, the logits hardly depend on the state"
            return self._found(model, continues=False, stacks=False, notes=(f"{note}: slow paths",))
        self._measure("continuing", lambda: self._continuing(full))
        self._measure("stacking", lambda: self._stacking(model))
        if self._reader.takes_mask:
            self._measure("padding", self._padding)
        continues, stacks = self._is_right("continuing"), self._is_right("stacking")
        return self._found(model, continues=continues, stacks=stacks, notes=self._notes())

    def _found(
        self, model: ReadingModel, *, continues: bool, stacks: bool, notes: tuple[str, ...]
    ) -> Findings:
        abilities = replace(model.abilities, continues=continues, stacks=stacks, notes=notes)
        return Findings(
            abilities=abilities,
            vocabulary_size=model.vocabulary_size,
            growing=model.growing,
            errors=self._errors,
        )

    # What is tried ---------------------------------------------------------------------------

    def _growing(self) -> dict[str, int]:
        """Return which tensors are longer after more tokens, and in which dimension."""
        short = dict(walk.tensors(self._read(self._texts[:1, :3])[1]))
        long = dict(walk.tensors(self._read(self._texts[:1, :8])[1]))
        found = {}
        for path, tensor in long.items():
            before = short[path].shape if path in short else tensor.shape
            grown = [at for at, size in enumerate(tensor.shape) if size != before[at]]
            if grown:
                found[path] = grown[0]
        return found

    def _forking(self, model: ReadingModel) -> float:
        """Go on from one state in two ways, token by token; the state itself must stay what it was."""
        state = model.extend(self._tokens(0, 0, _KEPT), None)[1]
        errors = []
        for row in (0, 1, 0):
            branch, got = walk.clone(state), []
            more = self._tokens(row, _KEPT, _KEPT + _MORE)
            for token in more:
                logits, branch = model.extend([token], branch)
                got.append(logits)
            text = torch.tensor([self._tokens(0, 0, _KEPT) + more])
            errors.append(_error(torch.stack(got), self._read(text)[0][_KEPT:]))
        return max(errors)

    def _continuing(self, full: Tensor) -> float:
        """Read in pieces of several lengths, shorter and longer than a convolution."""
        cache, start, got = None, 0, []
        for size in (2, 9, 1, _KEPT + _MORE - 12):
            logits, cache = self._read(self._texts[:1, start : start + size], cache, start)
            got.append(logits)
            start += size
        return _error(torch.cat(got), full)

    def _stacking(self, model: ReadingModel) -> float:
        """Decode rows of different lengths together; rows join and leave; one row goes on alone."""
        _refuse_windows(self._read(self._texts[:1, :2])[1])
        batch, at = model.batch(), [_KEPT, 3, 7]
        errors, rows = [], [0, 1]
        for row in rows:
            batch.add(self._state(model, row, at[row]))
        for step in range(3):
            logits = batch.step([int(self._texts[row, at[row]]) for row in rows])
            for row, got in zip(rows, logits, strict=True):
                at[row] += 1
                errors.append(_error(got[None], self._full(row, at[row])[-1:]))
            if step == 0:
                rows.append(2)
                batch.add(self._state(model, 2, at[2]))
            elif step == 1:
                rows.remove(0)
                batch.remove([0])
        logits, _ = model.extend([int(self._texts[1, at[1]])], batch.state(0))
        errors.append(_error(logits[None], self._full(1, at[1] + 1)[-1:]))
        return max(errors)

    def _padding(self) -> float:
        """Read two texts of different length together, the shorter padded in front."""
        length, short = 8, 3
        tokens, mask = self._texts[:2, :length].clone(), torch.ones(2, length, dtype=torch.long)
        tokens[1] = torch.cat([tokens[1, :short].new_zeros(length - short), tokens[1, :short]])
        mask[1, : length - short] = 0
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        device = self._reader.device
        logits, _ = self._reader.read(
            tokens.to(device), None, positions=positions.to(device), mask=mask.to(device)
        )
        pairs = ((logits[0, -1:], self._full(0, length)), (logits[1, -1:], self._full(1, short)))
        return max(_error(got, want[-1:]) for got, want in pairs)

    # Means -----------------------------------------------------------------------------------

    def _measure(self, what: str, experiment: Callable[[], float]) -> None:
        try:
            self._errors[what] = experiment()
        except (WeightsError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a model raises is what was found
            self._errors[what] = float("inf")
            self._problems[what] = _in_a_line(error)

    def _is_right(self, what: str) -> bool:
        return self._errors[what] <= self._tolerance

    def _refusal(self) -> str:
        problem = (
            self._problems.get("forking") or f"off by {self._errors['forking']:.2g} deviations"
        )
        return (
            "going on from a copied state, even token by token, does not give what reading the whole text "
            f"gives ({problem}); this architecture cannot be served from states here"
        )

    def _notes(self) -> tuple[str, ...]:
        slow = {
            "continuing": "several tokens from a state are read wrongly, so they are read one by one",
            "stacking": "several sequences together are read wrongly, so each is decoded alone",
            "padding": "padding changes what is read; prompts are never padded, so nothing is lost",
        }
        return tuple(
            f"{note} ({self._problems.get(what) or f'off by {self._errors[what]:.2g} deviations'})"
            for what, note in slow.items()
            if what in self._errors and not self._is_right(what)
        )

    def _model(self, vocabulary_size: int, growing: Mapping[str, int]) -> ReadingModel:
        abilities = Abilities(continues=False, stacks=True, attends=bool(growing))
        return ReadingModel(
            self._reader,
            abilities,
            vocabulary_size=vocabulary_size,
            growing=growing,
            context_tokens=self._context_tokens,
        )

    def _tokens(self, row: int, start: int, end: int) -> list[int]:
        return [int(token) for token in self._texts[row, start:end]]

    def _state(self, model: ReadingModel, row: int, length: int) -> State:
        return model.extend(self._tokens(row, 0, length), None)[1]

    def _full(self, row: int, length: int) -> Tensor:
        return self._read(self._texts[row : row + 1, :length])[0]

    def _read(self, tokens: Tensor, cache: Any = None, start: int = 0) -> tuple[Tensor, Any]:
        device = self._reader.device
        positions = torch.arange(start, start + tokens.shape[1], device=device)[None]
        logits, after = self._reader.read(tokens.to(device), cache, positions=positions)
        return logits[0].float(), after


def _in_a_line(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def _error(got: Tensor, want: Tensor) -> float:
    by_token = (got.float() - want.float()).square().mean(-1).sqrt()
    error = by_token.max() / want.float().std()
    return float(error.nan_to_num(nan=float("inf")))


def _refuse_windows(cache: Any) -> None:
    """Refuse to stack what attends to a window only: short texts would not show that it is counted for all rows at once."""
    for path, _ in walk.leaves(cache):
        if path.endswith((".sliding_window", "._sliding_window_tensor")):
            raise ValueError("its attention is to a sliding window")
