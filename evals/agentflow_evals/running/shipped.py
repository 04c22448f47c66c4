"""Run the cells of an evaluation on the nodes of a cluster, each as it would be run here.

Owns both ends: the laboratory of the driver, which sends cells to workers, and what a worker does with one. A
cell's run is written by the worker into the evaluation's own journal; when its worker is lost, another goes on with
that run.
"""

import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

import anyio
import anyio.to_thread
from sqlalchemy.engine import make_url

from agentflow.cluster.shipping.fleet import Fleet
from agentflow.cluster.shipping.starting import cluster_address
from agentflow.cluster.shipping.wire import Known, Setup
from agentflow.cluster.shipping.worker import Bench
from agentflow.errors import (
    JournalError,
    NodeRefusedError,
    RunBusyError,
    SandboxUnavailableError,
    WorkLostError,
)
from agentflow.journal.engines import store_url
from agentflow.journal.journal import Journal
from agentflow.journal.lease import LEASE_S, RENEW_S
from agentflow.models.protocol import Model
from agentflow_evals.outcome import Cell, Outcome
from agentflow_evals.plan import EvaluationPlan
from agentflow_evals.running.laboratory import Laboratory, run_of
from agentflow_evals.suite import Sample

OPENER = "agentflow_evals.running.shipped:open_laboratory"
PACKAGES = ("agentflow", "agentflow_evals", "agentflow_planners", "agentflow_tools")
A_CORE = 2  # cells under way: one computes while the other waits for a model
PATIENCE_S = LEASE_S + RENEW_S  # until the run of a worker that is gone may be taken over
LOOK_S = 0.5
SANDBOX = "see docs/sandbox.md for what confines generated code there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """What the workers of an evaluation are opened with."""

    evaluation: str
    plan: EvaluationPlan
    journal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedCell:
    """A cell on its way, with its sample: nodes need not have the suite. For the rest, see `Laboratory`."""

    cell: Cell
    sample: Sample
    goes_on: bool
    accept_changes: bool


@dataclass(kw_only=True)
class ShippedLaboratory(Laboratory):
    """A laboratory whose cells are run by the workers of a fleet."""

    fleet: Fleet

    async def outcome(self, cell: Cell) -> Outcome:
        """Return what came of a cell; see `Laboratory.outcome`.

        One that ends its worker each time says nothing about its planner.

        Raises:
            NodeRefusedError, ClusterError: There is no node for it.
        """
        first = ShippedCell(
            cell=cell,
            sample=self.samples[cell.sample],
            goes_on=self.goes_on,
            accept_changes=self.accept_changes,
        )
        what = f"{cell.sample} under {cell.planner} with {cell.model}"
        try:
            outcome: Outcome = await self.fleet.done(what, first, replace(first, goes_on=True))
        except (WorkLostError, RunBusyError) as error:
            return Outcome(
                **cell._asdict(),
                run=run_of(self.evaluation, cell),
                status="error",
                value=0.0,
                reason=f"{type(error).__name__}: {error}",
            )
        return outcome


@asynccontextmanager
async def shipped(here: Laboratory, on: str, *, is_free: bool) -> AsyncIterator[ShippedLaboratory]:
    """Give a laboratory as `here`, with workers on the cluster that `on` names.

    Args:
        here: What the cells would be run with in this process.
        on: `ray`, `ray://HOST:PORT` or `ray://auto`.
        is_free: Whether more cells may be under way than the models ask for, so that all cores have work.

    Raises:
        ValueError: It names no cluster.
        MissingExtraError: Ray is not installed.
        JournalError: The journal is in the memory of this process.
        ClusterError: The cluster cannot be joined.
    """
    shipment = Shipment(
        evaluation=here.evaluation, plan=here.plan, journal=shared_journal(here.journal)
    )
    specs = [entrant.spec for entrant in here.plan.models]
    keys = tuple(spec.api_key_env for spec in specs if spec.api_key_env)
    setup = Setup(
        opener=OPENER,
        given=shipment,
        packages=PACKAGES,
        folder=str(Path.cwd()),
        models={spec.model_dump_json(): _known(here.resources.model(spec)) for spec in specs},
    )
    async with Fleet(cluster_address(on), setup, here.resources, here.within, keys=keys) as fleet:
        at_once = max(here.at_once, A_CORE * fleet.cores) if is_free else here.at_once
        fleet.limit(at_once)
        kept = {field.name: getattr(here, field.name) for field in fields(Laboratory)}
        yield ShippedLaboratory(**{**kept, "at_once": at_once}, fleet=fleet)


def _known(model: Model) -> Known:
    return Known(price=model.price, concurrency=model.concurrency)


def shared_journal(journal: str | Path | None) -> str:
    """Return the address by which other processes find a journal.

    Raises:
        JournalError: It is in the memory of this one.
    """
    url = store_url(journal)
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        problem = "no other process can write it, so nothing can run on a cluster; name a file or a PostgreSQL database"
        raise JournalError(store=":memory:", problem=problem)
    return url


async def open_laboratory(
    shipment: Shipment, bench: Bench
) -> Callable[[ShippedCell], Awaitable[Outcome]]:
    """Return what runs the cells of an evaluation in this process.

    Raises:
        NodeRefusedError: The evaluation's journal cannot be reached from here.
    """
    await anyio.to_thread.run_sync(_check_journal, shipment)
    laboratory = Laboratory(
        evaluation=shipment.evaluation,
        plan=shipment.plan,
        samples={},
        journal=shipment.journal,
        resources=bench.resources,
        within=bench.within,
        at_once=1,
    )

    async def work(sent: ShippedCell) -> Outcome:
        one = replace(
            laboratory,
            samples={sent.sample.id: sent.sample},
            goes_on=sent.goes_on,
            accept_changes=sent.accept_changes,
        )
        outcome = await _patiently(one, sent.cell)
        name, _, problem = outcome.reason.partition(": ")
        if not outcome.is_counted and name == SandboxUnavailableError.__name__:
            raise NodeRefusedError(node=socket.gethostname(), problem=problem, remedy=SANDBOX)
        return outcome

    return work


async def _patiently(laboratory: Laboratory, cell: Cell) -> Outcome:
    """Return the outcome of a cell, waiting for the worker that had its run before to be known as gone."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await laboratory.outcome(cell)
        except RunBusyError:
            if time.monotonic() > until:
                raise
            laboratory = replace(laboratory, goes_on=True)
            await anyio.sleep(LOOK_S)


def _check_journal(shipment: Shipment) -> None:
    remedy = (
        "a journal in a file serves nodes on one machine; for more, use one in PostgreSQL that "
        "they all reach"
    )
    try:
        with Journal(shipment.journal) as journal:
            journal.find(shipment.evaluation)
    except JournalError as error:
        problem = f"it does not find the evaluation in its journal: {error}"
        raise NodeRefusedError(node=socket.gethostname(), problem=problem, remedy=remedy) from error
