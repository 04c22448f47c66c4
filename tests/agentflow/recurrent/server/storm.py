"""Many clients at once that cancel and leave at random, for some time; what each was told is checked.

    python -m tests.agentflow.recurrent.server.storm --seconds 60 --clients 64

Every request was answered before by a server of its own that had nothing else to do. An answer may part from that
where two tokens were nearly as likely, since numbers of a batch are summed in another order; up to there each token
must have the same probability, so that a state mixed up with another shows even where it changes no token.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
from openai import AsyncOpenAI

from tests import warm
from tests.agentflow.recurrent.folders import model_folder

NAME = "small"
NEAR = 1e-3  # natural logarithm
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
STATE_MEMORY = "2MB"  # too little for all states, so that they are evicted and computed again
SCHEMA = {
    "type": "object",
    "properties": {
        "size": {"enum": ["small", "large"]},
        "count": {"type": "integer", "maximum": 99},
    },
    "required": ["size", "count"],
    "additionalProperties": False,
}
Told = list[tuple[str, float, float]]  # token, its logprob, how far it is ahead of the second


@dataclass(frozen=True)
class Ask:
    """One request, and whether its tokens are sampled."""

    number: int
    body: dict[str, Any]

    @property
    def is_sampled(self) -> bool:
        return bool(self.body["temperature"])


@dataclass
class Report:
    """What a storm came to."""

    clients: int
    seconds: float
    completed: int = 0
    left: int = 0
    ties: int = 0
    wrong: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    p50_s: float = 0.0
    p95_s: float = 0.0
    max_s: float = 0.0
    client_medians_s: tuple[float, float, float] = (
        0.0,
        0.0,
        0.0,
    )  # of the quickest, middle, slowest client
    least_completed: int = 0
    rss_mb: list[float] = field(default_factory=list)
    snapshot_mb: list[float] = field(default_factory=list)
    tasks: list[int] = field(default_factory=list)
    after: dict[str, float] = field(default_factory=dict)

    @property
    def growth(self) -> float:
        """By which part memory grew from the second quarter to the last."""
        quarter = max(1, len(self.rss_mb) // 4)
        begin = statistics.median(self.rss_mb[quarter : 2 * quarter] or self.rss_mb)
        return statistics.median(self.rss_mb[-quarter:]) / begin - 1


def asks(seed: int, count: int) -> list[Ask]:
    """Return requests that share beginnings as agents' prompts do."""
    chooser = random.Random(seed)
    roots = [" ".join(f"Rule {chooser.randrange(99)} holds." for _ in range(12)) for _ in range(4)]
    made = []
    for number in range(count):
        messages = [{"role": "system", "content": chooser.choice(roots)}]
        for turn in range(chooser.randrange(3)):
            messages += [
                {"role": "user", "content": f"Question {chooser.randrange(4)} of {turn}?"},
                {"role": "assistant", "content": f"Answer {chooser.randrange(2)}."},
            ]
        messages.append({"role": "user", "content": f"Now {chooser.randrange(50)}, then what?"})
        body: dict[str, Any] = {
            "model": NAME,
            "messages": messages,
            "max_tokens": chooser.randrange(4, 40),
            "temperature": chooser.choice([0, 0, 1]),
            "seed": number,
            "logprobs": True,
            "top_logprobs": 2,
        }
        if number % 8 == 0:
            form = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
            body["response_format"] = form
        made.append(Ask(number, body))
    return made


@contextmanager
def server(folder: Path, *options: str) -> Iterator[tuple[int, str]]:
    """Run `agentflow serve`; yield its process and its address."""
    words = ["-m", "agentflow.cli.main", "serve", str(folder), "--port", "0", "--name", NAME]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with warm.Process([*words, *options], env=environment, kind="libraries") as process:
        url = process.stdout.readline().strip()
        assert url, "the server did not start"
        yield process.pid, url
        process.terminate()
        process.communicate()


async def told(client: AsyncOpenAI, ask: Ask, *, streams: bool) -> Told:
    """Return the tokens of an answer."""
    if streams:
        return [one async for part in _stream(client, ask) for one in part]
    reply = await client.chat.completions.create(**ask.body)
    logprobs = reply.choices[0].logprobs
    return _told(logprobs.content if logprobs else None)


