"""A flow inside a node of LangGraph.

Owns the run that the flow has there. Its id follows from LangGraph's thread and task, so a node that
LangGraph starts again goes on with its own run: what finished in it is not done again, in the same process or
another. A question to a person pauses that run and becomes an `interrupt()`, and its answer goes back to
the run. Where the graph itself runs below a flow of ours, the flow is a step there and there is no other run.
"""

import dataclasses
import hashlib
import json
from typing import Any

import anyio.to_thread
from langchain_core.runnables import RunnableConfig
from langgraph._internal._constants import CONF, CONFIG_KEY_THREAD_ID
from langgraph.types import interrupt

from agentflow.engine.lineage import FRAME
from agentflow.errors import AskError, RunPausedError, UnknownRunError
from agentflow.flows import Flow
from agentflow.interop.langgraph.places import branch, namespace_of, place_of
from agentflow.journal.answering import check_answer
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord, StepRecord
from agentflow.journal.store import Store
from agentflow.runner import Runner, new_run_id


async def hosted(
    runner: Runner, flow: Flow[..., Any], arguments: dict[str, Any], config: RunnableConfig
) -> Any:
    """Return what `flow` returns, in a run of its own or as a step of the run that is active here.

    Raises:
        GraphInterrupt: It waits for a person; LangGraph takes care of that.
        Exception: What the flow raised.
    """
    if FRAME.get(None) is not None:
        with branch(place_of(config)):
            return await flow(**arguments)
    thread = config[CONF].get(CONFIG_KEY_THREAD_ID)
    run = new_run_id() if thread is None else _run_of(str(thread), namespace_of(config))
    if thread is not None:
        runner = dataclasses.replace(runner, labels={**runner.labels, "langgraph": str(thread)})
    return await _Guest(runner, flow, run).go(arguments)


def _run_of(thread: str, namespace: str) -> str:
    return hashlib.blake2b(f"{thread}\0{namespace}".encode(), digest_size=16).hexdigest()


class _Guest:
    """The run of one node, from wherever it stands."""

    def __init__(self, runner: Runner, flow: Flow[..., Any], run: str) -> None:
        self._runner, self._flow, self._run = runner, flow, run

    async def go(self, arguments: dict[str, Any]) -> Any:
        record = await self._record()
        if record is not None and record.status == "succeeded" and record.output is not None:
            return self._flow.signature.read_output(record.output)
        if record is not None:
            _pass_over(record)
        while True:
            try:
                if record is None:
                    found = await self._runner.run_as(self._run, self._flow, **arguments)
                else:
                    await self._answer_first(record)
                    found = await self._runner.resume(self._flow, self._run)
            except RunPausedError:
                record = await self._record()
                if record is None or not record.questions:
                    raise  # the journal keeps nothing, or nothing could be asked
            else:
                return found.output

    async def _record(self) -> RunRecord | None:
        """Return what is recorded of the run; None before it has begun."""

        def read() -> RunRecord | None:
            store = Store(self._runner.journal)  # which may be new
            try:
                name, number = store.find_run(self._run)
                record = RunRecord.of(name, store.events(number))
            except UnknownRunError:
                return None
            finally:
                store.close()
            return record if record.last_event else None

        return await anyio.to_thread.run_sync(read)

    async def _answer_first(self, record: RunRecord) -> None:
        """Interrupt the node for an open question, and hand the answer to the run."""
        questions = record.questions if record.status == "paused" else []
        if not questions:
            return  # it was cut short or it failed, and goes on by itself
        question = min(questions, key=lambda step: step.key)  # the same one whenever this is asked
        answer = _answer_to(question, self._run)

        def leave() -> None:
            with Journal(self._runner.journal) as journal:
                journal.answer(self._run, answer, step=question.number)

        await anyio.to_thread.run_sync(leave)


def _pass_over(record: RunRecord) -> None:
    """Take the answers that the run has already: LangGraph gives them again from the first one on."""
    asked = [step for step in record.steps.values() if step.kind == "ask"]
    answered = [step for step in asked if step.details.get("by") == "store"]
    for question in sorted(answered, key=lambda step: step.finished_event):
        _answer_to(question, record.id)


def _answer_to(question: StepRecord, run: str) -> Any:
    """Interrupt until the answer fits the question."""
    asked = {name: item for name, item in json.loads(question.input).items() if item}
    shown = {"question": asked.pop("text", ""), **asked, "run": run, "step": question.number}
    while True:
        answer = interrupt(shown)
        try:
            check_answer(question, answer if isinstance(answer, str) else json.dumps(answer))
        except AskError as error:
            shown = {**shown, "problem": str(error)}
        else:
            return answer
