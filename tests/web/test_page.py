"""The exported page: whole, self-contained, and deaf to hostile content."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from agentflow_web.export import export
from agentflow_web.page import page
from click.testing import CliRunner

from agentflow import Change, Journal, Runner, flow, tool

pytestmark = pytest.mark.anyio
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


@tool
def echo(text: str) -> str:
    """Return the text."""
    return text


@flow
async def echoes(text: str) -> str:
    return await echo(text)


class Tags(HTMLParser):
    """Collects the tags and attributes of a page, and its text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _value in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_nothing_of_a_model_becomes_markup() -> None:
    result = await Runner(journal=":memory:").run_async(echoes, HOSTILE)
    found = Tags(page(result.record))
    assert not found.tags & {"script", "img", "link", "iframe"}
    assert not {
        name for name in found.attributes if name.startswith("on") or name in ("src", "href")
    }
    assert "<script>alert(1)</script>" in found.text


async def test_the_command_writes_one_file_that_names_every_step(
    journal: str, tmp_path: Path
) -> None:
    result = await Runner(journal=journal).run_async(echoes, "hello")
    target = tmp_path / "run.html"
    done = CliRunner().invoke(export, ["last", "-j", journal, "-o", str(target)])
    assert done.exit_code == 0, done.output
    with Journal(journal) as opened:
        record = opened.run(result.id)
    text = Tags(target.read_text()).text
    assert all(step.name in text for step in record.steps.values())


async def test_a_result_that_was_taken_over_says_where_from(journal: str) -> None:
    runner = Runner(journal=journal)
    first = await runner.run_async(echoes, "hello")
    forked = await runner.fork(echoes, first.id, at=1, change=Change(input={"text": "hello"}))
    assert f"taken from step 2 of {first.id}" in Tags(page(forked.record)).text
    given = await runner.fork(echoes, first.id, at=2, change=Change(output="bye"))
    assert "tool · 0.00 s · given" in Tags(page(given.record)).text
