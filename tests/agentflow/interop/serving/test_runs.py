"""Runs over HTTP: started once, seen, cancelled, answered, listed."""

import json
from concurrent.futures import ThreadPoolExecutor

from agentflow.journal.journal import Journal
from tests.agentflow.interop.serving.conftest import Serve, events


def test_a_run_is_accepted_and_its_answer_is_there_when_it_has_ended(serve: Serve) -> None:
    site = serve("price")
    given = {"order": {"item": "tea", "count": 2}}
    reply = site.http.post("/runs", json={"flow": "price", "input": given})
    assert reply.status_code == 202
    assert reply.headers["location"] == f"/runs/{reply.json()['id']}"
    found = site.wait(reply.json()["id"])
    assert found["status"] == "succeeded"
    assert found["answer"] == {"item": "tea", "total": "6 EUR"}
    assert found["error"] is None


def test_what_json_cannot_say_is_told_as_what_comes_nearest(serve: Serve) -> None:
    site = serve("odd")
    found = site.wait(site.start("odd")["id"])
    assert found["answer"] == {"infinite": None, "pair": [1, 2], "raw": "_w=="}


def test_the_input_has_the_schema_of_the_flows_signature(serve: Serve) -> None:
    site = serve("price", "echo")
    assert [flow["name"] for flow in site.http.get("/flows").json()["data"]] == ["price", "echo"]
    told = site.http.get("/flows/echo").json()
    assert told["description"] == "Say it again, louder."
    schema = site.http.get("/flows/price").json()["input_schema"]
    assert schema["required"] == ["order"]
    assert schema["properties"]["currency"]["default"] == "EUR"
    wrongs: list[object] = [{}, {"order": {"item": "tea"}}, {"order": 1}, {"more": 1}, [], "tea"]
    for wrong in wrongs:
        reply = site.http.post("/runs", json={"flow": "price", "input": wrong})
        assert reply.status_code == 400, wrong
        assert reply.json()["error"]["param"] == "input"
    assert site.http.get("/runs").json()["data"] == []


def test_the_same_key_gives_the_same_run_however_many_ask_at_once(serve: Serve) -> None:
    site = serve("echo")
    with ThreadPoolExecutor(20) as pool:
        started = list(pool.map(lambda _: site.start("echo", {"text": "a"}, "k1"), range(40)))
    assert len({run["id"] for run in started}) == 1
    site.wait(started[0]["id"])
    assert site.done == ["a"]
    again = {"flow": "echo", "input": {"text": "a"}}
    reply = site.http.post("/runs", json=again, headers={"idempotency-key": "k1"})
    assert reply.headers["idempotency-replayed"] == "true"
    other = site.http.post(
        "/runs", json={"flow": "echo", "input": {"text": "b"}}, headers={"idempotency-key": "k1"}
    )
    assert other.status_code == 422
    assert other.json()["error"]["code"] == "idempotency_key_reused"
    assert site.start("echo", {"text": "a"}, "k2")["id"] != started[0]["id"]


def test_a_key_that_is_none_is_refused(serve: Serve) -> None:
    site = serve("echo")
    for key in ("", "x" * 256):
        body = {"flow": "echo", "input": {"text": "a"}}
        reply = site.http.post("/runs", json=body, headers={"idempotency-key": key})
        assert reply.status_code == 400, key


