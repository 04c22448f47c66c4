"""The runs that the browser looks at: really run, with a model behind a real server.

Owns what the model says and which runs there are; the flows are in `tour`, and ReCode's own.
"""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

import anyio
from agentflow_planners.recode import recode

from agentflow import Change, Journal, ModelSpec, Runner, RunPausedError, Task
from agentflow.errors import AgentflowError
from agentflow.models.protocol import Price
from tests.planners.recode_parts import WANTED
from tests.web.big_run import write_big_run
from tests.web.browser import tour
from tests.wire import Scripted, fails, says
from tests.wire.script import Seen

KEY = "AGENTFLOW_TEST_KEY"
MIDDLE = "big-1500-0"  # the id of the simulated run
PLACES = ["Rome", "Atlantis", "Oslo"]
PROGRAMS = {
    "solve": "low = find_low(xs)\nhigh = find_high(xs)\nreturn [low, high]",
    "find_low": "return min(xs)",
    "find_high": "return max(xs) if xs else None",
}
SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF"
REPLY = "There is a **forum**.\n\n```python\ndef see(city: str) -> str:\n    return city\n```\n"


def answers() -> Callable[[Seen], Scripted]:
    """Return what the model says; its first call fails once, as services do."""
    numbers: Iterator[int] = count()

    def answer(seen: Seen) -> Scripted:
        if next(numbers) == 0:
            return fails(429, "busy", retry_after="0")
        if found := WANTED.findall(seen.text):
            return says(f"```python\n{PROGRAMS[found[-1]]}\n```")
        if "endless" in seen.prompt:
            return says("Once upon", " a time", fault="hang")
        if "And more?" in seen.prompt:
            return says("Nothing", " more.")
        if "Tell me of" in seen.prompt:
            return says(REPLY)
        return says("First Rome.")

    return answer


def make_runs(journal: str, base_url: str) -> None:
    """Write every run into a journal; they take about two seconds."""
    spec = ModelSpec(
        provider="openai",
        name="wire-1",
        base_url=base_url,
        api_key_env=KEY,
        price=Price(input=1000, output=2000),
    )
    make = Runner(journal=journal, model=spec)
    labelled = Runner(journal=journal, model=spec, labels={"season": "summer"})
    write_big_run(journal, 1500)
    _run(labelled.run_as, "trip", tour.trip, PLACES)
    _run(make.run_as, "lost", tour.lost, "Atlantis")
    _run(make.run_as, "recoded", recode, Task(goal="low and high", inputs={"xs": [3, 1, 2]}))
    _run(make.run_as, "asks", tour.choose, ["Rome", "Oslo"])
    _run(make.run_as, "asked", tour.choose, ["Rome", "Oslo"])
    with Journal(journal) as opened:
        (step,) = [step for step in opened.run("asked").steps.values() if step.kind == "ask"]
        opened.answer("asked", "Oslo", step=step.number)
        visited = next(s.number for s in opened.run("trip").steps.values() if s.name == "look_up")
    _run(make.resume, tour.choose, "asked")
    change = Change(output=f"Rome is closed, the key is {SECRET}")
    _run(partial(make.fork, at=visited, change=change, new_run="trip-forked"), tour.trip, "trip")


def _run(work: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
    """Run something to its end, which may be a failure that is looked at later."""
    try:
        anyio.run(partial(work, *arguments))
    except (AgentflowError, RunPausedError):
        return
