"""A question pauses the run durably and is answered from anywhere."""

import textwrap
from pathlib import Path

import anyio
import pytest

from agentflow import Journal, Runner, RunPausedError, ask, flow, parallel, tool
from agentflow.errors import AskError
from tests import warm

pytestmark = pytest.mark.anyio

worked: list[str] = []


@pytest.fixture(autouse=True)
def nothing_worked() -> None:
    worked.clear()


@tool
async def work(what: str) -> str:
    """Do some work."""
    worked.append(what)
    await anyio.sleep(0.01)
    return what


@flow
async def deploy() -> str:
    """Ask before and while something goes on."""
    built = await work("build")
    go, tested = await parallel(ask("deploy?", choices=("yes", "no")), work("test"))
    if go == "no":
        return "stopped"
    count = await ask("how many?", output=int)
    return f"{built} {tested} on {count}"


async def paused(journal: str) -> RunPausedError:
    with pytest.raises(RunPausedError) as caught:
        await Runner(journal=journal).run_async(deploy)
    return caught.value


async def test_a_run_does_all_it_can_then_pauses_and_says_what_it_asks(journal: str) -> None:
    error = await paused(journal)
    assert worked == ["build", "test"], "the other branch goes on to its end"
    assert [question["text"] for question in error.questions] == ["deploy?"]
    assert f"agentflow answer {error.run}" in str(error)
    with Journal(journal) as opened:
        assert opened.heads()[0].status == "paused"
        assert [question.number for question in opened.run(error.run).questions] == [3]


async def test_an_answered_run_goes_on_without_repeating_anything(journal: str) -> None:
    error = await paused(journal)
    worked.clear()
    with Journal(journal) as opened:
        assert opened.answer(error.run, "yes") == 3
    with pytest.raises(RunPausedError, match="how many"):
        await Runner(journal=journal).resume(deploy, error.run)
    with Journal(journal) as opened:
        opened.answer(error.run, 3)
    result = await Runner(journal=journal).resume(deploy, error.run)
    assert result.output == "build test on 3"
    assert worked == []
    assert (await Runner(journal=journal).replay(deploy, error.run)).output == "build test on 3"
    with Journal(journal) as opened, pytest.raises(AskError, match="asks nothing"):
        opened.answer(error.run, "yes")


async def test_an_answer_that_does_not_fit_is_refused_before_the_run_sees_it(journal: str) -> None:
    error = await paused(journal)
    with Journal(journal) as opened:
        with pytest.raises(AskError, match="'perhaps' is not one of yes, no"):
            opened.answer(error.run, "perhaps")
        with pytest.raises(AskError, match="asks nothing at step 1"):
            opened.answer(error.run, "yes", step=1)
        opened.answer(error.run, "yes")
    with pytest.raises(RunPausedError):
        await Runner(journal=journal).resume(deploy, error.run)
    with Journal(journal) as opened, pytest.raises(AskError, match="does not fit"):
        opened.answer(error.run, "many")


async def test_resuming_before_there_is_an_answer_pauses_again(journal: str) -> None:
    error = await paused(journal)
    with pytest.raises(RunPausedError, match="deploy"):
        await Runner(journal=journal).resume(deploy, error.run)
    assert worked == ["build", "test"]


async def test_a_process_that_waits_takes_the_answer_when_it_comes(journal: str) -> None:
    runner = Runner(journal=journal, answer_wait_s=20)
    results: list[str] = []

    async def run() -> None:
        results.append((await runner.run_as("waiting", deploy)).output)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        with anyio.fail_after(15):
            while True:
                await anyio.sleep(0.05)
                if "test" not in worked:  # before that there may be no journal yet
                    continue
                with Journal(journal) as opened:
                    heads = opened.heads()
                    if heads and opened.run("waiting").questions:
                        assert heads[0].status == "running"
                        opened.answer("waiting", "no")
                        break
    assert results == ["stopped"]


async def test_two_questions_at_once_are_told_apart_by_step(journal: str) -> None:
    @flow
    async def both() -> str:
        return " ".join(await parallel(ask("first?"), ask("second?")))

    with pytest.raises(RunPausedError) as caught:
        await Runner(journal=journal).run_async(both)
    run, questions = caught.value.run, caught.value.questions
    with Journal(journal) as opened:
        with pytest.raises(AskError, match="say which step: 2, 3"):
            opened.answer(run, "x")
        for question in questions:
            opened.answer(run, question["text"].upper(), step=question["step"])
    assert (await Runner(journal=journal).resume(both, run)).output == "FIRST? SECOND?"


async def test_a_question_without_an_answer_in_time_takes_its_default(journal: str) -> None:
    @flow
    async def patient() -> str:
        return await ask("still there?", default="no", timeout_s=0.2)

    runner = Runner(journal=journal, answer_wait_s=20)
    assert (await runner.run_async(patient)).output == "no"


async def test_the_time_limit_counts_while_no_process_is_there(journal: str) -> None:
    @flow
    async def patient() -> str:
        return await ask("still there?", default="no", timeout_s=0.3)

    with pytest.raises(RunPausedError) as caught:
        await Runner(journal=journal).run_async(patient)
    await anyio.sleep(0.35)
    assert (await Runner(journal=journal).resume(patient, caught.value.run)).output == "no"


async def test_a_question_out_of_time_without_a_default_is_an_error(journal: str) -> None:
    @flow
    async def impatient() -> str:
        return await ask("still there?", timeout_s=0.1)

    with pytest.raises(AskError, match=r"nobody answered within 0\.1 s"):
        await Runner(journal=journal, answer_wait_s=20).run_async(impatient)


ASKING = """
    import sys
    import anyio
    from agentflow import Runner, RunPausedError, ask, flow

    @flow
    async def greet() -> str:
        return "hello " + await ask("who?")

    if __name__ == "__main__":
        runner = Runner(journal=sys.argv[1])
        try:
            start = runner.run_as("greeting", greet) if len(sys.argv) == 2 else runner.resume(greet, "greeting")
            print(anyio.run(lambda: start).output)
        except RunPausedError as error:
            print(error.run, "paused")
"""


def test_the_process_that_asked_may_end_before_the_answer(
    sqlite_journal: str, tmp_path: Path
) -> None:
    (tmp_path / "asking.py").write_text(textwrap.dedent(ASKING))

    def python(*arguments: str) -> str:
        done = warm.run(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert python("asking.py", sqlite_journal) == "greeting paused"
    cli = ("-m", "agentflow.cli.main")
    answered = warm.run(*cli, "answer", "greeting", "world", "-j", sqlite_journal, cwd=tmp_path)
    assert "agentflow resume greeting" in answered.stderr
    assert python("asking.py", sqlite_journal, "resume") == "hello world"
