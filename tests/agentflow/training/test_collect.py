"""Which runs and pairs become a data set, and what its files say."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow import Journal, Runner, ask, flow
from agentflow.errors import RunPausedError, TrainingDataError, UnknownRunError
from agentflow.models.protocol import Message
from agentflow.training import DataSet, Filters, collect, write
from agentflow.training.rewards import best, reward_of
from tests.agentflow.training.parts import taught
from tests.agentflow.training.test_formats import TALK

pytestmark = pytest.mark.anyio

ALL = Filters(keep=1)


@given(
    st.lists(st.floats(0, 1), max_size=40),
    st.floats(0.01, 1),
    st.none() | st.floats(0, 1),
)
def test_the_best_are_kept_and_equal_ones_in_order(
    rewards: list[float], keep: float, at_least: float | None
) -> None:
    kept = best(list(enumerate(rewards)), keep=keep, at_least=at_least)
    chosen = {index for index, _value in kept}
    left = [value for index, value in enumerate(rewards) if index not in chosen]
    assert len(kept) <= math.ceil(keep * len(rewards))
    assert at_least is not None or (not rewards or kept)
    assert kept == sorted(kept, key=lambda pair: (-pair[1], pair[0]))
    assert all(at_least is None or value >= at_least for _index, value in kept)
    if at_least is None and kept:
        assert max(left, default=0) <= kept[-1][1]


def test_seven_percent_of_a_hundred_are_seven() -> None:
    assert len(best([(n, 1.0) for n in range(100)], keep=0.07)) == 7


async def test_a_reward_is_the_mean_of_the_checks() -> None:
    assert reward_of((await taught({"solve": "return 1"}, expected=[1, 2])).record) == 0.5
    assert reward_of((await taught({"solve": "return 1"})).record) == 1.0


async def test_a_run_that_waits_for_a_person_has_no_reward_yet(journal: str) -> None:
    @flow
    async def asks() -> str:
        return await ask("how?")

    with pytest.raises(RunPausedError):
        await Runner(journal=journal).run_as("paused", asks)
    with Journal(journal) as opened:
        data = collect(opened, filters=ALL)
    assert (data.runs["unfinished"], data.runs["kept"], data.pairs) == (1, 0, ())


async def three(journal: str) -> None:
    """Record runs with rewards 0.5, 1 and 0.5; the third says what the first says."""
    await taught({"solve": "return 1"}, journal=journal, run="half", expected=[1, 2])
    await taught({"solve": "return 2"}, journal=journal, run="full", expected=[2])
    await taught({"solve": "return 1"}, journal=journal, run="copy", expected=[1, 2])


async def test_the_best_run_comes_first_and_equal_pairs_once(journal: str) -> None:
    await three(journal)
    with Journal(journal) as opened:
        data = collect(opened, filters=ALL)
        assert [pair.origin.run for pair in data.pairs] == ["full", "half"]
        assert (data.calls["seen"], data.calls["duplicate"], data.calls["taken"]) == (3, 1, 2)
        least = collect(opened, filters=Filters(keep=1, min_reward=0.6))
        assert [pair.origin.run for pair in least.pairs] == ["full"]
        named = collect(opened, ["copy", "half", "copy"], ALL)
        assert [pair.origin.run for pair in named.pairs] == ["copy"]
        assert named.runs["selected"] == 2
        part = collect(opened, filters=Filters(keep=0.4))
        assert [pair.origin.run for pair in part.pairs] == ["full", "half"]
        with pytest.raises(UnknownRunError):
            collect(opened, ["nobody"])


async def test_only_runs_of_the_planner_asked_for(journal: str) -> None:
    await taught({"solve": "return 1"}, journal=journal, run="code")
    await taught({"solve": "words"}, journal=journal, run="words", planner="direct")
    with Journal(journal) as opened:
        expansions = collect(opened, filters=ALL)
        assert [pair.origin.run for pair in expansions.pairs] == ["code"]
        assert expansions.calls["no_expansion"] == 1
        filters = Filters(keep=1, planner="direct", only="all-model-calls")
        assert [pair.origin.run for pair in collect(opened, filters=filters).pairs] == ["words"]


async def test_failed_versions_come_along_when_asked_for(journal: str) -> None:
    await taught({"solve": ["return 1 / 0", "return 1"]}, journal=journal)
    with Journal(journal) as opened:
        assert len(collect(opened, filters=ALL).pairs) == 1
        data = collect(opened, filters=Filters(keep=1, failed=True))
    assert [pair.origin.outcome for pair in data.pairs] == ["failed", "worked"]


async def test_equal_journals_give_equal_files_that_say_how_they_were_made(
    journal: str, tmp_path: Path
) -> None:
    await three(journal)
    written = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        with Journal(journal) as opened:
            settings = write(collect(opened, filters=ALL), folder / "pairs.jsonl")
        assert settings == folder / "pairs.settings.json"
        written.append(((folder / "pairs.jsonl").read_bytes(), settings.read_bytes()))
    assert written[0] == written[1]
    account = json.loads(written[0][1])
    assert account["filters"]["keep"] == 1
    assert account["rewards"]["kept"]["mean"] == pytest.approx(2 / 3)
    assert account["rewards"]["kept"]["count"] == 3
    assert (account["pairs"], account["runs"]["selected"]) == (2, 3)
    assert account["tokens"]["completion"] == 8


def small(text: str = "a2") -> DataSet:
    reply = Message(role="assistant", text=text)
    empty: dict[str, int] = {}
    return DataSet(
        filters=ALL,
        pairs=(TALK.model_copy(update={"reply": reply}),),
        runs=empty,
        calls=empty,
        taken_from=empty,
        rewards={},
    )


@pytest.mark.parametrize("there", ["pairs.jsonl", "pairs.settings.json"])
def test_no_file_is_replaced_unless_asked_for(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(TrainingDataError, match=f"{there}: it is there already"):
        write(small(), tmp_path / "pairs.jsonl")
    assert (tmp_path / there).read_text() == "mine"
    write(small(), tmp_path / "pairs.jsonl", force=True)
    assert (tmp_path / there).read_text() != "mine"


def test_a_format_that_cannot_say_it_leaves_no_file(tmp_path: Path) -> None:
    broken = small()
    turns = TALK.prompt[2:]
    broken = broken.model_copy(update={"pairs": (TALK.model_copy(update={"prompt": turns}),)})
    with pytest.raises(TrainingDataError):
        write(broken, tmp_path / "pairs.jsonl", "alpaca")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="cannot be written: No such file"):
        write(small(), tmp_path / "no" / "pairs.jsonl")


def test_a_secret_that_slipped_in_does_not_get_out(tmp_path: Path) -> None:
    write(small("sk-ant-" + "a" * 30), tmp_path / "pairs.jsonl")
    text = (tmp_path / "pairs.jsonl").read_text()
    assert "aaaa" not in text
    assert "[redacted:anthropic-key]" in text
