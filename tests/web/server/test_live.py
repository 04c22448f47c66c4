"""A model's text is seen as it comes, and looking on costs the run nothing."""

import http.client

import anyio
import pytest
from agentflow_web.server.live import LiveRun, StreamedText

from agentflow.journal.events import Event, RunFinished, StepFinished, StepStarted, TextStreamed
from tests.web.server.conftest import RUN
from tests.web.server.site import TIMEOUT_S, Site

pytestmark = pytest.mark.anyio


def started(step: int) -> Event:
    return StepStarted(
        number=step, at=0.0, step=step, key=b"k", parent=None, name="m", kind="model", input=b"{}"
    )


def text(step: int, words: str) -> Event:
    return TextStreamed(number=step, at=0.0, step=step, text=words)


def finished(step: int) -> Event:
    return StepFinished(number=step + 1, at=0.0, step=step, output=b'""')


def begun(run: LiveRun, step: int) -> StreamedText:
    run.hear(started(step))
    found = run.text(step)
    assert found is not None
    return found


async def all_of(streamed: StreamedText, start: int = 0) -> str:
    return "".join([piece async for piece in streamed.follow(start)])


async def test_text_is_given_from_any_character_until_the_step_ends() -> None:
    run = LiveRun()
    streamed = begun(run, 1)
    for words in ("Hel", "lo", " there"):
        run.hear(text(1, words))
    run.hear(finished(1))
    assert [await all_of(streamed, start) for start in (0, 4, 11, 99)] == [
        "Hello there",
        "o there",
        "",
        "",
    ]
    assert run.text(1) is None


async def test_a_reader_gets_what_comes_while_it_waits() -> None:
    run = LiveRun()
    streamed, seen = begun(run, 1), []
    run.hear(text(1, "a"))
    async for piece in streamed.follow():
        seen.append(piece)
        run.hear(text(1, "b") if len(seen) == 1 else finished(1))
    assert seen == ["a", "b"]


async def test_what_is_kept_has_a_bound_and_is_given_back() -> None:
    run = LiveRun(max_characters=10)
    first, second = begun(run, 1), begun(run, 2)
    for _ in range(100):
        run.hear(text(1, "1234"))
        run.hear(text(2, "1234567"))
    assert ("".join(first.pieces), second.pieces) == ("12341234", [])
    run.hear(finished(1))
    run.hear(text(2, "1234567"))
    assert second.pieces == ["1234567"]


async def test_the_end_of_the_run_ends_every_reader() -> None:
    run = LiveRun()
    streamed = begun(run, 1)
    run.hear(text(1, "half"))
    run.hear(RunFinished(number=9, at=0.0, status="interrupted"))
    with anyio.fail_after(TIMEOUT_S):
        assert await all_of(streamed) == "half"


def test_the_page_reads_along(served: Site) -> None:
    path = f"/api/runs/{RUN}/live/1"
    assert served.get(path).json["error"]["type"] == "NotLive"
    run = served.serving.live.begin(RUN)
    run.hear(started(1))
    assert served.get(f"/api/runs/{RUN}").json["is_live"] is True
    connection = http.client.HTTPConnection(served.host, timeout=TIMEOUT_S)
    connection.request("GET", f"{path}?from=1", headers=served.headers(Accept_Encoding="gzip"))
    run.hear(text(1, "xÄ"))
    reply = connection.getresponse()
    assert reply.read(2).decode() == "Ä"  # now, not when the step has ended
    run.hear(text(1, "b"))
    run.hear(finished(1))
    assert reply.read() == b"b"
    connection.close()
    assert served.get(path).body == b""
    run.end()
    assert served.get(path).status == 404
