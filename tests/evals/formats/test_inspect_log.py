"""Logs that we write for Inspect, and what its own reader makes of them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from agentflow_evals.formats import inspect_log
from agentflow_evals.formats.inspect_events import events_of
from agentflow_evals.formats.reading import read
from agentflow_evals.record import Evaluation
from agentflow_evals.running.evaluator import Evaluator

from agentflow import Runner, flow, generate, parallel, tool
from agentflow.budget import Budget
from agentflow.errors import EvaluationError, ModelRequestError
from agentflow.journal.journal import Journal
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import Price
from tests.evals.arithmetic import doubles, plan_of
from tests.parts import Scripted

pytestmark = pytest.mark.anyio

INSPECT = os.environ.get("AGENTFLOW_INSPECT_PYTHON")  # a Python that has inspect_ai 0.3.285


def doubled(prompt: str) -> str:
    number = next(int(word.strip("?")) for word in prompt.split() if word.strip("?").isdigit())
    return "no idea" if number == 1 else str(2 * number)


async def evaluated(journal: str, *labels: str, repeat: int = 1) -> Evaluation:
    model = Scripted(doubled, price=Price(input=1, output=2))
    suite = doubles(3)
    plan = plan_of(suite, model, *labels, repeat=repeat)
    return await Evaluator(journal=journal, models={str(model.spec): model}).run(plan, suite)


def exported(evaluation: Evaluation, journal: str, target: Path) -> list[Path]:
    with Journal(journal) as opened:
        return inspect_log.write(evaluation, opened.run, target)


@pytest.mark.parametrize("name", ["log.json", "log.eval"])
async def test_a_log_read_back_is_the_evaluation(journal: str, tmp_path: Path, name: str) -> None:
    evaluation = await evaluated(journal, repeat=2)
    (path,) = exported(evaluation, journal, tmp_path / name)
    found = read(path)
    assert found.plan == evaluation.plan
    assert list(found.outcomes) == list(evaluation.outcomes)
    assert found.ended_at == pytest.approx(evaluation.ended_at)


async def test_a_folder_of_logs_is_one_evaluation(journal: str, tmp_path: Path) -> None:
    evaluation = await evaluated(journal, "short", "long")
    assert len(exported(evaluation, journal, tmp_path / "logs")) == 2
    assert list(read(tmp_path / "logs").outcomes) == list(evaluation.outcomes)


async def test_one_file_for_two_planners_is_refused(journal: str, tmp_path: Path) -> None:
    evaluation = await evaluated(journal, "short", "long")
    with pytest.raises(EvaluationError, match=r"2 pairs: give a folder"):
        exported(evaluation, journal, tmp_path / "log.json")
    assert not (tmp_path / "log.json").exists()


async def test_a_sample_shows_task_conversation_and_scores(journal: str, tmp_path: Path) -> None:
    evaluation = await evaluated(journal)
    (path,) = exported(evaluation, journal, tmp_path / "log.json")
    sample = json.loads(path.read_text())["samples"][1]
    assert (sample["id"], sample["epoch"], sample["target"]) == ("double 1", 1, "2")
    assert sample["input"] == "What is twice 1?"
    assert sample["messages"][-1]["content"] == "no idea"
    assert sample["scores"]["agentflow"]["value"] == "I"
    assert sample["scores"]["numeric"]["explanation"] == "'no idea' is not one number"
    usage = sample["model_usage"]["scripted/model"]
    assert usage["total_cost"] > 0
    assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"]


async def test_a_sample_whose_run_was_pruned_is_written_without_its_steps(
    journal: str, tmp_path: Path
) -> None:
    evaluation = await evaluated(journal)
    (path,) = inspect_log.write(evaluation, lambda _run: None, tmp_path / "log.json")
    assert json.loads(path.read_text())["samples"][0]["events"] == []
    assert list(read(path).outcomes) == list(evaluation.outcomes)


@tool
async def add(x: int, y: int) -> int:
    """Add two numbers."""
    return x + y


@tool
async def divide(x: int, y: int) -> float:
    """Divide two numbers."""
    return x / y


@flow
async def branch(number: int) -> str:
    found = await add(number, number)
    return (await generate(f"Say {found}", system="Be short.", tools=[add], stop=["."])).text


@flow
async def branches(count: int) -> list[Any]:
    found = await parallel(branch(number) for number in range(count))
    try:
        await divide(1, 0)
    except Exception:  # noqa: BLE001 - the record is what is looked at
        return found
    return []


async def recorded(journal: str) -> RunRecord:
    runner = Runner(journal=journal, model=Scripted(str.upper))
    run = (await runner.run_async(branches, 3)).id
    with Journal(journal) as opened:
        return opened.run(run)


async def test_events_are_spans_of_flows_around_calls(journal: str) -> None:
    events = events_of(await recorded(journal))
    opened: set[str] = set()
    for event in events:
        if event["event"] == "span_begin":
            assert event.get("parent_id") is None or event["parent_id"] in opened
            opened.add(event["id"])
        assert event["span_id"] in opened
        if event["event"] == "span_end":
            opened.remove(event["id"])
    assert not opened
    kinds = [event["event"] for event in events]
    assert [kinds.count(kind) for kind in ("span_begin", "model", "tool")] == [4, 3, 4]
    assert [event["timestamp"] for event in events] == sorted(
        event["timestamp"] for event in events
    )


async def test_a_failed_tool_is_an_error_of_its_event(journal: str) -> None:
    events = events_of(await recorded(journal))
    (failed,) = (event for event in events if event.get("error"))
    assert failed["function"] == "divide"
    assert failed["arguments"] == {"x": 1, "y": 0}
    assert "ZeroDivisionError" in failed["error"]["message"]


async def test_what_ended_a_sample_early_is_its_limit_or_error(
    journal: str, tmp_path: Path
) -> None:
    def broken(prompt: str) -> str:
        if "0?" in prompt:
            raise ModelRequestError(model="scripted:model", problem="no such route")
        return "word " * 400

    model, suite = Scripted(broken), doubles(2)
    plan = plan_of(suite, model).model_copy(update={"budget": Budget(steps=1)})
    evaluation = await Evaluator(journal=journal, models={str(model.spec): model}).run(plan, suite)
    (path,) = exported(evaluation, journal, tmp_path / "log.json")
    first, *_ = json.loads(path.read_text())["samples"]
    assert first["limit"]["type"] == "custom"
    assert first["limit"]["limit"] == 1
    assert [item.status for item in read(path).outcomes] == ["refused", "refused"]


@pytest.mark.skipif(INSPECT is None, reason="AGENTFLOW_INSPECT_PYTHON names no Python with Inspect")
@pytest.mark.parametrize("name", ["2026-01-01T00-00-00-00-00_doubles_1.json", "log.eval", "logs"])
async def test_inspect_itself_reads_our_logs(journal: str, tmp_path: Path, name: str) -> None:
    evaluation = await evaluated(journal, repeat=2)
    (path,) = exported(evaluation, journal, tmp_path / name)
    assert INSPECT is not None
    done = subprocess.run(
        [INSPECT, "-c", READING, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "status": "success",
        "samples": 6,
        "events": True,
        "summaries": 6,
        "accuracy": pytest.approx(2 / 3),
        "frame": [6, 2],
        "cost": True,
        "messages": 12,
    }


READING = """
import json, sys
from inspect_ai.analysis import events_df, evals_df, messages_df, samples_df
from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries
log = read_eval_log(sys.argv[1], resolve_attachments=True)
samples = samples_df(sys.argv[1])
print(json.dumps({
    "status": log.status,
    "samples": len(log.samples),
    "events": len(events_df(sys.argv[1])) > 0,
    "summaries": len(read_eval_log_sample_summaries(sys.argv[1])),
    "accuracy": float(evals_df(sys.argv[1])["score_agentflow_accuracy"][0]),
    "frame": [len(samples), int((samples["score_agentflow"] == "I").sum())],
    "cost": all(samples["model_usage"].str.contains("total_cost")),
    "messages": len(messages_df(sys.argv[1])),
}))
"""
