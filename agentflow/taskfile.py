"""Load a task file: YAML in, a `Task` and how to solve it out, every problem on one line.

Owns the meaning of a task file: what its parts become. Knows nothing of the engine or of what is
installed. No value under `model` is ever part of a message.
"""

import keyword
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from jsonschema import Draft202012Validator, SchemaError
from pydantic import ValidationError

from agentflow.budget import Budget
from agentflow.errors import RedactionError, TaskFileError
from agentflow.flowfile import is_flow_file, load_flow_file
from agentflow.redaction import Redactor
from agentflow.task import Task
from agentflow.taskinputs import is_reference, read_input
from agentflow.taskproblems import Place, found_words, key_at, place, problem_at
from agentflow.taskschema import DEFAULT_PLANNER, SHORT_OUTPUTS, VERSION, Document, json_schema
from agentflow.tasksecrets import secrets_in
from agentflow.yamltree import TASK_START, Node, read_yaml, shown

__all__ = ["NamedOptions", "TaskFile", "json_schema", "load_task_file", "planner_in"]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


@dataclass(frozen=True)
class NamedOptions:
    """A planner, scorer or environment by name, and what the file gives it.

    `source` is the flow file that a planner was read from, as it was named; empty if there is none.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class TaskFile:
    """What a task file says; `journal` is absolute or a URL, `model` and `tools` as written."""

    path: Path
    name: str
    task: Task
    planner: NamedOptions
    checks: tuple[NamedOptions, ...]
    tools: tuple[str, ...]
    environments: dict[str, NamedOptions]
    model: str | dict[str, Any]
    budget: Budget
    journal: str | None = field(repr=False)  # a URL may hold a password
    redact: tuple[str, ...] = ()
    cache: bool = False
    tree: Node = field(repr=False)

    def line_of(self, *path: str | int) -> int | None:
        """Return the line of a value, as in `line_of("budget", "usd")`; None when it is not there."""
        line, found = self.tree.find(path)
        return line if found == len(path) else None

    def error(self, *path: str | int, problem: str) -> TaskFileError:
        """Return an error at the line of a value, or of the nearest thing around it."""
        return TaskFileError(path=str(self.path), line=self.tree.find(path)[0], problem=problem)


def load_task_file(path: Path) -> TaskFile:
    """Read, check and complete a task file and the input files that it names.

    Raises:
        TaskFileError: Anything is wrong with it; the message is one line.
    """
    return _Loading(path, read_yaml(path)).task_file()


def planner_in(name: str, folder: Path) -> NamedOptions:
    """Return the planner that a flow file holds; `name` is a path, relative to `folder`.

    Raises:
        TaskFileError: Anything is wrong with the flow file.
    """
    found = load_flow_file(folder / Path(name).expanduser())
    return NamedOptions(found.planner, found.options, source=name)


class _Loading:
    """One task file on its way from a tree to a `TaskFile`."""

    def __init__(self, path: Path, tree: Node) -> None:
        self._path, self._tree, self._data = path, tree, tree.plain()

    def task_file(self) -> TaskFile:
        self._check_root()
        self._check_secrets()
        document = self._validated()
        task = Task(
            goal=document.goal,
            inputs=self._inputs(document.inputs),
            tools=self._tools(document.tools, document.environments),
            output_schema=self._output(document.output),
            context=document.context,
        )
        return TaskFile(
            path=self._path,
            name=document.name or self._path.stem,
            task=task,
            planner=self._planner(),
            checks=tuple(_checks(document.check)),
            tools=task.tools,
            environments=self._environments(document),
            model=self._data.get("model", "auto"),
            budget=document.budget,
            journal=self._journal(document.journal),
            redact=self._redact(document.redact),
            cache=document.cache,
            tree=self._tree,
        )

    def _fail(self, *path: str | int, problem: str, cause: Exception | None = None) -> NoReturn:
        line = self._tree.find(path)[0]
        raise TaskFileError(path=str(self._path), line=line, problem=problem) from cause

    def _check_root(self) -> None:
        if self._data is None:
            self._fail(problem=f"the file is empty; start it with {TASK_START}")
        if not isinstance(self._data, dict):
            found = found_words(self._data)
            self._fail(
                problem=f"a task file is a mapping, found {found}; write `agentflow: {VERSION}`"
            )
        version = self._data.get("agentflow", VERSION)
        if type(version) is not int or version != VERSION:
            problem = f"`agentflow` is the version of the format, found {found_words(version)}; write `agentflow: {VERSION}`"
            self._fail("agentflow", problem=problem)

    def _check_secrets(self) -> None:
        for path in secrets_in(self._data):
            where = "" if path[0] == "model" else " under `model`"
            problem = (
                f"{key_at(path)} looks like a secret, which a task file must not hold; put it in "
                f"an environment variable and write `api_key_env: NAME_OF_THE_VARIABLE`{where}"
            )
            self._fail(*path, problem=problem)
        model = self._data.get("model")
        variable = model.get("api_key_env") if isinstance(model, dict) else None
        if isinstance(variable, str) and not _VARIABLE.fullmatch(variable):
            problem = "`model.api_key_env` must be the name of an environment variable, such as OPENAI_API_KEY"
            self._fail("model", "api_key_env", problem=problem)

    def _validated(self) -> Document:
        try:
            return Document.model_validate(self._data, strict=True)
        except ValidationError as error:
            found = [(place(item["loc"]), item) for item in error.errors(include_url=False)]
            path, first = min(found, key=lambda pair: self._rank(*pair))
            self._fail(*path, problem=problem_at(path, first))

    def _rank(self, path: Place, item: Any) -> tuple[bool, int]:
        # A misspelt key is also a missing one; the spelling is what the user can mend.
        return item["type"] != "extra_forbidden", self._tree.find(path)[0]

    def _inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {name: self._input(name, value) for name, value in inputs.items()}

    def _input(self, name: str, value: Any) -> Any:
        if not is_reference(value):
            return value
        try:
            return read_input(value, self._path.parent)
        except ValueError as error:
            problem = f"{key_at(('inputs', name))}: {error}"
            self._fail("inputs", name, *value, problem=problem, cause=error)

    def _tools(self, tools: list[str], environments: Container[str]) -> tuple[str, ...]:
        for index, tool in enumerate(tools):
            environment, dot, _action = tool.partition(".")
            before = tools[:index]
            holds_some = any(other.startswith(f"{tool}.") for other in before)
            if tool in before or environment in before or holds_some:
                problem = f"tool `{shown(tool)}` is listed twice; keep one"
                self._fail("tools", index, problem=problem)
            if dot and environment not in environments:
                problem = (
                    f"tool `{shown(tool)}` is an action of `{shown(environment)}`, which is not "
                    "under `environments`"
                )
                self._fail("tools", index, problem=problem)
        return tuple(tools)

    def _environments(self, document: Document) -> dict[str, NamedOptions]:
        listed = {tool.partition(".")[0] for tool in document.tools}
        for name in document.environments:
            if not name.isidentifier() or keyword.iskeyword(name):
                problem = (
                    f"environment `{shown(name)}`: its name begins the names of its actions in "
                    "programs, so write letters, digits and `_` only"
                )
                self._fail("environments", name, problem=problem)
            if name not in listed:
                problem = f"no tool of environment `{name}` is listed; write `tools: [{name}]`"
                self._fail("environments", name, problem=problem)
        return {
            name: NamedOptions(choice.use, choice.options)
            for name, choice in document.environments.items()
        }

    def _redact(self, rules: list[str]) -> tuple[str, ...]:
        for index, rule in enumerate(rules):
            try:
                Redactor([rule], environment={})
            except RedactionError as error:
                self._fail(
                    "redact", index, problem=f"`redact[{index}]` {error.problem}", cause=error
                )
        return tuple(rules)

    def _output(self, output: str | dict[str, Any]) -> dict[str, Any] | None:
        if isinstance(output, str):
            return SHORT_OUTPUTS[output]
        try:
            Draft202012Validator.check_schema(output)
        except SchemaError as error:
            path = ("output", *error.path)
            problem = f"{key_at(path)} is not valid JSON schema: {_short(error.message)}"
            self._fail(*path, problem=problem, cause=error)
        except (RecursionError, OverflowError) as error:  # from a pattern no regex engine takes
            self._fail("output", problem="`output` holds a pattern that is too large", cause=error)
        return output

    def _planner(self) -> NamedOptions:
        planner = self._data.get("planner", DEFAULT_PLANNER)
        if isinstance(planner, str):
            planner = {"name": planner}
        given = {key: planner[key] for key in planner if key != "name"}
        if not is_flow_file(planner["name"]):
            return NamedOptions(planner["name"], given)
        try:
            found = planner_in(planner["name"], self._path.parent)
        except TaskFileError as error:
            self._fail("planner", problem=f"`planner`: {error}", cause=error)
        return replace(found, options=found.options | given)

    def _journal(self, journal: str | None) -> str | None:
        if journal is None or "://" in journal or journal == ":memory:":
            return journal
        return str(self._path.parent.absolute() / Path(journal).expanduser())


def _checks(check: Any) -> Iterator[NamedOptions]:
    for mapping in check if isinstance(check, list) else [check]:
        for name, parameters in mapping.items():
            yield NamedOptions(name, parameters or {})


def _short(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= 160 else line[:157] + "..."
