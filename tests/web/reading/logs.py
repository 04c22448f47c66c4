"""Random logs of runs: every order of events that an engine may write."""

from typing import Any

from hypothesis import strategies as st

from agentflow.journal.events import (
    Expanded,
    Failure,
    Noted,
    RunFinished,
    RunStarted,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepStarted,
    Stored,
)

KINDS = ("flow", "model", "tool", "code", "ask")
NAMES = st.sampled_from(["solve", "größe", "a", "b c", "\u2028"])
MODELS = st.sampled_from(["openai:gpt-5", "local:tiny"])
MESSAGES = st.sampled_from(["", "no", "one\ntwo", "x" * 500, "\n\n", "é" * 199])
STATUSES = st.sampled_from(["succeeded", "failed", "interrupted", "paused"])


class Writing:
    """A log under way: which steps are open, which number comes next, and what time it is."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.events: list[Stored] = []
        self._at = 1_760_000_000.123456
        self._kinds: dict[int, str] = {}
        self._open: list[int] = []

    def begin_run(self) -> None:
        self._open = []
        self._add(RunStarted, flow="solve", target="m:solve", input=b"{}", settings={})

    def end_run(self) -> None:
        self._add(RunFinished, status=self._draw(STATUSES))

    def start(self) -> None:
        step = len(self._kinds) + 1
        kind = self._kinds[step] = self._draw(st.sampled_from(KINDS))
        parent = self._draw(st.sampled_from([None, *self._open]))
        details: dict[str, Any] = {}
        if kind == "model":
            details["model"] = self._draw(MODELS)
        if self._draw(st.booleans()):
            details |= {"links": list(range(1, step, 2)), "effect": step % 3 == 0}
        name, key = self._draw(NAMES), step.to_bytes(16, "big")
        fields = {"step": step, "key": key, "parent": parent, "name": name, "kind": kind}
        self._add(StepStarted, input=b"{}", details=details, **fields)
        self._open.append(step)

    def end(self) -> None:
        if not self._open:
            return
        step = self._open.pop(self._draw(st.integers(0, len(self._open) - 1)))
        way = self._draw(st.integers(0, 6))
        if way == 0:
            self._add(StepCancelled, step=step)
        elif way == 1:
            failure = Failure(name="ToolError", message=self._draw(MESSAGES), trace="t")
            refused = self._draw(st.booleans())
            details = self._spent(step) if not refused else {}
            self._add(StepFailed, step=step, failure=failure, refused=refused, details=details)
        elif way == 2:
            self._add(StepFinished, step=step, output=b"1", details={"origin": {"edited": True}})
        else:
            self._add(StepFinished, step=step, output=b"1", details=self._spent(step))

    def remark(self) -> None:
        step = self._draw(st.sampled_from([None, *self._open]))
        if step is not None and self._draw(st.booleans()):
            self._add(Expanded, step=step, kind="program", content=b"x = 1")
        else:
            self._add(Noted, step=step, text="so be it")

    def _spent(self, step: int) -> dict[str, Any]:
        if self._kinds[step] != "model":
            return {}
        tokens = st.integers(0, 10**6)
        usage = {"input_tokens": self._draw(tokens), "output_tokens": self._draw(tokens)}
        cost = self._draw(st.one_of(st.none(), st.integers(0, 10**7).map(lambda n: n / 1e6)))
        details: dict[str, Any] = {"usage": usage, "cost_usd": cost}
        details["attempts"] = self._draw(st.integers(1, 3))
        return details | ({"model": self._draw(MODELS)} if self._draw(st.booleans()) else {})

    def _add(self, kind: type[Any], /, **fields: Any) -> None:
        # A clock may be set back; a run that went on elsewhere may have another one.
        pause_us = st.one_of(st.integers(0, 300), st.integers(-(10**6), 10**9))
        self._at = round(self._at + self._draw(pause_us) / 1e6, 6)
        self.events.append(kind(number=len(self.events) + 1, at=self._at, **fields))


@st.composite
def logs(draw: st.DrawFn) -> list[Stored]:
    """A log of up to some fifty events, begun once or more often."""
    writing = Writing(draw)
    writing.begin_run()
    ways = [writing.start, writing.start, writing.end, writing.end, writing.remark]
    for way in draw(st.lists(st.integers(0, 19), max_size=50)):
        if way == 0:
            writing.end_run()
            writing.begin_run()
        elif way == 1:  # killed, and gone on
            writing.begin_run()
        else:
            ways[way % 5]()
    if draw(st.booleans()):
        writing.end_run()
    return writing.events


def batches(events: list[Stored], sizes: list[int]) -> list[list[Stored]]:
    """Cut a log into transactions of these sizes, over and over."""
    found, start, place = [], 0, 0
    while start < len(events):
        size = sizes[place % len(sizes)]
        found.append(events[start : start + size])
        start, place = start + size, place + 1
    return found
