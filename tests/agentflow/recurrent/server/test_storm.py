"""No wrong answer, nothing left behind and nobody starved, while clients come and go."""

from pathlib import Path

import pytest

from tests.agentflow.recurrent.folders import model_folder
from tests.agentflow.recurrent.server.storm import Ask, Report, Told, difference, storm

pytestmark = pytest.mark.anyio
SNAPSHOT_MB = 2.2  # the budget, and the one that is just being made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return model_folder("xlstm", tmp_path / "small")


def check(report: Report) -> None:
    assert not report.wrong, report
    assert not report.errors, report
    assert report.completed > report.clients, report
    assert report.left, report
    assert report.ties <= report.completed / 500 + 1, report
    assert max(report.snapshot_mb) <= SNAPSHOT_MB, report
    for nothing in ("running", "waiting", "failed_total", "pinned"):
        assert not report.after[nothing], report
    assert report.after["tasks"] <= 4, report  # the server's own, and the one that tells the number


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_short_storm_leaves_nothing_behind(folder: Path) -> None:
    check(await storm(folder, seconds=6, clients=8, requests=12))


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_ten_minutes_of_64_clients_leave_nothing_behind(folder: Path) -> None:
    report = await storm(folder, seconds=600, clients=64, requests=96)
    check(report)
    assert report.growth < 0.05, report
    quickest, middle, slowest = report.client_medians_s
    assert slowest < 2 * middle < 4 * quickest, report
    assert report.least_completed > 0, report


ALONE: Told = [("a", -1.0, 2.0), ("b", -0.5, 1.0)]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (ALONE, None),
        ([ALONE[0], ("c", -0.5, 1.0)], "token 1"),
        ([ALONE[0], ("b", -0.6, 1.0)], "odds"),
        ([ALONE[0], ("b", -0.5, 1.1)], "odds"),
        (ALONE[:1], "2, now 1"),
    ],
)
async def test_a_wrong_answer_is_seen(now: Told, expected: str | None) -> None:
    found = difference(Ask(0, {"temperature": 0}), ALONE, now)
    assert found is None if expected is None else expected in (found or "")


async def test_only_a_tie_excuses_another_token() -> None:
    alone, now = [("a", -1.0, 0.0005)], [("b", -1.0, 0.0005)]
    greedy, sampled = Ask(0, {"temperature": 0}), Ask(0, {"temperature": 1})
    assert difference(greedy, alone, now) == ""
    assert difference(greedy, [("a", -1.0, 0.5)], [("b", -1.5, 0.5)])
    assert difference(sampled, [("a", -1.0, 0.5)], [("b", -1.5, 0.5)]) == ""
    assert difference(sampled, [("a", -1.0, 0.5)], [("b", -1.5, 0.6)])
