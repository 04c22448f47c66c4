"""What the page reads comes as the contract says, and may be kept only where it never changes."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import pytest

from agentflow import Runner, flow, parallel
from tests.web.server.conftest import RUN, greet
from tests.web.server.site import Site, site

READS = [
    "/api/runs?limit=1&q=greet",
    f"/api/runs/{RUN}",
    f"/api/runs/{RUN}/changes?after=0",
    f"/api/runs/{RUN}/steps?numbers=1,2,9",
    f"/api/runs/{RUN}/search?q=Ada",
    f"/api/runs/{RUN}/annotations",
    f"/api/compare?a={RUN}&b={RUN}",
    "/api/live",
]
BAD = [
    ("/api/runs?limit=0", "limit"),
    ("/api/runs?limit=1e3", "limit"),
    ("/api/runs?status=odd", "status"),
    ("/api/runs?after=odd", "after"),
    (f"/api/runs/{RUN}/changes?after=-1", "after"),
    (f"/api/runs/{RUN}/changes?limit=999999999", "limit"),
    (f"/api/runs/{RUN}/steps?numbers=1,x", "numbers"),
    (f"/api/runs/{RUN}/steps?numbers={','.join(map(str, range(201)))}", "numbers"),
    (f"/api/runs/{RUN}/steps/1/content?part=secret", "part"),
    (f"/api/runs/{RUN}/steps/x/content", "step"),
    (f"/api/runs/{RUN}/search?q=", "q"),
    (f"/api/runs/{RUN}/search?q=a&in=names", "in"),
]


@flow
async def many(count: int) -> int:
    """Greet often."""
    return len(await parallel(greet(str(number)) for number in range(count)))


@pytest.mark.parametrize("path", READS)
def test_every_reply_is_json_with_its_version(served: Site, path: str) -> None:
    reply = served.get(path)
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/json"
    assert reply.json["v"] == 1


def test_a_run_is_shown_with_its_steps_and_contents(served: Site) -> None:
    shown = served.get(f"/api/runs/{RUN}").json
    assert (shown["id"], shown["status"], shown["is_live"]) == (RUN, "succeeded", False)
    assert served.get(f"/api/runs/{RUN}/changes?after=0").json["types"] == "BSEZ"
    (step,) = served.get(f"/api/runs/{RUN}/steps?numbers=1").json["steps"]
    assert json.loads(step["output"]["text"]) == "Hello Ada"
    whole = served.get(f"/api/runs/{RUN}/steps/1/content?part=output")
    assert (whole.body, whole.headers["content-type"]) == (
        b'"Hello Ada"',
        "text/plain; charset=utf-8",
    )
    assert served.get(f"/api/runs/{RUN}/steps/1/content?part=trace").status == 404


@pytest.mark.parametrize(("path", "named"), BAD)
def test_a_bad_parameter_is_named(served: Site, path: str, named: str) -> None:
    reply = served.get(path)
    assert (reply.status, reply.json["error"]["type"]) == (400, "BadParameter")
    assert reply.problem.startswith(f"{named}:")


@pytest.mark.parametrize("run", ["unknown", "first", "last"])
def test_an_unknown_run_is_said_to_be_unknown(served: Site, run: str) -> None:
    reply = served.get(f"/api/runs/{run}")
    assert (reply.status, reply.json["error"]["type"]) == (404, "UnknownRunError")
    assert served.get(f"/api/compare?a={run}&b={RUN}").status == 404


def test_a_full_page_may_be_kept_and_the_newest_may_not(journal: str) -> None:
    anyio.run(Runner(journal=journal).run_as, "many", many, 20)
    with site(journal) as found:
        path = "/api/runs/many/changes?after=0&limit=10"
        full = found.get(path)
        assert "immutable" in full.headers["cache-control"]
        assert found.get(path, If_None_Match=full.headers["etag"]).status == 304
        assert found.get(path, If_None_Match='"other"').body == full.body
        assert "etag" not in found.get("/api/runs/many/changes?after=10").headers
        packed = found.get(path, Accept_Encoding="gzip, br")
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.body) == full.body


def test_a_long_reply_is_packed_for_who_takes_it(journal: str) -> None:
    anyio.run(Runner(journal=journal).run_as, "many", many, 20)
    with site(journal) as found:
        path = "/api/runs/many/steps?numbers=1,2,3,4,5,6,7,8"
        plain, packed = found.get(path), found.get(path, Accept_Encoding="gzip")
        assert "content-encoding" not in plain.headers
        assert gzip.decompress(packed.body) == plain.body
        assert "content-encoding" not in found.get(path, Accept_Encoding="gzip;q=0").headers


def test_many_may_ask_at_once(served: Site) -> None:
    with ThreadPoolExecutor(24) as pool:
        replies = list(pool.map(served.get, READS * 6))
    assert {reply.status for reply in replies} == {200}


def test_a_journal_that_breaks_is_said_to_be_unreadable(journal: str) -> None:
    anyio.run(Runner(journal=journal).run_as, RUN, greet, "Ada")
    with site(journal) as found:
        assert found.get("/api/runs").status == 200
        for path in Path(journal).parent.glob(Path(journal).name + "*"):
            path.write_bytes(b"no database " * 1000)
        reply = found.get("/api/runs/other")
        assert (reply.status, reply.json["error"]["type"]) == (503, "JournalError")
        assert "Traceback" not in reply.body.decode()


def test_a_fault_of_the_viewer_is_told_by_its_type_alone(
    served: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_arguments: object, **_options: object) -> None:
        raise LookupError("secret")

    monkeypatch.setattr("agentflow_web.server.reads.run", broken)
    reply = served.get(f"/api/runs/{RUN}")
    assert (reply.status, reply.json["error"]["type"]) == (500, "LookupError")
    assert b"secret" not in reply.body
    (line,) = caplog.messages
    assert line.startswith(f"GET '/api/runs/{RUN}': LookupError")


@pytest.mark.parametrize("path", ["/", "/app.js", "/app.css"])
def test_a_file_of_the_page_is_sent_once(
    greeted: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "static").mkdir()
    for name in ("index.html", "app.js", "app.css"):
        (tmp_path / "static" / name).write_text(name)
    monkeypatch.setattr("agentflow_web.server.static.build_folder", lambda: tmp_path / "static")
    with site(greeted) as found:
        first = found.raw("GET", path, {"Host": found.host})  # no token: it comes with the page
        assert first.status == 200
        assert found.get(path, If_None_Match=first.headers["etag"]).status == 304
        for name in ("index.html", "app.js", "app.css"):
            (tmp_path / "static" / name).write_text("a newer build")
        assert found.get(path, If_None_Match=first.headers["etag"]).body == b"a newer build"


def test_a_missing_build_is_said_to_be_missing(
    greeted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentflow_web.server.static.build_folder", lambda: tmp_path / "static")
    with site(greeted) as found:
        reply = found.get("/")
        assert reply.status == 503
        assert reply.body.startswith(b"the viewer's build is missing")
