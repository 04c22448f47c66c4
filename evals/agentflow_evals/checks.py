"""Say what is wrong with samples before they cost anything: answers in view, doubles, known texts.

Owns what counts as a leak, an overlap and a duplicate. Knows no suite. Everything is compared after
normalisation, so neither case, spaces nor another way to encode a letter hides a double.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal

from agentflow.data import encode
from agentflow_evals.suite import Sample, Value

LONG = 20
"""From so many characters on, an answer that stands in the task is no coincidence."""
WORDS = 8
"""How many words in a row two texts must share to share anything."""
CONTAINED = 0.5
"""The share of a sample's runs of `WORDS` words in training texts that makes it one of theirs."""
COMMON = 0.2
"""Runs of words in more of the samples than this are the suite's wording, not the sample's."""
MAY_SHOW = "answer_in_task"
"""Metadata of a sample whose answer stands in its task by design, to be found there."""

Kind = Literal["leak", "overlap", "duplicate", "id", "scorer"]
_ANSWERS = frozenset(
    (
        *("answer", "answers", "assertions", "equals", "expected", "reference", "references"),
        *("solution", "target", "tests", "value"),
    )
)
_SAID = re.compile(r"(?:\b(?:answer|solution|label|result)\s*(?:is|:|=)|####)\s*")
_CHOICES = frozenset(("enum", "const"))


class Finding(Value):
    """One thing that is wrong. An `error` makes results worthless; a `warning` is to be looked at."""

    severity: Literal["error", "warning"]
    kind: Kind
    sample: str
    problem: str


def check_samples(samples: Sequence[Sample], training_texts: Iterable[str] = ()) -> list[Finding]:
    """Return what is wrong, errors first, otherwise in the order of the samples."""
    views = [View(sample) for sample in samples]
    found = [
        *_doubled_ids(samples),
        *(finding for view in views for finding in view.leaks()),
        *_overlaps(views, training_texts),
        *_duplicates(views),
    ]
    return sorted(found, key=lambda finding: finding.severity != "error")


def leaks(samples: Iterable[Sample]) -> list[Finding]:
    """Return where an answer, or what checks it, stands in what a planner sees."""
    return [finding for sample in samples for finding in View(sample).leaks()]


def overlap(samples: Sequence[Sample], training_texts: Iterable[str]) -> list[Finding]:
    """Return the samples that are among the texts, word for word or nearly."""
    return list(_overlaps([View(sample) for sample in samples], training_texts))


def normalised(text: str) -> str:
    """Return a text in one form: Unicode's compatible one (NFKC), lower case, single spaces.

    The same for everything that a reader would call the same text; twice gives the same as once.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    while (folded := unicodedata.normalize("NFKC", text).casefold()) != text:
        text = folded
    return " ".join(text.split())


class View:
    """A sample as its planner sees it, normalised."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample

    @cached_property
    def lines(self) -> list[str]:
        """The lines of every text in the task."""
        task = self.sample.task
        texts = [task.goal, task.context, *_texts(task.inputs), *_texts(_open(task.output_schema))]
        return [line for text in texts for part in text.splitlines() if (line := normalised(part))]

    @cached_property
    def text(self) -> str:
        """All of it in one line, data as JSON."""
        task = self.sample.task
        return normalised(f"{task.goal}\n{_json(task.inputs)}\n{task.context}")

    @cached_property
    def said(self) -> str:
        """All its lines, without the quotes and escapes of JSON."""
        return " ".join(self.lines)

    def leaks(self) -> Iterator[Finding]:
        """Yield what of the answer is in view."""
        if self.sample.metadata.get(MAY_SHOW) is True:
            return
        for where, reference in self._references():
            if finding := self._leak(where, normalised(reference)):
                yield finding
                return

    def _references(self) -> Iterator[tuple[str, str]]:
        for answer in _whole(self.sample.target):
            yield "the target", answer
        for check in self.sample.checks:
            for key, value in check.options.items():
                if key in _ANSWERS:
                    for answer in _whole(value):
                        yield f"`{key}` of the check {check.name}", answer

    def _leak(self, where: str, answer: str) -> Finding | None:
        if not answer:
            return None
        if len(answer) >= LONG and (answer in self.said or answer in self.text):
            return self._finding("error", f"{where} stands in the task: {_short(answer)}")
        if self._is_announced(answer):
            return self._finding("error", f"the task says the answer: {_short(answer)}")
        if LONG > len(answer) > 3 and answer in self.lines:
            return self._finding("warning", f"{where} is a line of the task: {_short(answer)}")
        return None

    def _is_announced(self, answer: str) -> bool:
        marked = [line[mark.end() :] for line in self.lines for mark in _SAID.finditer(line)]
        # Several such marks are worked examples, of other questions.
        return len(marked) == 1 and marked[0].rstrip(".!\"'`") == answer

    def _finding(self, severity: Literal["error", "warning"], problem: str) -> Finding:
        return Finding(severity=severity, kind="leak", sample=self.sample.id, problem=problem)

    @cached_property
    def runs(self) -> set[int]:
        """The hashes of the runs of `WORDS` words in it."""
        return _runs(self.said)


