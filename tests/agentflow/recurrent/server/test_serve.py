"""The command `agentflow serve` before there is a server."""

import subprocess
import sys

import click
import pytest

from agentflow.cli.serve import size
from tests import warm

MAIN = "import sys; from agentflow.cli.main import main; {before}; sys.argv = ['agentflow', 'serve', {given}]; main()"


def run(*given: str, before: str = "pass") -> subprocess.CompletedProcess[str]:
    code = MAIN.format(before=before, given=", ".join(map(repr, given)))
    return warm.run("-c", code, kind="libraries")


def test_help_is_told_without_loading_torch() -> None:
    watch = "import atexit; atexit.register(lambda: print('torch' in sys.modules))"
    code = MAIN.format(before=watch, given=repr("--help"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--api-key-env" in done.stdout
    assert done.stdout.endswith("False\n")


def test_a_missing_package_is_said_with_the_command_that_installs_it() -> None:
    done = run("./model", before="sys.modules['llguidance'] = None")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'agentflow[recurrent]'" in done.stderr


def test_a_variable_without_a_key_is_said() -> None:
    done = run("./model", "--api-key-env", "NO_SUCH_KEY")
    assert done.returncode == 2
    assert "NO_SUCH_KEY is not set" in done.stderr


@pytest.mark.slow
def test_other_machines_and_a_missing_folder_are_refused_in_one_line() -> None:
    done = run("./model", "--host", "0.0.0.0", "--port", "0")
    assert done.returncode == 1
    assert "--api-key-env" in done.stderr
    done = run("./no-such-model", "--port", "0")
    assert done.returncode == 1
    assert "there is no such folder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2GB", 2 * 10**9), ("512MiB", 512 * 2**20), ("1.5 gb", 15 * 10**8), ("7", 7), ("0", 0)],
)
def test_a_size_is_read(text: str, expected: int) -> None:
    assert size(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "2XB", "2 i", "1e9"])
def test_what_is_no_size_is_said_so(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write it as"):
        size(text)
