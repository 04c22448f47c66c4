"""Kill a run at any moment: it resumes to the same result and repeats nothing that was committed."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.faults.storm import ForkServer, Storm, fork_server
from tests.faults.trees import Node, trees


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with fork_server() as running:
        yield running


def weather(server: ForkServer, journal: str, folder: Path, *, trials: int, kills: int) -> None:
    """Have `trials` random trees killed `kills` times each."""
    trial = 0

    @settings(
        max_examples=trials,
        phases=[Phase.generate],  # a death at another moment is another case: nothing to shrink
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(tree=trees, seed=st.integers(0, 2**32))
    def storms(tree: Node, seed: int) -> None:
        nonlocal trial
        dice, left = random.Random(seed), kills
        while left:
            trial += 1
            storm = Storm(server, journal, folder / f"{trial}.calls", tree, dice)
            storm.pass_over(left)
            left -= storm.kills

    storms()


@pytest.mark.slow
def test_a_killed_run_comes_to_the_same_end_and_repeats_nothing(
    server: ForkServer, sqlite_journal: str, tmp_path: Path
) -> None:
    weather(server, sqlite_journal, tmp_path, trials=4, kills=5)


@pytest.mark.slow
def test_the_same_holds_in_postgresql(
    server: ForkServer, postgres_journal: str, tmp_path: Path
) -> None:
    weather(server, postgres_journal, tmp_path, trials=2, kills=3)


@pytest.mark.long
def test_three_hundred_kills(server: ForkServer, sqlite_journal: str, tmp_path: Path) -> None:
    weather(server, sqlite_journal, tmp_path, trials=75, kills=4)


@pytest.mark.long
def test_sixty_kills_in_postgresql(
    server: ForkServer, postgres_journal: str, tmp_path: Path
) -> None:
    weather(server, postgres_journal, tmp_path, trials=15, kills=4)
