"""Read a recipe from a file, and write the one that was used beside what came of it.

Owns the words of what is wrong in such a file; the YAML is read as that of task files is.
"""

import difflib
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from agentflow.budget import Budget
from agentflow.errors import AgentflowError, TaskFileError, TrainingError
from agentflow.recurrent.mixers.config import MixerSizes
from agentflow.taskproblems import Place, found_words, key_at
from agentflow.training.student.recipe import (
    MARK,
    VERSION,
    DataPart,
    EvaluationPart,
    JournalRuns,
    Recipe,
    TokenizerPart,
    Traces,
    TrainingPart,
)
from agentflow.training.student.transformer_config import TransformerSizes
from agentflow.wholefile import whole_file
from agentflow.yamltree import Node, read_yaml, shown

_PARTS: dict[Place, type[BaseModel]] = {
    (): Recipe,
    ("data",): DataPart,
    ("data", "traces"): Traces,
    ("data", "journal"): JournalRuns,
    ("tokenizer",): TokenizerPart,
    ("model",): MixerSizes,
    ("model", "transformer"): TransformerSizes,
    ("training",): TrainingPart,
    ("evaluation",): EvaluationPart,
    ("evaluation", "budget"): Budget,
}
_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "string_too_short": "text that is not empty",
    "too_short": "a list with at least one entry",
}


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        TaskFileError: Anything is wrong with it; the message is one line and has the line's number.
    """
    tree = read_yaml(path, start=f"`{MARK}: {VERSION}`")
    data = tree.plain()
    _check_root(path, tree, data)
    try:
        # As JSON, where lists are the tuples of the schema and `true` is no number.
        return Recipe.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        place, item = _first(error)
        raise _wrong(path, tree.find(place)[0], _problem(place, item)) from error


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe with all that it left to defaults.

    Raises:
        TrainingError: The file cannot be written.
    """
    data = recipe.model_dump(mode="json", by_alias=True, exclude_none=True)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    with whole_file(path, _refusal(path)) as file:
        file.write(b"# The recipe of this model, defaults written out: agentflow train\n")
        file.write(text.encode())


def _check_root(path: Path, tree: Node, data: Any) -> None:
    if not isinstance(data, dict):
        problem = f"a recipe is a mapping, found {found_words(data)}; write `{MARK}: {VERSION}`"
        raise _wrong(path, tree.line, problem)
    version = data.get(MARK)
    if type(version) is not int or version != VERSION:
        problem = f"write `{MARK}: {VERSION}`, found {found_words(version)}"
        raise _wrong(path, tree.find((MARK,))[0], problem)


def _first(error: ValidationError) -> tuple[Place, Any]:
    """Return the place and details of what to mend first: a misspelt key is also a missing one."""
    found = [(_place(item["loc"]), item) for item in error.errors(include_url=False)]
    return min(found, key=lambda pair: pair[1]["type"] != "extra_forbidden")


def _place(loc: Place) -> Place:
    """Return a location without the name of the kind of model, which no file has."""
    return (*loc[:1], *loc[2:]) if loc[:1] == ("model",) else loc


def _problem(place: Place, item: Any) -> str:
    key, kind = key_at(place), item["type"]
    if kind == "missing":
        return f"{key} is missing"
    if kind == "extra_forbidden":
        return _unknown(place)
    if kind == "value_error":
        said = item["msg"].removeprefix("Value error, ")
        return f"{key}: {said}" if place else said
    if expected := item.get("ctx", {}).get("expected") or _TYPES.get(kind):
        return f"{key} must be {expected}, found {found_words(item['input'])}"
    said = item["msg"].removeprefix("Input should be ")
    return f"{key} must be {shown(said)}, found {found_words(item['input'])}"


def _unknown(place: Place) -> str:
    part = _PARTS.get(place[:-1])
    fields = {} if part is None else part.model_fields
    known = [field.alias or name for name, field in fields.items()]
    if part is MixerSizes:
        known.append("transformer")
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    advice = f"did you mean `{near[0]}`?" if near else f"write one of {', '.join(known)}"
    return f"unknown key {key_at(place)}; {advice}"


def _wrong(path: Path, line: int | None, problem: str) -> TaskFileError:
    return TaskFileError(path=str(path), line=line, problem=problem)


def _refusal(path: Path) -> Any:
    def refuse(problem: str) -> AgentflowError:
        return TrainingError(folder=str(path.parent), problem=f"{path.name} {problem}")

    return refuse
