"""Which calls of a model led somewhere.

Owns the reading of a run's tree: which call a step's program or plan came from, which versions were
repaired, and what hung below a version that was thrown away. Knows no planner by name, but one habit
of planners: a version that failed is said in a note that begins `version N of NAME failed`.

A call `worked` when its step and all steps above succeeded, and neither its program nor a note says
otherwise. It `failed` when its version did; a program that failed once in a run counts as failed for all
calls of that name. It was `discarded` when it was part of something that was thrown away, although
nothing was wrong with the call itself.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agentflow.journal.events import Expanded, Noted
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.solving import check, solve_task

Outcome = Literal["worked", "failed", "discarded"]
_FAILED = re.compile(r"version \d+ of .+? failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One answered call of a model: who asked, how deep among expansions, and what became of it.

    `step` is the call as it was made, also where a resumed run took its answer over. `asked` are the
    calls of the same owner up to this one.
    """

    step: StepRecord
    owner: StepRecord
    depth: int
    is_expansion: bool
    outcome: Outcome
    asked: tuple[StepRecord, ...]


@dataclass(slots=True, kw_only=True)
class _Versions:
    """What one step made of its calls: programs by call, and which of both failed."""

    programs: dict[int, set[bytes]] = field(default_factory=dict)
    failed_calls: set[int] = field(default_factory=set)
    failed_programs: set[bytes] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class _Visit:
    step: StepRecord
    depth: int
    is_discarded: bool
    versions: _Versions


def calls_of(record: RunRecord) -> list[Call]:
    """Return the calls that a run's answer came from, in the order they were made; no checks' calls."""
    visits = list(_walk(record))
    failed = {
        (visit.step.name, program) for visit in visits for program in visit.versions.failed_programs
    }
    found: dict[int, Call] = {}
    for visit in visits:
        for call in _calls_in(record, visit, failed):
            found.setdefault(call.step.number, call)
    return [found[number] for number in sorted(found)]


def taken_from_elsewhere(record: RunRecord) -> Counter[str]:
    """Count by run the steps whose results came from other runs: what led to them stands there."""
    origins = (visit.step.details.get("origin") or {} for visit in _walk(record))
    return Counter(origin["run"] for origin in origins if "run" in origin)


def _walk(record: RunRecord) -> Iterator[_Visit]:
    """Yield the steps of the last attempt, parents first; what it took over, as it was done."""
    pending = [] if record.root is None else [(record.root, 0, False)]
    while pending:
        step, depth, is_discarded = pending.pop()
        is_discarded = is_discarded or step.status != "succeeded"
        versions = _versions_of(step)
        yield _Visit(step=step, depth=depth, is_discarded=is_discarded, versions=versions)
        deeper = depth + bool(step.expansions)
        for child in reversed(step.children):
            if step is not record.root or not _is_check(record, child):
                gone = is_discarded or _program_in(child) in versions.failed_programs
                pending.append((_source(record, child), deeper, gone))


def _is_check(record: RunRecord, step: StepRecord) -> bool:
    return record.target == solve_task.target and step.name == check.name


def _source(record: RunRecord, step: StepRecord) -> StepRecord:
    """Return the step that did the work: an earlier attempt's, where a resumed run took it over."""
    while (origin := step.details.get("origin")) and origin.get("run") == record.id:
        earlier = record.steps.get(origin.get("step", 0))
        if earlier is None or earlier.number >= step.number:
            break  # no record of ours says that
        step = earlier
    return step


def _calls_in(record: RunRecord, visit: _Visit, failed: set[tuple[str, bytes]]) -> Iterator[Call]:
    step, versions = visit.step, visit.versions
    answered = _answered(step)
    for index, call in enumerate(answered):
        programs = versions.programs.get(call.number, set())
        outcome: Outcome = "discarded" if visit.is_discarded else "worked"
        is_bad = any((step.name, program) in failed for program in programs)
        yield Call(
            step=_source(record, call),
            owner=step,
            depth=visit.depth,
            is_expansion=bool(programs),
            outcome="failed" if is_bad or call.number in versions.failed_calls else outcome,
            asked=tuple(answered[: index + 1]),
        )


def _answered(step: StepRecord) -> list[StepRecord]:
    """Return the calls of a step that have an answer, in the order the answers came."""
    calls = [child for child in step.children if child.kind == "model"]
    answered = [call for call in calls if call.status == "succeeded" and call.output is not None]
    return sorted(answered, key=lambda call: call.finished_event)


def _versions_of(step: StepRecord) -> _Versions:
    """Read a step from its first event to its last: calls, program, complaint, next calls."""
    found, calls = _Versions(), list[StepRecord]()
    program: bytes | None = None
    author: int | None = None
    for event in _happened(step):
        match event:
            case StepRecord():
                calls.append(event)
                author, program = event.number, None
            case Expanded():
                program = event.content
                if calls:
                    writer = _author(program, calls)
                    author = writer.number
                    found.programs.setdefault(author, set()).add(program)
                    calls.remove(writer)
            case Noted() if _FAILED.match(event.text):
                found.failed_calls |= set() if author is None else {author}
                found.failed_programs |= set() if program is None else {program}
                author = program = None
                calls.clear()
    for child in step.children:
        if child.kind == "code" and child.status == "failed":
            found.failed_programs.add(_program_in(child))
    found.failed_programs.discard(b"")
    return found


def _happened(step: StepRecord) -> list[StepRecord | Expanded | Noted]:
    """Return answers, expansions and notes of a step in the order in which they came."""
    events: list[tuple[int, StepRecord | Expanded | Noted]] = []
    events += [(call.finished_event, call) for call in _answered(step)]
    events += [(event.number, event) for event in step.expansions]
    events += [(event.number, event) for event in step.notes]
    return [event for _number, event in sorted(events, key=lambda pair: pair[0])]


def _author(program: bytes, calls: Sequence[StepRecord]) -> StepRecord:
    """Return which call a program came from: of those without one the most alike, or the last."""
    lines = {line.strip() for line in program.decode("utf-8", "replace").splitlines()} - {""}

    def likeness(call: StepRecord) -> int:
        reply = json.loads(call.output or b"{}").get("text", "")
        return sum(line in reply for line in lines)

    return calls[0] if len(calls) == 1 else max(reversed(calls), key=likeness)


def _program_in(step: StepRecord) -> bytes:
    """Return the program that a code step ran; empty for a step of another kind."""
    if step.kind != "code":
        return b""
    try:
        code = json.loads(step.input).get("code", "")
    except (ValueError, AttributeError):
        return b""
    return code.encode("utf-8", "surrogatepass") if isinstance(code, str) else b""
