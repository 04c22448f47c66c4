"""The figures of a journal are those one counts by hand."""

import pytest

from agentflow import Runner
from agentflow.journal.journal import Journal
from agentflow.journal.upkeep.stats import stats
from tests.agentflow.journal.upkeep.parts import LONG, asks, opened, runner, shouts, talk

pytestmark = pytest.mark.anyio


async def test_the_figures_are_right(journal: str) -> None:
    loud = LONG.upper() * 40
    await runner(journal).run_as("big", shouts, [LONG, LONG])
    await runner(journal).run_as("small", shouts, ["a"])
    with pytest.raises(Exception, match="nothing"):
        await runner(journal).run_as("bad", shouts, [""])
    with pytest.raises(Exception, match="paused"):
        await runner(journal).run_as("asks", asks)
    with opened(journal) as store:
        found = stats(store)
    with Journal(journal) as listed:
        records = list(listed.runs())
        events = sum(len(listed.events(record.id)) for record in records)
    assert found.runs == {"failed": 1, "paused": 1, "succeeded": 2}
    assert found.events == events
    assert found.steps == sum(len(record.steps) for record in records)
    assert found.bytes_per_step == found.file_bytes / found.steps
    assert found.file_bytes > 30_000
    assert [run.run for run in found.biggest[:2]] == ["big", "bad"]
    assert found.biggest[0].steps == 3
    # The second shout of the same text, its input too, and what the two runs say alike.
    assert found.saved_bytes >= len(loud) + len(LONG)
    assert len(loud) < found.biggest[0].content_bytes < 5 * len(loud)
    assert found.payload_bytes > len(loud)


async def test_cached_answers_are_counted(journal: str) -> None:
    model = runner(journal).model
    await Runner(journal=journal, model=model, cache_models=True).run_async(talk, 3)
    with opened(journal) as store:
        assert stats(store).cached_answers == 3


async def test_annotations_are_counted(journal: str) -> None:
    await runner(journal).run_as("one", shouts, ["a"])
    with Journal(journal) as found:
        found.annotate("one", "this")
        found.annotate("one", "and that", step=1)
    with opened(journal) as store:
        assert stats(store).annotations == 2


async def test_an_empty_journal_has_figures_too(journal: str) -> None:
    with opened(journal, create=True) as store:
        found = stats(store)
    assert (found.runs, found.steps, found.bytes_per_step, found.biggest) == ({}, 0, None, ())
