"""Where the conversations of a recipe come from: a source of traces, a file of pairs, a journal.

Owns the three ways and the words of what is wrong with a line. A source of traces is installed under a name (entry
points `agentflow.traces`) or a function in a file, FILE.py:FUNCTION, which runs as the user's own code. A pair is learnt
for its last reply alone: earlier ones of the same conversation may be what it had to repair.
"""

import inspect
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError, validate_call

from agentflow import plugins
from agentflow.errors import TrainingDataError
from agentflow.journal.journal import Journal
from agentflow.models.protocol import Message
from agentflow.training.collect import collect
from agentflow.training.student.conversations import Conversation
from agentflow.training.student.recipe import DataPart, JournalRuns, Traces
from agentflow.userfile import module_at

TracesSource = Callable[..., Iterable[Conversation]]
"""Called with the seed and a recipe's options, all by name; equal arguments give equal conversations."""


def conversations_of(data: DataPart, *, base: Path, seed: int) -> Iterator[Conversation]:
    """Yield the conversations of a recipe; `base` is the folder that its paths are relative to.

    Raises:
        TrainingDataError: There are none, or one cannot be read.
        PluginError: No source of traces has that name.
        JournalError: The journal cannot be read.
    """
    if data.traces is not None:
        return _of_traces(data.traces, base, seed)
    if data.pairs is not None:
        return _of_pairs(base / Path(data.pairs).expanduser())
    assert data.journal is not None, "checked by the recipe"
    return _of_journal(data.journal, base)


def _of_traces(traces: Traces, base: Path, seed: int) -> Iterator[Conversation]:
    file, colon, name = traces.use.rpartition(":")
    source: TracesSource = (
        _in_file(base / Path(file).expanduser(), name)
        if colon
        else plugins.load("trace", traces.use)
    )
    try:
        found = validate_call(source)(seed=seed, **traces.options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        takes = ", ".join(name for name in inspect.signature(source).parameters if name != "seed")
        problem = f"{place}: {first['msg']} (its options: {takes or 'none'})"
        raise TrainingDataError(place=f"data.traces: {traces.use}", problem=problem) from error
    yield from found


def _in_file(path: Path, name: str) -> TracesSource:
    if path.suffix != ".py" or not path.is_file():
        raise TrainingDataError(place=str(path), problem="there is no such file of Python")
    try:
        module = module_at(path, "traces")
    except ImportError as error:
        raise TrainingDataError(place=str(path), problem=str(error)) from error
    source: TracesSource | None = getattr(module, name, None)
    if source is None:
        raise TrainingDataError(place=str(path), problem=f"it has no function {name}")
    return source


def _of_journal(runs: JournalRuns, base: Path) -> Iterator[Conversation]:
    where = runs.path if "://" in runs.path else str(base / Path(runs.path).expanduser())
    with Journal(where) as journal:
        found = collect(journal, runs.runs, runs.filters)
    for pair in found.pairs:
        messages = (*pair.prompt, pair.reply)
        yield Conversation(messages=messages, learn="last", group=pair.origin.name)


def _of_pairs(path: Path) -> Iterator[Conversation]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _of_line(line, f"{path}:{number}")
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise TrainingDataError(place=str(path), problem=problem) from error


def _of_line(line: bytes, place: str) -> Conversation:
    try:
        held: Any = json.loads(line)
        turns = held["messages"] if "messages" in held else [*held["prompt"], *held["completion"]]
        messages = tuple(_message(turn) for turn in turns)
        group = str((held.get("metadata") or {}).get("name", ""))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = "it is no line of `agentflow pairs` in the format chat or prompt-completion"
        raise TrainingDataError(place=place, problem=problem) from error
    return Conversation(messages=messages, learn="last", group=group)


def _message(turn: dict[str, Any]) -> Message:
    calls = [
        {"id": call.get("id", ""), **call["function"]} for call in turn.get("tool_calls") or ()
    ]
    try:
        return Message.model_validate(
            {
                "role": turn["role"],
                "text": turn.get("content") or "",
                "tool_calls": calls,
                "tool_call_id": turn.get("tool_call_id"),
            }
        )
    except ValidationError as error:
        raise ValueError("no message") from error
