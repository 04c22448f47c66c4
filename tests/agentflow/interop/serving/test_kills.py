"""A server that is killed or ended goes on with its runs when it is started again."""

import signal

import openai
import pytest

from agentflow.journal.journal import Journal
from tests.agentflow.interop.serving.conftest import Serve, events


def test_a_killed_server_goes_on_with_what_it_ran_and_what_waited(serve: Serve) -> None:
    site = serve("gated", "--max-runs=2")
    runs = [site.start("gated", {"text": name}, f"key {name}")["id"] for name in "abcd"]
    site.wait_recorded(runs[0])
    site.wait_recorded(runs[1])
    site.kill()
    site = serve("gated", "--max-runs=2")
    site.open_gate()
    for run, name in zip(runs, "ABCD", strict=True):
        found = site.wait(run)
        assert (found["status"], found["answer"]) == ("succeeded", f"FIRST {name}, SECOND {name}")
    assert sorted(site.done) == sorted(
        f"{which} {name}" for which in ("first", "second") for name in "abcd"
    )
    assert site.start("gated", {"text": "a"}, "key a")["id"] == runs[0]
    assert len(site.http.get("/runs").json()["data"]) == 4


def test_killed_again_and_again_it_repeats_nothing(serve: Serve) -> None:
    site = serve("fan", "gated")
    run = site.start("fan", {"count": 300})["id"]
    for at in ("20", "90", "170"):
        site.wait_done(at)
        site.kill()
        site = serve("fan", "gated")
    assert site.wait(run)["answer"] == 300
    counts = [site.done.count(str(number)) for number in range(300)]
    assert min(counts) == 1
    assert sum(counts) <= 300 + 3  # only what was in flight at a kill


def test_a_reader_of_events_goes_on_over_a_kill(serve: Serve) -> None:
    site = serve("gated")
    run = site.start("gated", {"text": "a"})["id"]
    with site.http.stream("GET", f"/runs/{run}/events") as stream:
        before = events(stream.iter_lines(), count=5)
    site.kill()
    site = serve("gated")
    site.open_gate()
    last = {"last-event-id": before[-1]["id"]}
    with site.http.stream("GET", f"/runs/{run}/events", headers=last) as stream:
        after = events(stream.iter_lines())
    numbers = [int(one["id"]) for one in before + after]
    assert numbers == list(range(1, len(numbers) + 1))
    assert after[-1]["event"] == "run_finished"


def test_what_a_client_has_cancelled_stays_cancelled(serve: Serve) -> None:
    site = serve("gated", "--max-runs=1")
    first, second = (site.start("gated", {"text": name})["id"] for name in "ab")
    site.wait_done("first a")
    for run in (second, first):
        site.http.post(f"/runs/{run}/cancel", json={})
    site.kill()
    site = serve("gated")
    site.open_gate()
    third = site.start("gated", {"text": "c"})["id"]
    site.wait(third)
    assert [site.run(run)["status"] for run in (first, second)] == ["cancelled", "cancelled"]
    assert site.done == ["first a", "first c", "second c"]


def test_an_answer_left_before_a_kill_is_taken_after_it(serve: Serve) -> None:
    site = serve("polite")
    run = site.start("polite", {"name": "Ann"})["id"]
    site.wait(run, "paused")
    site.kill()
    with Journal(site.folder / "journal.db") as journal:
        journal.answer(run, "red")
    site = serve("polite")
    assert site.wait(run)["answer"] == "HELLO ANN: red"
    assert site.done == ["hello Ann"]


def test_only_runs_of_its_own_name_are_gone_on_with_and_only_if_it_may(serve: Serve) -> None:
    site = serve("gated")
    run = site.start("gated", {"text": "a"})["id"]
    site.wait_done("first a")
    site.kill()
    for option in ("--name=other", "--no-resume-unfinished"):
        site = serve("gated", option)
        assert "going on with" not in "".join(site.told)
        assert site.stop() == 0
    with Journal(site.folder / "journal.db") as journal:
        assert journal.head(run).status == "stopped"
    site = serve("gated")
    site.open_gate()
    assert site.wait(run)["status"] == "succeeded"


def test_a_flow_that_has_changed_is_not_gone_on_with_and_that_is_said(serve: Serve) -> None:
    site = serve("gated")
    run = site.start("gated", {"text": "a"})["id"]
    site.wait_recorded(run)
    site.kill()
    code = site.folder / "served.py"
    code.write_text(code.read_text().replace("second {text}", "2nd {text}"))
    site = serve("gated")
    site.open_gate()
    found = site.wait(run, "interrupted", "succeeded")
    assert (found["status"], found["error"]["type"]) == ("interrupted", "CodeChangedError")
    assert str(site.folder) not in found["error"]["message"]


def test_ended_in_good_order_it_lets_runs_finish_and_takes_no_more(serve: Serve) -> None:
    site = serve("gated", "--max-runs=1")
    first, second = (site.start("gated", {"text": name})["id"] for name in "ab")
    site.wait_done("first a")
    site.process.send_signal(signal.SIGTERM)
    while site.http.get("/health").status_code == 200:
        pass
    reply = site.http.post("/runs", json={"flow": "gated", "input": {"text": "c"}})
    assert reply.status_code == 503
    assert "retry-after" in reply.headers
    with pytest.raises(openai.InternalServerError):
        site.openai.with_options(max_retries=0).chat.completions.create(
            model="gated", messages=[{"role": "user", "content": "c"}]
        )
    site.open_gate()
    assert site.process.wait() == 0
    with Journal(site.folder / "journal.db") as journal:
        assert journal.head(first).status == "succeeded"
    site = serve("gated")
    assert site.wait(second)["status"] == "succeeded"
    assert site.done == ["first a", "second a", "first b", "second b"]


def test_what_does_not_finish_in_time_is_gone_on_with_at_the_next_start(serve: Serve) -> None:
    site = serve("gated", "--drain=0")
    run = site.start("gated", {"text": "a"})["id"]
    site.wait_done("first a")
    assert site.stop() == 130
    site = serve("gated")
    site.open_gate()
    assert site.wait(run)["answer"] == "FIRST A, SECOND A"
    assert site.done == ["first a", "second a"]


def test_a_second_signal_does_not_wait(serve: Serve) -> None:
    site = serve("gated", "--drain=1000")
    run = site.start("gated", {"text": "a"})["id"]
    site.wait_done("first a")
    site.process.send_signal(signal.SIGINT)
    while site.http.get("/health").status_code == 200:
        pass
    assert site.stop() == 130
    with Journal(site.folder / "journal.db") as journal:
        assert journal.head(run).status == "interrupted"


def test_what_does_not_let_itself_be_stopped_ends_with_the_process(serve: Serve) -> None:
    site = serve("holds", "--drain=1000")
    run = site.start("holds")["id"]
    site.wait_done("hold")
    for told in ("ending; giving 1 run", "stopping 1 run"):
        site.process.send_signal(signal.SIGTERM)
        while told not in "".join(site.told):
            site.http.get("/health")
    assert site.stop() == 130
    assert "1 run did not stop" in "".join(site.told)
    site.open_gate()
    site = serve("holds")
    assert site.wait(run)["answer"] == "let go"
