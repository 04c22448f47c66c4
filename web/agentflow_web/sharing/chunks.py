"""The data of a file: what the server would have said, in packed chunks.

Owns which chunks there are. A chunk is gzipped JSON (a whole content: plain text) in base64, which holds
no sign that could end its tag.

    run                    {v, run: Run, pages: [`after` of each Page], chunk: steps a chunk, under: step|null}
    events:AFTER           Page
    steps:N                [Step], those with numbers from N*chunk + 1 to (N+1)*chunk
    annotations            [Annotation]
    content:STEP:PART:I    the whole of a content that is cut in its step

Steps are read as they are written, so memory does not grow with their number.
"""

import base64
import gzip
import html
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agentflow.journal.annotations import Annotation
from agentflow.journal.records import StepRecord
from agentflow_web.reading.contents import shown
from agentflow_web.reading.index import Known, RunIndex
from agentflow_web.reading.pages import page_of
from agentflow_web.reading.step import MOST_STEPS, read_steps, told
from agentflow_web.sharing.cleaning import Cleaner, Data
from agentflow_web.sharing.selection import Selection, renumbered

VERSION = 1
STEPS_A_CHUNK = 2 * MOST_STEPS
PAGE_EVENTS = 60_000
GZIP_LEVEL = 6
IN_THE_RUN = "number in the run"


@dataclass(frozen=True, kw_only=True)
class Chunks:
    """The chunks of one file.

    `known` is what the index knows, under the numbers of the run; `selection` says what of it is told.
    """

    index: RunIndex
    known: Known
    selection: Selection
    cleaner: Cleaner
    annotations: Sequence[Annotation]

    def all(self, run: Data, under: int | None) -> Iterator[bytes]:
        """Yield everything, `run` (its contents uncut) first."""
        last = self.selection.known.complete
        pages = range(0, last, PAGE_EVENTS)
        about = {"v": VERSION, "run": self._run(run), "pages": list(pages)}
        about |= {"chunk": STEPS_A_CHUNK, "under": under}
        yield _chunk("run", _json(about), f' data-run="{html.escape(run["id"])}"')
        for after in pages:
            yield _chunk(f"events:{after}", _json(self._page(after, last)))
        yield _chunk("annotations", _json(self._annotations_of(None)))
        steps = self.selection.steps
        for first in range(1, len(steps), STEPS_A_CHUNK):
            numbers = steps[first : first + STEPS_A_CHUNK]
            yield from self._steps(f"steps:{first // STEPS_A_CHUNK}", numbers)

    def _run(self, run: Data) -> Data:
        selection = self.selection
        asked = [one for one in run["questions"] if selection.new_steps[one["step"]]]
        about = self.cleaner.run(run | {"questions": asked}, framed=not selection.is_whole)
        for question in about["questions"]:
            question["step"] = selection.new_steps[question["step"]]
        figures = {"steps": selection.size} if selection.is_whole else selection.totals()
        return about | figures | {"last_event": selection.known.complete}

    def _page(self, after: int, last: int) -> Data:
        known = self.selection.known
        page = page_of(self.index.run, known, after, min(after + PAGE_EVENTS, last))
        return self.cleaner.page(page, self.selection.above)

    def _steps(self, name: str, numbers: Sequence[int]) -> Iterator[bytes]:
        """Yield the chunk of some steps after those of their long contents."""
        steps: list[Data] = []
        for start in range(0, len(numbers), MOST_STEPS):
            some = numbers[start : start + MOST_STEPS]
            for step in told(self.index, self.known, some):
                clean, long = self._step(step)
                steps.append(clean)
                yield from (_chunk(name, text.encode("utf-8", "replace")) for name, text in long)
        yield _chunk(name, _json(steps))

    def _step(self, step: Data) -> tuple[Data, list[tuple[str, str]]]:
        """Return a step as it is told, and the names and texts of chunks for its long contents."""
        number = step["number"]
        new = self.selection.new_steps[number]
        is_above = new in self.selection.above
        clean = self._renumbered(self.cleaner.step(step, number, framed=is_above), is_above)
        clean["annotations"] = self._annotations_of(number)
        long: list[tuple[str, str]] = []
        whole = _Whole(self.index, self.known, number)
        for part, place, content in _contents(clean):
            text = whole.text(part, place) if content["cut"] else content["text"]
            told_, rest = self.cleaner.content(number, content, text, framed=is_above)
            content.update(told_)
            if rest is not None:
                long.append((f"content:{new}:{part}:{place}", rest))
        return clean, long

    def _renumbered(self, step: Data, is_above: bool) -> Data:
        """Return a step under the numbers of the file; what one above has noted stays out."""
        selection = self.selection
        if selection.is_whole:
            return step
        remarks = {
            name: [
                one | {"event": selection.new_events[one["event"]]}
                for one in step[name]
                if not is_above
            ]
            for name in ("notes", "expansions")
        }
        return step | {
            "number": selection.new_steps[step["number"]],
            "parent": step["parent"] and selection.new_steps[step["parent"]],
            "links": renumbered(step["links"], selection.new_steps),
            "start_event": selection.new_events[step["start_event"]],
            "end_event": selection.new_events[step["end_event"]],
            "details": {IN_THE_RUN: step["number"], **step["details"]},
            **remarks,
        }

    def _annotations_of(self, step: int | None) -> list[Data]:
        """Return what is written on a step, or, for None, on everything that is told."""
        told_ = []
        for one in self.annotations:
            if step in (None, one.step) and self._is_told(one):
                new = None if one.step is None else self.selection.new_steps[one.step]
                clean = self.cleaner.annotation(asdict(one), is_told=step is None)
                told_.append(clean | {"step": new})
        return told_

    def _is_told(self, annotation: Annotation) -> bool:
        selection = self.selection
        if not self.cleaner.has_contents:
            return False
        if annotation.step is None:
            return selection.is_whole
        new = selection.new_steps[annotation.step]
        return new > 0 and new not in selection.above


class _Whole:
    """The contents of a step without a cut, read when one is asked for."""

    def __init__(self, index: RunIndex, known: Known, number: int) -> None:
        self._index, self._known, self._number = index, known, number
        self._read: StepRecord | None = None

    def text(self, part: str, place: int) -> str:
        if self._read is None:
            found = read_steps(self._index, self._known, [self._number], whole=True)
            self._read = found[self._number].record
        if part == "input":
            return shown(self._read.input)
        if part == "output":
            return shown(self._read.output or b"")
        return shown(self._read.expansions[place].content)


def _contents(step: Data) -> Iterator[tuple[str, int, Data]]:
    yield "input", 0, step["input"]
    if step["output"] is not None:
        yield "output", 0, step["output"]
    for place, expansion in enumerate(step["expansions"]):
        yield "expansion", place, expansion["content"]


def _json(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")  # a lone surrogate: an escape of JSON has it


def _chunk(name: str, data: bytes, attributes: str = "") -> bytes:
    packed = base64.b64encode(gzip.compress(data, GZIP_LEVEL, mtime=0))
    head = f'<script type="text/plain" data-chunk="{name}"{attributes}>'.encode()
    return b"".join((head, packed, b"</script>\n"))
