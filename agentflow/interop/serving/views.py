"""Runs and their events as clients see them.

Owns the words of the runs API. What goes in and out of steps stays in the journal: a client sees which steps there are,
what became of them and what they cost, and of the run its answer.
"""

import json
from typing import Any

from agentflow.interop.serving.accepted import Accepted
from agentflow.interop.serving.offers import Offer, plain
from agentflow.interop.serving.refusals import told
from agentflow.journal.answering import question_text
from agentflow.journal.events import (
    Event,
    Expanded,
    Noted,
    RunFinished,
    RunStarted,
    StepCancelled,
    StepFailed,
    StepFinished,
    StepStarted,
    TextStreamed,
)
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.models.protocol import Usage

NAMES: dict[type, str] = {
    RunStarted: "run_started",
    StepStarted: "step_started",
    StepFinished: "step_finished",
    StepFailed: "step_failed",
    StepCancelled: "step_cancelled",
    Expanded: "step_expanded",
    Noted: "note",
    RunFinished: "run_finished",
    TextStreamed: "text",
}
ACCEPTED = "run_accepted"  # its beginning, before anybody carries it out
ENDED = ("succeeded", "failed", "cancelled")


def status_of(run: Accepted, state: str | None) -> str:
    """Return how a run stands: `state` is that in this process, if it waits or goes on here."""
    if run.status in ENDED:
        return run.status
    if state is not None:
        return state
    if run.status == "running" and not run.is_elsewhere:  # in our name, and nobody carries it out
        return "interrupted"
    return "interrupted" if run.status == "stopped" else run.status


def head(run: Accepted, state: str | None) -> dict[str, Any]:
    """Return a run as it stands in a list."""
    return {
        "id": run.id,
        "object": "run",
        "flow": run.offer,
        "status": status_of(run, state),
        "created_at": run.created_at,
        "ended_at": run.ended_at,
        "steps": run.steps,
        "tokens": run.tokens,
        "cost_usd": run.cost_usd,
    }


def whole(
    run: Accepted,
    state: str | None,
    record: RunRecord,
    offer: Offer | None,
    problem: dict[str, str] | None,
) -> dict[str, Any]:
    """Return a run with its answer."""
    output, status = record.value(), status_of(run, state)
    view = head(run, state) | {
        "steps": len(record.steps),
        "tokens": record.usage.total_tokens,
        "cost_usd": record.cost_usd,
        "usage": usage(record.usage),
        "answer": output if offer is None else offer.answer(output),
        "error": None,
        "questions": [],
        "events": f"/runs/{run.id}/events",
    }
    if record.failure is not None:
        view["error"] = told(record.failure, run.id)
    elif problem is not None and status == "interrupted":
        view["error"] = problem
    if status in ("paused", "running"):
        view["questions"] = [_question(step) for step in record.questions]
    verdicts = None if offer is None else offer.verdicts(output)
    return view if verdicts is None else view | {"checks": verdicts}


def usage(used: Usage) -> dict[str, int]:
    """Return tokens by name."""
    return used.model_dump() | {"total_tokens": used.total_tokens}


def event(happened: Event, run: str) -> dict[str, Any]:
    """Return an event of a run."""
    view: dict[str, Any] = {"number": happened.number, "at": happened.at}
    if not isinstance(happened, RunStarted | RunFinished):
        view["step"] = happened.step
    match happened:
        case RunStarted():
            view["flow"] = happened.flow
        case StepStarted():
            view |= {"parent": happened.parent, "name": happened.name, "kind": happened.kind}
        case StepFinished():
            view |= _spent(happened)
        case StepFailed():
            view |= {"refused": happened.refused, "error": told(happened.failure, run)}
        case Expanded():
            view["kind"] = happened.kind
        case Noted():
            view["text"] = _remark(happened)
        case TextStreamed():
            view["text"] = happened.text
        case RunFinished():
            view["status"] = happened.status
            view |= {} if happened.failure is None else {"error": told(happened.failure, run)}
    return view


def told_event(happened: Event, run: str) -> bytes:
    """Return an event as it goes over the wire; what is not in the journal has no number to go on from."""
    number = b"" if isinstance(happened, TextStreamed) else b"id: %d\n" % happened.number
    is_first = isinstance(happened, RunStarted) and happened.number == 1
    name = ACCEPTED if is_first else NAMES[type(happened)]
    return number + b"event: " + name.encode() + b"\ndata: " + plain(event(happened, run)) + b"\n\n"


def _spent(happened: StepFinished) -> dict[str, Any]:
    details = happened.details
    spent = {name: details[name] for name in ("usage", "cost_usd", "model") if name in details}
    return spent | ({"reused": True} if "origin" in details else {})


def _remark(happened: Noted) -> str:
    retry = happened.details.get("retry")  # its words are those of a server behind us
    return happened.text if retry is None else f"attempt {retry} failed"


def _question(step: StepRecord) -> dict[str, Any]:
    asked = json.loads(step.input)
    view = {"step": step.number, "text": question_text(step)}
    view["choices"] = list(asked.get("choices") or ())
    return view | {"answer_schema": asked.get("answer_schema")}
