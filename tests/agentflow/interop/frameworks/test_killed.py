"""kill -9 in the middle of another framework's loop, and what a resume then does."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.agentflow.interop.frameworks.killed import QUESTION, made, runner
from tests.wire import Scripted, Seen, WireServer, calls, says

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[4]
MODULES = {"pydantic-ai": "pydantic_ai", "dspy": "dspy"}


def step(**fields: str) -> Scripted:
    """Answer as DSPy's chat adapter asks for it."""
    return says(*(f"[[ ## {name} ## ]]\n{value}\n\n" for name, value in fields.items()))


SCRIPTS: dict[str, list[Scripted]] = {
    "pydantic-ai": [calls(("weigh", {"item": "tea"})), says("7 g")],
    "dspy": [
        step(next_thought="t", next_tool_name="weigh", next_tool_args='{"item": "tea"}'),
        step(next_thought="t", next_tool_name="finish", next_tool_args="{}"),
        step(reasoning="r", answer="7 g"),
    ],
}


@pytest.mark.parametrize("kind", MODULES)
async def test_a_resume_after_a_kill_repeats_neither_model_calls_nor_tools(
    kind: str, journal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(MODULES[kind], reason=f"the extra {kind} is not installed")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    notes = tmp_path / "weighed.txt"
    child: list[subprocess.Popen[bytes]] = []
    first, *rest = SCRIPTS[kind]

    def deadly(_seen: Seen) -> Scripted:
        if len(server.requests) == 1:
            return first
        child[0].kill()
        return says("too late")

    with WireServer(deadly) as server:
        command = [sys.executable, "-m", "tests.agentflow.interop.frameworks.killed", kind]
        arguments: list[Any] = [*command, journal, server.openai_url, notes]
        child.append(subprocess.Popen(arguments, cwd=ROOT))
        assert child[0].wait(timeout=100) == -9
        asked = len(server.requests)
    assert (asked, notes.read_text()) == (2, "tea\n")
    with WireServer(rest) as server:
        flow = made(kind, notes)
        result = await runner(journal, server.openai_url).resume(flow, "r")
    answer = result.output if kind == "pydantic-ai" else result.output.answer
    assert answer == "7 g"
    assert len(server.requests) == len(rest), "the first call was not made again"
    assert QUESTION in server.requests[0].text
    assert "tea: 7 g" in server.requests[0].text
    assert notes.read_text() == "tea\n"
