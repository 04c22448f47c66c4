"""What a `suite.yaml` may say: its keys, their types, and what is wrong with one in a line.

Owns the schema and the words of its problems; the YAML is read as that of task files is. Knows nothing
of the data files.
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentflow import plugins
from agentflow.errors import SuiteError, TaskFileError
from agentflow.taskproblems import Place, found_words, key_at, place
from agentflow.taskschema import SHORT_OUTPUTS, Check, EnvironmentChoice, Text
from agentflow.yamltree import Node, read_yaml, shown

VERSION = 1
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

_WORDS = {
    "string_type": "text",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "list_type": "a list",
    "literal_error": "1, the version of the format",
    "string_too_short": "text that is not empty",
    "too_short": "at least one",
    "too_long": "one scorer with its options",
    "string_pattern_mismatch": "64 hexadecimal digits (sha256) or text that is not empty",
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataFile(_Part):
    """A data file, relative to the folder; `sha256` is checked where it is given."""

    file: Text
    sha256: Sha256 | None = None


class SampleTemplate(_Part):
    """What a record becomes; texts may name its fields, as in `{question}`."""

    id: Text | None = None
    goal: Text
    context: str = ""
    inputs: dict[Text, Any] = {}
    output: Any = "text"
    tools: list[Text] = []
    environments: dict[Text, EnvironmentChoice] = {}
    target: Any = None
    group: str = ""
    metadata: dict[Text, Any] = {}
    check: list[Check] = Field(min_length=1)


class SuiteDocument(_Part):
    """A suite in a folder."""

    suite: Literal[1]
    name: Text
    summary: str = ""
    licence: str = ""
    source: str = ""
    version: str = ""
    data: list[DataFile] = Field(min_length=1)
    training: list[DataFile] = []
    sample: SampleTemplate


class SuiteFile:
    """A `suite.yaml` that has been read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._tree = read_yaml(path)
        except TaskFileError as error:
            self._fail(error.line or 1, error.problem, error)
        self._data = _written_out(self._tree)
        self.document = self._validated()
        self._check_names()

    def fail(self, *path: str | int, problem: str) -> NoReturn:
        """Raise an error at the line of a value, or of the nearest thing around it.

        Raises:
            SuiteError: Always.
        """
        self._fail(self._tree.find(path)[0], problem)

    def _validated(self) -> SuiteDocument:
        if not isinstance(self._data, dict):
            self.fail(problem=f"it is a mapping; start it with `suite: {VERSION}` and `name: ...`")
        try:
            return SuiteDocument.model_validate(self._data, strict=True)
        except ValidationError as error:
            found = [(place(item["loc"]), item) for item in error.errors(include_url=False)]
            # A misspelt key is also a missing one; the spelling is what the user can mend.
            found.sort(key=lambda pair: pair[1]["type"] != "extra_forbidden")
            path, first = found[0]
            self.fail(*path, problem=_problem(path, first))

    def _check_names(self) -> None:
        sample = self.document.sample
        scorers = plugins.installed("scorer")
        for index, check in enumerate(sample.check):
            (name,) = check
            if name not in scorers:
                problem = f"no scorer {shown(name)!r}{_near(name, scorers)} (installed: {', '.join(scorers)})"
                self.fail("sample", "check", index, problem=problem)
        if isinstance(sample.output, str) and sample.output not in SHORT_OUTPUTS:
            problem = f"`sample.output` is one of {', '.join(SHORT_OUTPUTS)}, or a JSON schema"
            self.fail("sample", "output", problem=problem)
        if not isinstance(sample.output, str | dict):
            self.fail("sample", "output", problem="`sample.output` is a word or a JSON schema")

    def _fail(self, line: int, problem: str, cause: Exception | None = None) -> NoReturn:
        where = f"{self.path}:{line}"
        raise SuiteError(suite=self.path.parent.name, problem=problem, place=where) from cause


def _written_out(tree: Node) -> Any:
    """Return the file's data, with the short forms (one data file, one check) as lists."""
    data = tree.plain()
    if not isinstance(data, dict):
        return data
    for key in ("data", "training"):
        if key in data:
            data[key] = [_a_file(item) for item in _a_list(data[key])]
    sample = data.get("sample")
    if isinstance(sample, dict) and isinstance(sample.get("check"), dict):
        sample["check"] = [{name: options} for name, options in sample["check"].items()]
    return data


def _a_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _a_file(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else value


def _problem(path: Place, item: Any) -> str:
    key, kind = key_at(path), item["type"]
    if kind == "missing":
        return f"{key} is missing"
    if kind == "extra_forbidden":
        return f"unknown key {key}{_near(str(path[-1]), _keys(path[:-1]))}"
    expected = _WORDS.get(kind, shown(item["msg"]))
    return f"{key} must be {expected}, found {found_words(item['input'])}"


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def _keys(path: Place) -> list[str]:
    if path[:1] == ("sample",):
        return list((EnvironmentChoice if len(path) > 1 else SampleTemplate).model_fields)
    return list((DataFile if path else SuiteDocument).model_fields)