def _doubled_ids(samples: Sequence[Sample]) -> Iterator[Finding]:
    for name, count in Counter(sample.id for sample in samples).items():
        if count > 1:
            problem = f"{count} samples have this id"
            yield Finding(severity="error", kind="id", sample=name, problem=problem)


def _duplicates(views: Sequence[View]) -> Iterator[Finding]:
    first: dict[tuple[str, str], str] = {}
    for view in views:
        surroundings = [named.model_dump() for named in view.sample.environments.values()]
        before = first.setdefault((view.text, _json(surroundings)), view.sample.id)
        if before != view.sample.id:
            problem = f"it asks the same as {before}"
            yield Finding(
                severity="warning", kind="duplicate", sample=view.sample.id, problem=problem
            )


def _overlaps(views: Sequence[View], training_texts: Iterable[str]) -> Iterator[Finding]:
    known = [normalised(text) for text in training_texts]
    if not known:
        return
    exact = {text: number for number, text in reversed(list(enumerate(known, 1))) if text}
    in_text = {run: number for number, text in enumerate(known, 1) for run in _runs(text)}
    spread = Counter(run for view in views for run in view.runs)
    most = max(1, int(COMMON * len(views)))
    for view in views:
        own = {run for run in view.runs if spread[run] <= most}
        problem = _known(view, exact, own, in_text)
        if problem:
            yield Finding(
                severity="warning", kind="overlap", sample=view.sample.id, problem=problem
            )


def _known(view: View, exact: dict[str, int], own: set[int], in_text: dict[int, int]) -> str:
    for text in (view.said, view.text, normalised(view.sample.task.goal)):
        # A goal that stands over many inputs says nothing of the sample.
        whole = text == view.said or not view.sample.task.inputs
        if text in exact and whole:
            return f"training text {exact[text]} is the same"
    shared = [in_text[run] for run in own if run in in_text]
    if not own or len(shared) < CONTAINED * len(own):
        return ""
    number, _count = Counter(shared).most_common(1)[0]
    share = len(shared) / len(own)
    return f"{share:.0%} of its runs of {WORDS} words are in training texts, most in {number}"


def _runs(text: str) -> set[int]:
    words = re.findall(r"\w+", text)
    return set(map(hash, zip(*(words[at:] for at in range(WORDS)), strict=False)))


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)


def _open(schema: Any) -> Any:
    """Return a schema without the choices that it lists: one of those is the answer by design."""
    if isinstance(schema, dict):
        return {key: _open(item) for key, item in schema.items() if key not in _CHOICES}
    return schema


def _whole(value: Any) -> Iterator[str]:
    """Yield an answer as text: each of a list's texts is one, anything else compound is one as JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple) and value and all(isinstance(item, str) for item in value):
        yield " ".join(value)
        yield _json(value)
    elif value is not None and not isinstance(value, bool):
        yield _json(value)


def _json(value: Any) -> str:
    return json.dumps(encode(value), ensure_ascii=False, sort_keys=True)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
