"""Evaluations on a cluster: the outcomes of one here, and what dies costs what was in flight."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

import anyio
import pytest
from agentflow_evals.cli.main import evaluations
from agentflow_evals.outcome import Outcome
from agentflow_evals.plan import Contender, Entrant, EvaluationPlan, plan_for
from agentflow_evals.running.evaluator import Evaluator
from agentflow_evals.running.reading import read_evaluation
from agentflow_evals.running.shipped import (
    Shipment,
    ShippedCell,
    open_laboratory,
    shared_journal,
)
from click.testing import CliRunner

from agentflow import Budget, Journal, Reply
from agentflow.cluster.shipping.worker import Bench
from agentflow.engine.ledger import Ledger
from agentflow.errors import (
    BudgetExceededError,
    JournalError,
    ModelUnavailableError,
    NodeRefusedError,
)
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import OnText, Request
from agentflow.resources import Resources
from agentflow.solving import Named
from tests.agentflow.cluster.shipping.conftest import NODE
from tests.evals.arithmetic import doubles
from tests.parts import Scripted, shape
from tests.wire import WireServer, says
from tests.wire.script import Scripted as Answer
from tests.wire.script import Seen

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("default"),  # Ray's own, at its import and start
]
ROOT = Path(__file__).parents[4]


def double(prompt: str) -> str:
    found = re.search(r"twice (\d+)", prompt)
    assert found is not None
    return str(2 * int(found[1]) + (found[1] == "3"))


def plan(count: int, planner: str = "two_steps", **options: Any) -> EvaluationPlan:
    return plan_for(
        doubles(count),
        planners=[Contender(label=planner, planner=Named(name=planner, options=options))],
        models=[Entrant(label="scripted", spec=Scripted(double).spec)],
    )


def evaluator(journal: str, model: Scripted, cluster: Any = None, **settings: Any) -> Evaluator:
    on = None if cluster is None else f"ray://{cluster.address}"
    return Evaluator(journal=journal, models={str(model.spec): model}, on=on, **settings)


def what(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return outcomes without what differs from one run of them to the next."""
    measures = {"seconds": 0.0, "critical_path_s": 0.0}
    return [
        one.model_copy(update={"measures": one.measures.model_copy(update=measures)})
        for one in outcomes
    ]


def run(journal: str, name: str) -> RunRecord:
    with Journal(journal) as opened:
        return opened.run(name)


def nodes(record: RunRecord) -> set[str]:
    return {step.details["node"] for step in record.steps.values() if "node" in step.details}


def notes(record: RunRecord) -> list[str]:
    return [said.text for step in record.steps.values() for said in step.notes]


class Patient(Scripted):
    """Answers nobody before more ask at once than are under way on one of two nodes."""

    _asking, _opened = 0, False

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        self._asking += 1
        while self._asking <= 6 and not self._opened:
            await anyio.sleep(0.01)
        self._opened = True
        return await super().complete(request, on_text)


async def test_the_outcomes_are_those_of_an_evaluation_here_and_both_nodes_work(
    cluster: Any, journal: str, tmp_path: Path
) -> None:
    there, here = Patient(double), Scripted(double)
    direct = plan(12, "direct").model_copy(update={"cache": True})
    found = await evaluator(journal, there, cluster, at_once=12).run(direct, doubles(12), "e1")
    local = await evaluator(str(tmp_path / "here.db"), here).run(direct, doubles(12), "e1")
    assert what(found.outcomes) == what(local.outcomes)
    assert sorted(there.asked) == sorted(here.asked)
    assert len(nodes(run(journal, "e1"))) == 2
    for one in found.outcomes:
        record, same = run(journal, one.run), run(str(tmp_path / "here.db"), one.run)
        assert shape(record) == shape(same)
        assert record.settings == same.settings
        assert all("attempt_s" in s.details for s in record.steps.values() if s.kind == "model")
    assert run(journal, "e1").settings["on"] == f"ray://{cluster.address}"
    again = await evaluator(journal, there, cluster).run(direct, doubles(12), "e2")
    assert len(again.outcomes) == len(there.asked) == 12  # the cache is one for all workers


