"""List scheduling: against the real permits on a clock that jumps, and against what is proved of it."""

import asyncio

import anyio
import pytest
from agentflow_evals.prediction.schedule import Job, critical_path_s, schedule
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.models.permits import Permits
from tests.evals.prediction.parts import run_jumping
from tests.parts import Scripted

NEAR = pytest.approx


@st.composite
def dags(draw: st.DrawFn) -> list[Job]:
    """Jobs with calls only; each needs some of those before it, and no two sums of times are equal."""
    jobs = []
    for place in range(draw(st.integers(1, 14))):
        needs = draw(st.sets(st.integers(0, place - 1), max_size=3)) if place else set()
        wait_s = draw(st.integers(1, 5)) + (2 + place) ** 0.5 * 1e-3
        jobs.append(Job(needs=tuple(sorted(needs)), pool="m", wait_s=wait_s))
    return jobs


permit_counts = st.integers(1, 6)


async def really(jobs: list[Job], permits: int) -> list[float]:
    """Run the jobs as tasks under the engine's own permits; return when each ended."""
    model = Scripted(str, concurrency=permits)
    limits, loop = Permits(), asyncio.get_running_loop()
    done = [anyio.Event() for _ in jobs]
    ends = [0.0] * len(jobs)

    async def work(place: int, job: Job) -> None:
        for other in job.needs:
            await done[other].wait()
        async with limits.permit(model):
            await anyio.sleep(job.wait_s)
        ends[place] = loop.time()
        done[place].set()

    async with anyio.create_task_group() as group:
        for place, job in enumerate(jobs):
            group.start_soon(work, place, job)
    return ends


@settings(max_examples=60, deadline=None)
@given(dags(), permit_counts)
def test_every_job_ends_when_it_does_under_the_engines_permits(jobs: list[Job], p: int) -> None:
    assert list(schedule(jobs, p).ends) == NEAR(run_jumping(really(jobs, p)))


@given(dags(), permit_counts)
def test_a_run_is_never_shorter_than_its_critical_path_or_its_work_over_the_permits(
    jobs: list[Job], p: int
) -> None:
    work_s, path_s = sum(job.attempt_s for job in jobs), critical_path_s(jobs, range(len(jobs)))
    assert schedule(jobs, p).seconds >= max(path_s, work_s / p) - 1e-9


@given(dags(), permit_counts)
def test_a_run_is_never_longer_than_grahams_bound(jobs: list[Job], p: int) -> None:
    work_s, path_s = sum(job.attempt_s for job in jobs), critical_path_s(jobs, range(len(jobs)))
    assert schedule(jobs, p).seconds <= work_s / p + (1 - 1 / p) * path_s + 1e-9


@given(dags())
def test_with_one_permit_a_run_takes_the_sum_of_its_calls(jobs: list[Job]) -> None:
    found = schedule(jobs, 1)
    assert found.seconds == NEAR(sum(job.attempt_s for job in jobs))
    assert found.held_s == NEAR(found.seconds)


@given(dags())
def test_with_permits_for_all_a_run_takes_its_critical_path(jobs: list[Job]) -> None:
    assert schedule(jobs, len(jobs)).seconds == NEAR(critical_path_s(jobs, range(len(jobs))))


@given(st.lists(st.floats(0.1, 9), min_size=1, max_size=20), permit_counts)
def test_calls_that_need_nothing_are_never_slower_with_one_more_permit(
    times: list[float], p: int
) -> None:
    jobs = [Job(pool="m", wait_s=wait_s) for wait_s in times]
    assert schedule(jobs, p + 1).seconds <= schedule(jobs, p).seconds + 1e-9


@given(dags(), permit_counts, st.floats(0, 0.5))
def test_work_on_the_engines_thread_never_makes_a_run_shorter_than_that_work(
    jobs: list[Job], p: int, busy_s: float
) -> None:
    busy = [
        Job(needs=job.needs, pool="m", send_s=busy_s, wait_s=job.wait_s, read_s=busy_s)
        for job in jobs
    ]
    assert schedule(busy, p).seconds >= 2 * busy_s * len(jobs) - 1e-9


def test_three_calls_at_once_send_and_read_one_after_the_other() -> None:
    found = schedule([Job(pool="m", send_s=1, wait_s=5, read_s=1)] * 3, 3)
    assert found.ends == (7, 8, 9)


def test_a_permit_is_free_before_the_step_has_been_committed() -> None:
    found = schedule([Job(pool="m", wait_s=3, tail_s=2)] * 2, 1)
    assert found.ends == (5, 8)


def test_other_work_takes_no_permit_and_models_do_not_share_theirs() -> None:
    jobs = [Job(pool="a", wait_s=4), Job(pool="b", wait_s=4), Job(wait_s=4)]
    assert schedule(jobs, 1).seconds == 4


def test_more_permits_can_take_longer_as_in_grahams_example() -> None:
    times = [3, 2, 2, 2, 4, 4, 4, 4, 9]
    needs: dict[int, tuple[int, ...]] = {8: (0,), 4: (3,), 5: (3,), 6: (3,), 7: (3,)}
    jobs = [
        Job(needs=needs.get(place, ()), pool="m", wait_s=wait_s)
        for place, wait_s in enumerate(times)
    ]
    assert (schedule(jobs, 3).seconds, schedule(jobs, 4).seconds) == (12, 15)
