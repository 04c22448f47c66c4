"""Every Python example in the README and docs/ runs as it stands; so does every script in examples/."""

import os
import re
from pathlib import Path

import pytest

from tests import warm
from tests.wire import WireServer, gives_json

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SNIPPETS = [
    pytest.param(code, id=f"{page.name}-{number}")
    for page in PAGES
    for number, code in enumerate(BLOCK.findall(page.read_text()), 1)
]


def run(script: Path, folder: Path, server: WireServer) -> None:
    environment = os.environ | {
        "OPENAI_BASE_URL": server.openai_url,
        "OPENAI_API_KEY": "sk-for-the-docs",
    }
    done = warm.run(script, cwd=folder, env=environment, kind="libraries")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", SNIPPETS)
def test_an_example_in_the_docs_runs(code: str, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(code)
    with WireServer(lambda _seen: gives_json({"name": "Ada", "born": 1815})) as server:
        run(script, tmp_path, server)


@pytest.mark.parametrize(
    "script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name
)
def test_an_example_script_runs(script: Path, tmp_path: Path) -> None:
    with WireServer([]) as server:
        run(script, tmp_path, server)


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
