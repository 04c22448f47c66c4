"""The wheel holds what it should, and nothing a user's site-packages should not get."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_wheel_is_whole_and_clean(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*command, "--wheel-dir", str(tmp_path), str(ROOT)], check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    packages = [
        "agentflow",
        "agentflow_planners",
        "agentflow_tools",
        "agentflow_evals",
        "agentflow_web",
    ]
    assert {f"{package}/py.typed" for package in packages} <= names
    assert "agentflow/models/catalogue.toml" in names
    assert "agentflow_planners/students/known_words.txt" in names
    page = (
        "index.html",
        "app.js",
        "app.css",
    )  # a folder that git ignores would be left out silently
    assert {f"agentflow_web/static/{name}" for name in page} <= names
    models = ROOT / "agentflow" / "recurrent" / "packaged"
    weights = {str(file.relative_to(ROOT)) for file in models.rglob("*") if file.is_file()}
    assert weights <= names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(packages)
