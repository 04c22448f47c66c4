"""The figures of a call: from records made up with known figures, and from a run against a real server."""

import pytest
from agentflow_evals.prediction.figures import fit_figures
from agentflow_evals.prediction.shape import Call

from agentflow import ModelSpec, Runner, flow, generate, parallel
from agentflow.errors import EvaluationError
from agentflow.journal.records import RunRecord
from agentflow.models.protocol import Price, Usage
from tests.evals.prediction.parts import recorded, usage
from tests.wire import WireServer, says

LONG = Call(input_tokens=1000, output_tokens=100)
GAP_S, REST_S, OPENING_S = 0.02, 0.004, 0.5


def in_turn(price: Price | None = None) -> RunRecord:
    """Calls one after the other: 0.1 s and 0.2 ms a prompt token and 3 ms a token written."""
    now, calls = 0.0, []
    for place in range(12):
        read, written = 40 + 60 * (place % 4), 5 + 10 * (place % 3)
        attempt_s = 0.1 + 0.0002 * read + 0.003 * written
        end = now + attempt_s + REST_S + (OPENING_S if place == 0 else 0)
        used = Usage(input_tokens=read, output_tokens=written)
        details = {
            "usage": usage(read, written),
            "attempt_s": attempt_s,
            "thread_s": 0.005 + 0.0001 * written,
            "cost_usd": None if price is None else price.cost_usd(used),
        }
        calls.append((now, end, details))
        now = end + GAP_S
    return recorded(*calls)


def test_figures_of_calls_in_turn_are_what_the_calls_were_made_with() -> None:
    found = fit_figures([in_turn()])
    assert found.latency.seconds(LONG) == pytest.approx(0.6, rel=0.01)
    assert found.thread.seconds(LONG) == pytest.approx(0.015, rel=0.01)
    assert found.overhead_s == pytest.approx(REST_S)
    assert found.opening_s == pytest.approx(OPENING_S)
    assert found.gap_s == pytest.approx(GAP_S)
    assert found.spread == pytest.approx(0, abs=1e-3)


def test_cached_input_takes_no_time() -> None:
    found = fit_figures([in_turn()])
    cached = Call(input_tokens=1000, cached_tokens=1000, output_tokens=100)
    assert found.latency.seconds(cached) == pytest.approx(0.4, rel=0.01)


def test_a_price_that_nobody_lists_is_read_off_the_recorded_costs() -> None:
    price = Price(input=3.0, output=15.0)
    cost = fit_figures([in_turn(price)]).cost_usd(LONG)
    assert cost == pytest.approx(price.cost_usd(Usage(input_tokens=1000, output_tokens=100)))


def test_an_unknown_price_stays_unknown() -> None:
    assert fit_figures([in_turn()]).cost_usd(LONG) is None


def test_waiting_for_a_permit_is_no_latency() -> None:
    details = {"usage": usage(50, 9), "attempt_s": 1.0, "thread_s": 0.01}
    queued = recorded(*((0.0, float(end), details) for end in range(1, 6)))
    assert fit_figures([queued]).latency.seconds(Call(input_tokens=50, output_tokens=9)) == 1.0


def test_calls_that_had_the_engine_to_themselves_tell_the_latency_where_there_are_enough() -> None:
    size = {"usage": usage(50, 9), "thread_s": 0.01}
    alone = [(n, n + 1, {**size, "attempt_s": 1.0}) for n in range(0, 8, 2)]
    crowded = [(20, 23, {**size, "attempt_s": 3.0}) for _ in range(20)]
    found = fit_figures([recorded(*alone, *crowded)])
    assert found.latency.fixed_s == pytest.approx(1.0)
    assert found.calls == 4


def test_calls_from_before_attempts_were_timed_count_only_where_they_were_alone() -> None:
    old = {"usage": usage(50, 9)}
    alone = recorded((0, 1, old), (2, 3, old), (4, 5, old), (6, 7, old))
    assert fit_figures([alone]).latency.fixed_s == pytest.approx(1)
    with pytest.raises(EvaluationError, match="own time is known"):
        fit_figures([recorded((0, 1, old), (0, 2, old), (0, 3, old))])


def test_answers_taken_over_from_another_run_are_no_measurement() -> None:
    details = {"usage": usage(50, 9), "attempt_s": 1.0, "origin": {"run": "r0", "step": 2}}
    with pytest.raises(EvaluationError, match="no call"):
        fit_figures([recorded((0, 0.001, details))])


@flow
async def three_at_once() -> None:
    await parallel(generate(f"say {n}") for n in range(3))


def test_a_run_records_the_time_of_each_attempt_without_the_wait_for_its_permit(
    journal: str,
) -> None:
    with WireServer(lambda _seen: says("ok")) as server:
        spec = ModelSpec(provider="openai", name="m", base_url=server.openai_url, concurrency=1)
        record = Runner(model=spec, journal=journal).run(three_at_once).record
    calls = [step for step in record.steps.values() if step.kind == "model"]
    attempts = [step.details["attempt_s"] for step in calls]
    assert all(0 <= step.details["thread_s"] <= step.details["attempt_s"] for step in calls)
    assert sum(attempts) <= (record.seconds or 0) * 1.01
    assert fit_figures([record]).calls == 3
