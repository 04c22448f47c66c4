"""Secrets reach neither the journal nor whoever listens to it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow import Reply, Runner, flow, generate, note, tool
from agentflow.errors import RedactionError, ToolError
from agentflow.journal.content import Parts
from agentflow.journal.events import Event
from agentflow.redaction import Redactor
from tests.parts import Scripted

pytestmark = pytest.mark.anyio

OPENAI = "sk-" + "proj-" + "a1B2c3D4" * 5
GITHUB = "ghp_" + "x1Y2z3W4" * 5
AWS = "AKIA" + "ABCDEFGH12345678"


@tool
async def leak(text: str) -> str:
    """Return what it got, and fail on demand."""
    if "fail" in text:
        raise RuntimeError(f"could not log in with {text}")
    return f"token: {text}"


@flow
async def careless(secret: str) -> str:
    """Put a secret everywhere."""
    note(f"using {secret}", header=f"Bearer {secret}")
    reply: Reply = await generate(f"my key is {secret}")
    await leak(reply.text)
    try:
        await leak(f"fail {secret}")
    except ToolError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("secret", [OPENAI, GITHUB, AWS])
async def test_known_keys_are_written_nowhere(secret: str, sqlite_journal: str) -> None:
    heard: list[Event] = []
    runner = Runner(
        journal=sqlite_journal, model=Scripted(lambda prompt: prompt), on_event=heard.append
    )
    result = await runner.run_async(careless, secret)
    assert secret in result.output, "the flow itself works with the real value"
    files = [path.read_bytes() for path in Path(sqlite_journal).parent.glob("journal.db*")]
    assert not any(secret.encode() in content for content in files)
    assert any(b"[redacted:" in content for content in files)
    assert secret not in repr(heard)


async def test_values_of_secret_environment_variables_are_written_nowhere(
    sqlite_journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = 'correct "horse" battery\\staple'
    monkeypatch.setenv("WAREHOUSE_PASSWORD", secret)
    runner = Runner(journal=sqlite_journal, model=Scripted(lambda prompt: prompt))
    await runner.run_async(careless, secret)
    content = b"".join(
        path.read_bytes() for path in Path(sqlite_journal).parent.glob("journal.db*")
    )
    assert b"horse" not in content
    assert b"[redacted:WAREHOUSE_PASSWORD]" in content


async def test_rules_of_the_run_hold_and_a_redacted_run_resumes(sqlite_journal: str) -> None:
    healthy: list[bool] = []

    @flow
    async def serve(patient: str) -> str:
        said = await leak(patient)
        if not healthy:
            raise RuntimeError("not yet")
        return said

    runner = Runner(journal=sqlite_journal, redact={"patient": r"P-\d{6}"})
    with pytest.raises(RuntimeError):
        await runner.run_as("served", serve, "P-123456 is well")
    healthy.append(True)
    resumed = await runner.resume(serve, "served")
    assert "P-123456" not in Path(sqlite_journal).read_bytes().decode("latin-1")
    assert resumed.output == "token: [redacted:patient] is well", "what was taken over is redacted"


def test_a_rule_that_cannot_be_used_is_named() -> None:
    with pytest.raises(RedactionError, match="rule 'card': no regular expression"):
        Redactor({"card": "(["})
    with pytest.raises(RedactionError, match="empty text"):
        Redactor(["x*"])


@given(st.text(), st.text())
def test_text_around_a_secret_is_kept(before: str, after: str) -> None:
    redactor = Redactor(environment={})
    assert redactor.text(before) == before or "[redacted:" in redactor.text(before)
    clean = redactor.text(f"{before} {GITHUB} {after}")
    assert GITHUB not in clean


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=6))
def test_content_in_parts_stays_in_parts(parts: list[bytes]) -> None:
    secret = AWS.encode()
    whole = Parts.joined([*parts, b" " + secret + b" "])
    clean = Redactor(environment={}).content(whole)
    assert secret not in clean
    assert isinstance(clean, Parts)
    assert len(clean.cuts) == len(whole.cuts)


def test_a_rule_of_the_user_holds_for_the_shortest_text() -> None:
    assert Redactor({"pin": r"\d{4}"}, environment={}).text("1234") == "[redacted:pin]"
