"""Results of other runs are taken over where that was asked for, never where there are effects."""

import anyio
import pytest

from agentflow import Flow, Reply, Runner, flow, generate, parallel, tool
from agentflow.journal.journal import Journal
from tests.parts import Scripted

pytestmark = pytest.mark.anyio

RUNS = 24
done: list[str] = []


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    done.clear()


@tool(cache=True)
async def lookup(word: str) -> str:
    """Look a word up."""
    done.append(f"lookup {word}")
    return word.upper()


@tool
async def plain(word: str) -> str:
    """Not cached."""
    done.append(f"plain {word}")
    return word


@tool(effect=True)
async def send(word: str) -> str:
    """Change something."""
    done.append(f"send {word}")
    return word


@flow(cache=True)
async def study(word: str) -> str:
    """Look up and think."""
    reply: Reply = await generate(f"think of {await plain(word)}")
    return await lookup(word) + reply.text


@flow(cache=True)
async def announce(word: str) -> str:
    """Has an effect below it, so it is never answered from another run."""
    return await send(word)


@flow
async def several(words: list[str]) -> list[str]:
    return await parallel(study(word) for word in words)


def runner(journal: str, **more: object) -> Runner:
    return Runner(journal=journal, model=Scripted(lambda prompt: f"<{prompt}>"), **more)  # type: ignore[arg-type]


async def test_the_same_call_in_another_run_gets_the_same_answer_and_says_whose_it_is(
    journal: str,
) -> None:
    first = await runner(journal).run_async(several, ["a", "b"])
    done.clear()
    second = await runner(journal).run_async(several, ["b", "c"])
    assert second.output == ["B<think of b>", "C<think of c>"]
    assert done == ["plain c", "lookup c"]
    taken = [step for step in second.record.steps.values() if "origin" in step.details]
    assert [step.name for step in taken] == ["study"]
    origin = taken[0].details["origin"]
    assert (origin["run"], origin["cache"]) == (first.id, True)
    with Journal(journal) as opened:
        assert opened.run(first.id).steps[origin["step"]].output == taken[0].output
    assert (await runner(journal).replay(several, second.id)).output == second.output


async def test_nothing_is_taken_over_unless_it_was_asked_for(journal: str) -> None:
    @flow
    async def uncached(word: str) -> str:
        reply: Reply = await generate(f"think of {await plain(word)}")
        return reply.text

    models = [Scripted(lambda prompt: prompt) for _ in range(2)]
    for model in models:
        await Runner(journal=journal, model=model).run_async(uncached, "a")
    assert [len(model.asked) for model in models] == [1, 1]
    assert done == ["plain a", "plain a"]


async def test_model_calls_are_cached_by_a_setting_of_the_run(journal: str) -> None:
    @flow
    async def thinks(prompt: str) -> str:
        reply: Reply = await generate(prompt)
        return reply.text

    model = Scripted(lambda prompt: f"{prompt}!")
    caching = Runner(journal=journal, model=model, cache_models=True)
    first = await caching.run_async(thinks, "same")
    second = await caching.run_async(thinks, "same")
    other = await caching.run_async(thinks, "other")
    assert (first.output, second.output, other.output) == ("same!", "same!", "other!")
    assert model.asked == ["same", "other"]
    assert first.usage.total_tokens > 0
    assert second.usage.total_tokens == 0, "an answer of another run costs nothing"
    changed = Scripted(lambda prompt: f"{prompt}?")
    changed.spec = changed.spec.model_copy(update={"temperature": 0.5})
    again = await Runner(journal=journal, model=changed, cache_models=True).run_async(
        thinks, "same"
    )
    assert again.output == "same?", "another setting of the model is another call"


async def test_what_has_effects_is_never_answered_from_another_run(journal: str) -> None:
    for _ in range(2):
        await runner(journal).run_async(announce, "news")
    assert done == ["send news", "send news"]
    with pytest.raises(ValueError, match="effects"):
        tool(effect=True, cache=True)(lambda: None)


async def test_changed_code_is_not_answered_from_before(journal: str) -> None:
    def before() -> Flow[..., str]:
        async def shout(word: str) -> str:
            return word + "!"

        return Flow(shout, cache=True)

    def after() -> Flow[..., str]:
        async def shout(word: str) -> str:
            return word + "!!"

        shout.__qualname__ = shout.__qualname__.replace("after", "before")
        return Flow(shout, cache=True)

    assert before().target == after().target
    await runner(journal).run_async(before(), "a")
    assert (await runner(journal).run_async(after(), "a")).output == "a!!"


async def test_failures_are_not_taken_over(journal: str) -> None:
    attempts: list[int] = []

    @tool(cache=True)
    async def flaky() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("not now")
        return "fine"

    @flow
    async def tries() -> str:
        return await flaky()

    with pytest.raises(Exception, match="not now"):
        await runner(journal).run_async(tries)
    assert (await runner(journal).run_async(tries)).output == "fine"


async def test_many_runs_at_once_in_one_process_do_not_wait_for_each_others_connections(
    any_journal: str,
) -> None:
    everybody = anyio.Event()
    here: list[int] = []

    @tool
    async def meet(number: int) -> int:
        """Wait until all runs are here."""
        here.append(number)
        if len(here) == RUNS:
            everybody.set()
        await everybody.wait()
        return number

    @flow
    async def visit(number: int) -> str:
        await meet(number)
        return await lookup("same")

    runs = runner(any_journal)
    async with anyio.create_task_group() as group:
        for number in range(RUNS):
            group.start_soon(runs.run_async, visit, number)
    assert len(here) == RUNS
