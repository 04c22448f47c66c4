"""The example that docs/serve-flow.md leads through."""

import os
import shutil
from pathlib import Path

from tests import warm
from tests.agentflow.interop.serving.conftest import Serve

EXAMPLE = Path(__file__).parents[4] / "examples" / "serving"


def test_the_example_talks_to_its_flows(serve: Serve, tmp_path: Path) -> None:
    for file in EXAMPLE.glob("*.py"):
        shutil.copy(file, tmp_path / file.name)
    (tmp_path / "served.py").write_text("from flows import *\n")
    site = serve("longest_words", "approved")
    address = {"FLOW_URL": site.origin, "FLOW_KEY": site.key}
    done = warm.run("talk.py", cwd=tmp_path, env=os.environ | address)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "in the end: everything: yes"
    assert "after 9 events" in done.stdout
