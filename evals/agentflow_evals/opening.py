"""From what a user writes to a suite's samples.

Owns the forms of a suite's name: an installed one, a folder with `suite.yaml`, or a class in a file or
module. The samples of a suite are all read at once, and checked to be usable.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from agentflow import plugins
from agentflow.data import Data
from agentflow.errors import InputError, PluginError, SuiteError
from agentflow.signature import Signature
from agentflow.userfile import module_at
from agentflow_evals.suite import Origin, Sample, Suite

FOLDER_FILE = "suite.yaml"


@dataclass(frozen=True, kw_only=True)
class OpenSuite:
    """A suite with its samples read. `name` and `options` find it again."""

    name: str
    options: dict[str, Data]
    samples: Sequence[Sample]
    origin: Origin
    suite: Suite

    def sample(self, sample_id: str) -> Sample:
        """Return a sample by id.

        Raises:
            SuiteError: It has none of that id.
        """
        for sample in self.samples:
            if sample.id == sample_id:
                return sample
        raise SuiteError(suite=self.name, problem=f"it has no sample {sample_id!r}")


def open_suite(given: str, options: Mapping[str, Data] | None = None) -> OpenSuite:
    """Return the suite called `given`: an installed name, a folder, `FILE.py:CLASS` or `MODULE:CLASS`.

    Raises:
        PluginError: There is no such suite.
        SuiteError: It takes no such options, or its data is not there or wrong.
        MissingExtraError: The package with its data is not installed.
    """
    name, kind, fixed = _found(given)
    suite = _made(name, kind, {**fixed, **(options or {})})
    try:
        samples = list(suite.samples())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        problem = f"a sample of it is wrong: {place}: {first['msg']}"
        raise SuiteError(suite=name, problem=problem) from error
    _check_ids(name, samples)
    return OpenSuite(
        name=name,
        options=dict(options or {}),
        samples=samples,
        origin=suite.origin(),
        suite=suite,
    )


def _found(given: str) -> tuple[str, type[Suite], dict[str, Data]]:
    """Return the name to record, the class, and the options that the name stands for."""
    place = Path(given).expanduser()
    is_installed = given in plugins.installed("suite")  # a folder of that name needs a ./ before it
    if not is_installed and (place.is_dir() or place.name == FOLDER_FILE):
        folder = (place if place.is_dir() else place.parent).resolve()
        if not (folder / FOLDER_FILE).is_file():
            raise SuiteError(suite=given, problem=f"the folder has no {FOLDER_FILE}")
        from agentflow_evals.suites.folder import FolderSuite  # noqa: PLC0415 - reads YAML

        return str(folder), FolderSuite, {"path": str(folder)}
    module, colon, name = given.rpartition(":")
    if not colon:
        return given, _checked(plugins.load("suite", given), given), {}
    path = Path(module).expanduser()
    if path.suffix == ".py":
        if not path.is_file():
            raise SuiteError(suite=given, problem=f"there is no file {path}")
        path = path.resolve()
        return f"{path}:{name}", _checked(getattr(_module_at(path, given), name, None), given), {}
    return given, _checked(_in_module(module, name), given), {}


def _module_at(path: Path, given: str) -> ModuleType:
    try:
        return module_at(path, "suite")
    except ImportError as error:
        raise SuiteError(suite=given, place=str(path), problem=str(error)) from error


def _in_module(module: str, name: str) -> Any:
    try:
        return getattr(import_module(module), name, None)
    except (ImportError, ValueError):
        return None


def _checked(found: Any, given: str) -> type[Suite]:
    if isinstance(found, type) and issubclass(found, Suite) and not inspect.isabstract(found):
        return found
    raise PluginError(kind="suite", name=given, installed=plugins.installed("suite"))


def _made(name: str, kind: type[Suite], options: dict[str, Data]) -> Suite:
    signature = Signature(kind.__init__.__get__(object())).renamed(name)
    try:
        arguments = signature.bind((), dict(options))
    except InputError as error:
        takes = ", ".join(signature.parameters) or "none"
        problem = f"{error.problem} (its options: {takes}; give them as --set NAME=VALUE)"
        raise SuiteError(suite=name, problem=problem) from error
    args, kwargs = signature.split(arguments)
    return kind(*args, **kwargs)


def _check_ids(name: str, samples: Sequence[Sample]) -> None:
    if not samples:
        raise SuiteError(suite=name, problem="it has no samples with these options")
    seen: set[str] = set()
    for sample in samples:
        if sample.id in seen:
            raise SuiteError(suite=name, problem=f"two samples have the id {sample.id!r}")
        seen.add(sample.id)
