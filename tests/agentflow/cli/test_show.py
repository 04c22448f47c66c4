"""What `agentflow show` tells of values and of the tokens that were not read again."""

from pathlib import Path
from typing import Any

import pytest

from agentflow import Runner, flow, generate, tool
from agentflow.models.protocol import Usage
from tests.agentflow.cli.test_note import call
from tests.agentflow.models.hosted_parts import spec_for
from tests.wire import WireServer, says

pytestmark = pytest.mark.anyio

REUSED = Usage(input_tokens=1830, output_tokens=4, cached_tokens=1812)


@flow
async def twice(task: str) -> str:
    await generate(task)
    return (await generate(task)).text


async def test_a_step_tells_what_of_its_prompt_was_reused_and_the_state_it_left(
    tmp_path: Path,
) -> None:
    journal = str(tmp_path / "runs.db")
    with WireServer([says("plain"), says("warm", usage=REUSED, state="st_1f")]) as server:
        await Runner(model=spec_for("chat", server), journal=journal).run_async(twice, "go")
    tree = call(journal, "show", "last").stdout
    assert "reused 1,812 of 1,830 tok" in tree
    assert tree.count("reused") == 2, "once at the step, once for the run"
    assert "1,851 tok (1,812 tok reused)" in tree
    one = call(journal, "show", "last", "--step", "3").stdout.splitlines()
    assert one[1:3] == ["prefix tokens reused: 1,812 of 1,830 tok", "state: st_1f"]
    other = call(journal, "show", "last", "--step", "2").stdout
    assert "reused" not in other
    assert "state" not in other


@tool
def parted() -> Any:
    """Return what JSON has no words for."""
    return ["left"], {"been": {1}}


@flow
async def parts() -> None:
    await parted()


async def test_what_json_has_no_word_for_is_shown_as_python(tmp_path: Path) -> None:
    journal = str(tmp_path / "runs.db")
    await Runner(journal=journal).run_async(parts)
    assert "→ (['left'], {'been': {1}})" in call(journal, "show", "last").stdout