async def test_a_worker_that_is_killed_costs_what_was_in_flight(
    cluster: Any, any_journal: str, tmp_path: Path
) -> None:
    model, mark = Scripted(double), tmp_path / "mark"
    dying = plan(8, dies_at="twice 5", mark=str(mark))
    found = await evaluator(any_journal, model, cluster).run(dying, doubles(8), "e1")
    assert mark.exists()
    assert [one.status for one in found.outcomes] == ["passed"] * 3 + ["failed"] + ["passed"] * 4
    record = run(any_journal, "e1")
    assert any("was lost with node" in said for said in notes(record))
    # What the dead worker had recorded is not asked again; what was in flight with it may be.
    asked = Counter(model.asked)
    assert asked["Think: What is twice 5?"] == asked["What is twice 5?"] == 1
    for one in found.outcomes:
        steps = run(any_journal, one.run).steps.values()
        assert len({step.key for step in steps if step.status == "succeeded"}) == 5


@pytest.mark.long
async def test_a_sample_that_ends_its_worker_each_time_is_given_up_and_no_other(
    cluster: Any, journal: str
) -> None:
    model = Scripted(double)
    deadly = plan(3, "deadly", dies_at="twice 1")
    found = await evaluator(journal, model, cluster).run(deadly, doubles(3), "e1")
    assert [one.status for one in found.outcomes] == ["passed", "error", "passed"]
    said = found.outcomes[1].reason
    assert said.startswith(
        "WorkLostError: double 1 under deadly with scripted was lost 4 times, on"
    )
    assert [cell.sample for cell in found.missing] == ["double 1"]


@pytest.mark.long
async def test_the_spending_limit_holds_for_all_workers_and_a_resume_goes_on_there(
    cluster: Any, journal: str
) -> None:
    model, suite = Scripted(double), doubles(10)
    limited = evaluator(journal, model, cluster, spending=Budget(tokens=1_050))
    with pytest.raises(BudgetExceededError) as caught:
        await limited.run(plan(10, "direct"), suite, "e1")
    assert (caught.value.kind, caught.value.limit, caught.value.shared) == ("tokens", 1_050, True)
    part = read_evaluation(journal, "e1")
    assert part.missing
    assert sum(one.measures.spent_tokens for one in part.outcomes) <= 1_050
    asked = len(model.asked)
    whole = await evaluator(journal, model).resume("e1")
    assert whole.missing == []
    assert len(model.asked) == 10
    assert asked < 10
    assert len(nodes(run(journal, "e1"))) >= 1


class Waiting(Scripted):
    """A model that never answers."""

    def __init__(self) -> None:
        super().__init__(double)
        self.is_asked, self.given_up = anyio.Event(), 0

    async def complete(self, request: Request, on_text: OnText) -> Reply:  # noqa: ARG002
        self.is_asked.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.given_up += 1
        raise AssertionError("it slept for ever")


@pytest.mark.long
async def test_an_evaluation_that_is_stopped_stops_its_workers_and_their_calls(
    cluster: Any, journal: str
) -> None:
    model = Waiting()
    async with anyio.create_task_group() as group:
        work = evaluator(journal, model, cluster, at_once=1)
        group.start_soon(work.run, plan(1, "direct"), doubles(1), "e1")
        await model.is_asked.wait()
        group.cancel_scope.cancel()
    assert model.given_up == 1
    with Journal(journal) as opened:
        (cell,) = (head for head in opened.heads() if head.id != "e1")
    assert cell.status == "interrupted"
    quick = Scripted(double)
    whole = await evaluator(journal, quick, cluster).resume("e1")
    assert [one.status for one in whole.outcomes] == ["passed"]


@pytest.mark.long
async def test_a_node_that_cannot_confine_code_leaves_its_samples_to_others(
    cluster: Any, journal: str
) -> None:
    bare = cluster.add_node(**NODE, env_vars={"AGENTFLOW_SANDBOX": "none"})
    model = Scripted(double)
    try:
        found = await evaluator(journal, model, cluster).run(
            plan(12, "confined"), doubles(12), "e1"
        )
    finally:
        cluster.remove_node(bare)
    assert [one.status for one in found.outcomes] == ["passed"] * 12
    record = run(journal, "e1")
    assert len(nodes(record)) == 2
    (said,) = notes(record)
    assert "is not used: no sandbox" in said or "no launcher 'none'" in said
    assert bare.node_id[:8] in said


