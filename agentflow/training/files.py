"""A data set on the disk: a file of JSON lines, and beside it a file that says how it was made.

Owns the files. Each appears whole or not at all, none is replaced unless asked for, and secrets are
looked for once more on the way out. Equal journals and filters give equal bytes: no date, no machine.
"""

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agentflow.errors import AgentflowError, TrainingDataError
from agentflow.redaction import Redactor
from agentflow.training.collect import DataSet
from agentflow.training.formats import Format, line_of
from agentflow.wholefile import whole_file

FORMAT, VERSION = "agentflow-pairs", 1


def settings_path(target: Path) -> Path:
    """Return where the settings of a data set are written: `pairs.jsonl` has `pairs.settings.json`."""
    return target.with_name(f"{target.stem}.settings.json")


def refuse_overwriting(target: Path) -> None:
    """Raise if one of the two files of a data set is there already.

    Raises:
        TrainingDataError: It is.
    """
    for path in (target, settings_path(target)):
        if path.exists():
            raise TrainingDataError(
                place=str(path), problem="it is there already; replace it with --force"
            )


def write(
    data: DataSet,
    target: Path,
    form: Format = "chat",
    *,
    bare: bool = False,
    force: bool = False,
    redactor: Redactor | None = None,
) -> Path:
    """Write a data set to `target` and its settings beside it; return where those are.

    Raises:
        TrainingDataError: A file is there already or cannot be written, or the format cannot hold a pair.
    """
    if not force:
        refuse_overwriting(target)
    redactor = redactor or Redactor()
    lines = (redactor.data(line_of(pair, form, bare=bare)) for pair in data.pairs)
    with whole_file(target, _refusal(target)) as file:
        for line in lines:
            file.write(_json(line) + b"\n")
    head: dict[str, Any] = {"format": FORMAT, "version": VERSION, "agentflow": version("agentflow")}
    head |= {"data": target.name, "lines": form, "bare": bare}
    settings = settings_path(target)
    with whole_file(settings, _refusal(settings)) as file:
        file.write(json.dumps(redactor.data(head | data.report()), indent=1).encode() + b"\n")
    return settings


def _refusal(target: Path) -> Callable[[str], AgentflowError]:
    return lambda problem: TrainingDataError(place=str(target), problem=problem)


def _json(line: dict[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