def test_steps_are_told_as_they_happen_and_a_reader_that_comes_back_misses_none(
    serve: Serve,
) -> None:
    site = serve("gated")
    run = site.start("gated", {"text": "a"})["id"]
    with site.http.stream("GET", f"/runs/{run}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        before = events(stream.iter_lines(), count=5)
    assert [one["event"] for one in before] == [
        *("run_accepted", "run_started", "step_started", "step_started", "step_finished")
    ]
    last = {"last-event-id": before[3]["id"]}
    with site.http.stream("GET", f"/runs/{run}/events", headers=last) as stream:
        lines = stream.iter_lines()
        first = events(lines, count=1)
        site.open_gate()
        after = first + events(lines)
    numbers = [int(one["id"]) for one in before[:4] + after]
    assert numbers == list(range(1, len(numbers) + 1))
    assert after[-1]["event"] == "run_finished"
    assert json.loads(after[-1]["data"])["status"] == "succeeded"
    with site.http.stream("GET", f"/runs/{run}/events") as stream:
        assert events(stream.iter_lines()) == before[:4] + after


def test_a_reader_that_knows_the_end_is_told_not_to_come_back(serve: Serve) -> None:
    site = serve("echo")
    run = site.start("echo", {"text": "a"})["id"]
    site.wait(run)
    with site.http.stream("GET", f"/runs/{run}/events") as stream:
        last = events(stream.iter_lines())[-1]["id"]
    reply = site.http.get(f"/runs/{run}/events", headers={"last-event-id": last})
    assert reply.status_code == 204
    for wrong in ("x", "-1", "9" * 20, "1.5"):
        reply = site.http.get(f"/runs/{run}/events", headers={"last-event-id": wrong})
        assert reply.status_code == 400


def test_many_steps_are_told_without_a_gap(serve: Serve) -> None:
    site = serve("fan")
    run = site.start("fan", {"count": 400})["id"]
    with site.http.stream("GET", f"/runs/{run}/events") as stream:
        told = events(stream.iter_lines())
    numbers = [int(one["id"]) for one in told]
    assert numbers == list(range(1, len(numbers) + 1))
    assert sum(one["event"] == "note" for one in told) == 400


def test_a_running_and_a_waiting_run_are_cancelled_for_good(serve: Serve) -> None:
    site = serve("gated", "--max-runs=1")
    running = site.start("gated", {"text": "a"})["id"]
    waiting = site.start("gated", {"text": "b"})["id"]
    third = site.start("gated", {"text": "c"})["id"]
    site.wait_done("first a")
    assert site.run(waiting)["status"] == "queued"
    for run in (waiting, running):
        reply = site.http.post(f"/runs/{run}/cancel", json={})
        assert (reply.status_code, reply.json()["status"]) == (200, "cancelled")
        assert site.http.post(f"/runs/{run}/cancel", json={}).status_code == 200
    site.open_gate()
    assert site.wait(third)["status"] == "succeeded"
    assert site.done == ["first a", "first c", "second c"]
    reply = site.http.post(f"/runs/{third}/cancel", json={})
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "run_ended")
    with site.http.stream("GET", f"/runs/{waiting}/events") as stream:
        assert events(stream.iter_lines())[-1]["event"] == "run_finished"


def test_a_paused_run_goes_on_when_its_question_is_answered(serve: Serve) -> None:
    site = serve("polite")
    run = site.start("polite", {"name": "Ann"})["id"]
    paused = site.wait(run, "paused")
    (question,) = paused["questions"]
    assert question["text"] == "Which colour?"
    assert question["choices"] == ["red", "green"]
    wrong = site.http.post(f"/runs/{run}/answer", json={"answer": "blue"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "unfit_answer")
    assert (
        site.http.post(f"/runs/{run}/answer", json={"answer": "red", "step": 99}).status_code == 409
    )
    reply = site.http.post(f"/runs/{run}/answer", json={"answer": "red", "step": question["step"]})
    assert reply.status_code == 200
    assert reply.json()["answered"] == question["step"]
    assert site.wait(run)["answer"] == "HELLO ANN: red"
    assert site.done == ["hello Ann"]
    late = site.http.post(f"/runs/{run}/answer", json={"answer": "red"})
    assert late.status_code == 409


def test_a_cancelled_question_takes_no_answer(serve: Serve) -> None:
    site = serve("polite")
    run = site.start("polite", {"name": "Ann"})["id"]
    site.wait(run, "paused")
    assert site.http.post(f"/runs/{run}/cancel", json={}).json()["status"] == "cancelled"
    assert site.http.post(f"/runs/{run}/answer", json={"answer": "red"}).status_code == 409


def test_the_list_is_paged_and_holds_the_runs_of_this_server_alone(serve: Serve) -> None:
    site = serve("echo")
    other = serve("echo", "--name=other")
    foreign = other.start("echo", {"text": "x"})["id"]
    other.wait(foreign)
    ids = [site.start("echo", {"text": str(number)})["id"] for number in range(5)]
    for run in ids:
        site.wait(run)
    assert site.http.get(f"/runs/{foreign}").status_code == 404
    assert site.http.get("/runs/last").status_code == 404
    assert site.http.get(f"/runs/{ids[0][:17]}").status_code == 404
    seen: list[str] = []
    after = ""
    while True:
        page = site.http.get(f"/runs?limit=2{after}").json()
        seen += [run["id"] for run in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert seen == ids[::-1]
    for wrong in ("limit=0", "limit=x", "limit=201"):
        assert site.http.get(f"/runs?{wrong}").status_code == 400
    with Journal(site.folder / "journal.db") as journal:
        assert {head.status for head in journal.heads()} == {"succeeded"}


def test_a_question_beside_work_that_goes_on_is_answered_without_a_pause(serve: Serve) -> None:
    site = serve("busy")
    run = site.start("busy")["id"]
    while not (found := site.run(run))["questions"]:
        pass
    assert found["status"] == "running"
    site.http.post(f"/runs/{run}/answer", json={"answer": 7})
    site.open_gate()
    assert site.wait(run)["answer"] == 7