async def _stream(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[Told]:
    async with await client.chat.completions.create(**ask.body, stream=True) as stream:
        async for chunk in stream:
            logprobs = chunk.choices[0].logprobs
            yield _told(logprobs.content if logprobs else None)


def _told(content: Any) -> Told:
    return [
        (one.token, one.logprob, one.top_logprobs[0].logprob - one.top_logprobs[1].logprob)
        for one in content or ()
    ]


def difference(ask: Ask, alone: Told, now: Told) -> str | None:
    """Return what is wrong; empty text for a tie, None when all is the same."""
    for place, (expected, found) in enumerate(zip(alone, now, strict=False)):
        # Where tokens are sampled, either may be drawn when the threshold lies between; both then fit the same odds.
        is_same = abs(expected[2] - found[2]) < NEAR
        if expected[0] != found[0]:
            is_tie = is_same if ask.is_sampled else expected[2] < NEAR
            return "" if is_tie else f"request {ask.number}, token {place}: {expected}, now {found}"
        if abs(expected[1] - found[1]) > NEAR or not is_same:
            return f"request {ask.number}, token {place}: odds {expected}, now {found}"
    return None if len(alone) == len(now) else f"request {ask.number}: {len(alone)}, now {len(now)}"


class Storm:
    """The clients and what they find."""

    def __init__(self, url: str, alone: list[tuple[Ask, Told]], report: Report) -> None:
        self._url, self._alone, self.report = url, alone, report
        self.took_s: list[list[float]] = [[] for _ in range(report.clients)]

    async def run(self, pid: int, seconds: float) -> None:
        """Let all clients ask until the time is up; look at the server meanwhile."""
        deadline = time.monotonic() + seconds
        async with httpx2.AsyncClient(base_url=self._url.removesuffix("/v1"), timeout=60) as http:
            async with anyio.create_task_group() as group:
                for number in range(self.report.clients):
                    group.start_soon(self._client, number, deadline)
                while time.monotonic() < deadline:
                    await self._sample(pid, http)
                    await anyio.sleep(min(2.0, seconds / 20))
            while (after := _metrics((await http.get("/metrics")).text))["http_requests_active"]:
                await anyio.sleep(0.05)
            while after["running"] or after["waiting"]:
                after = _metrics((await http.get("/metrics")).text)
            names = (
                "running",
                "waiting",
                "http_requests_active",
                "tasks",
                "pinned",
                "failed_total",
            )
            self.report.after = {name: after[name] for name in names}
        self._sum_up()

    async def _client(self, number: int, deadline: float) -> None:
        chooser = random.Random(number)
        while time.monotonic() < deadline:
            # A client of its own now and then, so that connections come and go too.
            async with AsyncOpenAI(
                base_url=self._url, api_key="none", max_retries=0, timeout=300
            ) as client:
                for _ask in range(chooser.randrange(1, 12)):
                    if time.monotonic() < deadline:
                        await self._ask(number, client, chooser)

    async def _ask(self, number: int, client: AsyncOpenAI, chooser: random.Random) -> None:
        ask, alone = chooser.choice(self._alone)
        way = chooser.random()
        began = time.monotonic()
        try:
            if way < 0.12:
                await _leave_stream(client, ask, chooser.randrange(1, 6))
                self.report.left += 1
            elif way < 0.25:
                with anyio.move_on_after(chooser.random() * 0.5) as scope:
                    await told(client, ask, streams=way < 0.18)
                self.report.left += scope.cancelled_caught
            else:
                now = await told(client, ask, streams=way < 0.7)
                self.took_s[number].append(time.monotonic() - began)
                self._check(ask, alone, now)
        except Exception as error:  # noqa: BLE001 - told in the report
            self.report.errors.append(repr(error)[:300])

    def _check(self, ask: Ask, alone: Told, now: Told) -> None:
        self.report.completed += 1
        problem = difference(ask, alone, now)
        if problem:
            self.report.wrong.append(problem)
        elif problem == "":
            self.report.ties += 1

    async def _sample(self, pid: int, http: httpx2.AsyncClient) -> None:
        found = _metrics((await http.get("/metrics")).text)
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
        self.report.rss_mb.append(round(pages * PAGE_BYTES / 1e6, 1))
        self.report.snapshot_mb.append(round(found["snapshot_bytes"] / 1e6, 2))
        self.report.tasks.append(int(found["tasks"]))

    def _sum_up(self) -> None:
        every = sorted(took for mine in self.took_s for took in mine)
        medians = sorted(statistics.median(mine) for mine in self.took_s if mine)
        report = self.report
        report.least_completed = min(map(len, self.took_s))
        if every:
            report.p50_s = round(statistics.median(every), 3)
            report.p95_s = round(every[int(len(every) * 0.95)], 3)
            report.max_s = round(every[-1], 3)
            middle = statistics.median(medians)
            report.client_medians_s = (
                round(medians[0], 3),
                round(middle, 3),
                round(medians[-1], 3),
            )


async def _leave_stream(client: AsyncOpenAI, ask: Ask, after: int) -> None:
    async with await client.chat.completions.create(**ask.body, stream=True) as stream:
        async for _chunk in stream:
            after -= 1
            if not after:
                return


def _metrics(text: str) -> dict[str, float]:
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name.removeprefix("agentflow_recurrent_"): float(value) for name, _, value in pairs}


async def storm(folder: Path, *, seconds: float, clients: int, requests: int) -> Report:
    """Answer all requests alone, then in a storm; return what was found."""
    alone = []
    with server(folder) as (_pid, url):
        async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            for ask in asks(1, requests):
                alone.append((ask, await told(client, ask, streams=False)))  # noqa: PERF401 - async
    report = Report(clients, seconds)
    with server(folder, "--state-memory", STATE_MEMORY) as (pid, url):
        await Storm(url, alone, report).run(pid, seconds)
    return report


def main() -> None:
    """Run a storm on a model of its own and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=96)
    parser.add_argument("--architecture", default="xlstm")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = model_folder(given.architecture, Path(place) / NAME)

        async def run() -> Report:
            return await storm(
                folder, seconds=given.seconds, clients=given.clients, requests=given.requests
            )

        report = anyio.run(run)
    sys.stdout.write(
        json.dumps(asdict(report) | {"growth": round(report.growth, 4)}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