async def test_the_run_of_a_worker_that_is_gone_elsewhere_is_waited_for(journal: str) -> None:
    def unreachable(_prompt: str) -> str:
        raise ModelUnavailableError(model="scripted:model", problem="no route to host")

    model, suite, one = Scripted(unreachable), doubles(1), plan(1, "direct")
    found = await evaluator(journal, model).run(one, suite, "e1")
    with sqlite3.connect(journal) as connection:  # as a worker on another machine leaves it
        owner = ("elsewhere|1|1", time.time() + 1.0, found.outcomes[0].run)
        connection.execute("UPDATE runs SET owner = ?, lease_until = ? WHERE id = ?", owner)
    mended = Scripted(double)
    async with Resources({str(mended.spec): mended}) as resources:
        shipment = Shipment(evaluation="e1", plan=one, journal=shared_journal(journal))
        work = await open_laboratory(shipment, Bench(resources, Ledger(Budget())))
        (cell,) = one.cells()
        sent = ShippedCell(cell=cell, sample=suite.samples[0], goes_on=True, accept_changes=False)
        assert (await work(sent)).passed


async def test_a_node_with_another_journal_of_that_name_is_refused(journal: str) -> None:
    model, one = Scripted(double), plan(1, "direct")
    await evaluator(journal, model).run(one, doubles(1), "another")
    shipment = Shipment(evaluation="e1", plan=one, journal=shared_journal(journal))
    async with Resources() as resources:
        with pytest.raises(NodeRefusedError, match="does not find the evaluation in its journal"):
            await open_laboratory(shipment, Bench(resources, Ledger(Budget())))


async def test_a_journal_in_memory_is_refused_at_once() -> None:
    model = Scripted(double)
    work = Evaluator(journal=":memory:", models={str(model.spec): model}, on="ray")
    with pytest.raises(JournalError, match="no other process can write it"):
        await work.run(plan(1, "direct"), doubles(1))


def test_no_place_is_said_before_anything_runs(tmp_path: Path) -> None:
    words = ["run", "anything", "--on", "moon", "-j", str(tmp_path / "j.db")]
    said = CliRunner().invoke(evaluations, words)
    assert said.exit_code == 2
    assert "cannot run on 'moon'" in said.output


def command(server: WireServer, folder: Path) -> list[str]:
    suite = f"{ROOT / 'examples/suites/sums.py'}:Sums"
    model = f"{server.openai_url}#wire-1"
    given = [suite, "--set", "largest=12", "-m", model, "-p", "two_steps", "--at-once", "4"]
    return ["eval", *given, "-j", str(folder / "j.db"), "--quiet"]


def add(seen: Seen) -> Answer:
    found = re.search(r"What is (\d+) \+ (\d+)", json.dumps(seen.body))
    assert found is not None
    left, right = map(int, found.groups())
    return says(str(left + right))


@pytest.mark.long
def test_a_cluster_of_this_machine_is_there_for_one_evaluation(tmp_path: Path) -> None:
    suite = f"{ROOT / 'examples/suites/sums.py'}:Sums"
    with WireServer(add) as server:
        words = ["eval", suite, "-m", f"{server.openai_url}#wire-1", "-j", str(tmp_path / "j.db")]
        begun = [sys.executable, "-m", "agentflow.cli.main", *words, "--on", "ray"]
        done = subprocess.run(begun, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "9/9" in done.stdout


@pytest.mark.long
def test_a_driver_that_is_killed_goes_on_with_resume_and_repeats_nothing_recorded(
    cluster: Any, tmp_path: Path
) -> None:
    held, is_open = Event(), Event()
    prompts: list[str] = []

    def slowly(seen: Seen) -> Answer:
        prompts.append(seen.turns[-1][1])
        if len(prompts) >= 12:
            held.set()
        return add(seen).but(hold=len(prompts) > 10 and not is_open.is_set())

    agentflow = [sys.executable, "-m", "agentflow.cli.main"]
    environment = {**os.environ, "OPENAI_API_KEY": "not-a-key"}
    with WireServer(slowly) as server:
        begun = [*agentflow, *command(server, tmp_path), "--on", f"ray://{cluster.address}"]
        with subprocess.Popen(begun, env=environment) as process:
            assert held.wait(120)
            process.send_signal(signal.SIGKILL)
            process.wait()
        is_open.set()
        server.release()
        resumed = [*agentflow, "eval", "--resume", "last", "-j", str(tmp_path / "j.db"), "--quiet"]
        done = subprocess.run(
            resumed, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
    assert done.returncode == 0, done.stderr
    assert "12/12" in done.stdout
    assert len(set(prompts)) == 24
    in_flight = 4
    assert len(prompts) <= 24 + in_flight
    assert b"not-a-key" not in (tmp_path / "j.db").read_bytes()
