"""What a task file may say: its keys, their types and their words, version 1.

Owns the schema alone, for validation and for editors. Knows nothing of files or lines.
A change that breaks files people have written gets a new `VERSION`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from agentflow.budget import Budget
from agentflow.models.protocol import ModelSpec

VERSION = 1
DEFAULT_PLANNER = "recode"
SHORT_OUTPUTS: dict[str, dict[str, Any] | None] = {
    "text": None,
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "list": {"type": "array"},
    "object": {"type": "object"},
}

_KINDS: dict[type, str] = {str: "<text>", list: "<list>", dict: "<mapping>"}


def _one_of(expected: str, *kinds: type) -> Any:
    """Choose the member of a union by the value's own type, so that only its problems are told."""
    allowed = {kind: _KINDS[kind] for kind in kinds}
    return Discriminator(
        lambda value: allowed.get(type(value)),
        custom_error_type="expected",
        custom_error_message="expected",
        custom_error_context={"expected": expected},
    )


Text = Annotated[str, Field(min_length=1, pattern=r"\S")]
Check = Annotated[dict[Text, dict[str, Any] | None], Field(min_length=1, max_length=1)]


class PlannerChoice(BaseModel):
    """A planner by name or flow file; every other key is one of the planner's own options."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Text


class EnvironmentChoice(BaseModel):
    """A stateful thing by name, and how it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    use: Text = Field(description="Which installed environment it is.")
    options: dict[Text, Any] = Field(default={}, description="What the environment is made with.")


class Document(BaseModel):
    """A task for AgentFlow: what is asked, with what, how and within which limits."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="AgentFlow task file")

    agentflow: Literal[1] = Field(description="Version of this format; always 1.")
    goal: Text = Field(description="What is asked, in plain words.")
    name: Text | None = Field(default=None, description="Name of the task; by default the file's.")
    context: str = Field(default="", description="Further words for the model.")
    inputs: dict[Text, Any] = Field(
        default={},
        description="Data by name: any value, or one file as {file: PATH} (text), {json: PATH} or "
        "{csv: PATH} (list of rows), relative to the task file.",
    )
    planner: Annotated[
        Annotated[Text, Tag("<text>")] | Annotated[PlannerChoice, Tag("<mapping>")],
        _one_of("a planner's name or a mapping with `name` and options", str, dict),
    ] = Field(
        default=DEFAULT_PLANNER,
        description="Which planner solves the task: its name, or a flow file (a path that ends in .yaml), "
        "relative to the task file.",
    )
    model: Annotated[
        Annotated[Text, Tag("<text>")] | Annotated[ModelSpec, Tag("<mapping>")],
        _one_of("text such as `auto` or `openai:NAME`, or a mapping", str, dict),
    ] = Field(
        default="auto",
        description="auto, provider:name, an http(s) URL with #name, or a mapping of details.",
    )
    environments: dict[Text, EnvironmentChoice] = Field(
        default={},
        description="Stateful things by name; their actions are tools: NAME (all) or NAME.ACTION.",
    )
    tools: list[Text] = Field(
        default=[],
        description="Names of the tools the planner may use, and of environments or their actions.",
    )
    budget: Budget = Field(default=Budget(), description="Limits for the whole run.")
    output: Annotated[
        Annotated[Literal["text", "number", "integer", "boolean", "list", "object"], Tag("<text>")]
        | Annotated[dict[str, Any], Tag("<mapping>")],
        _one_of(f"one of {', '.join(SHORT_OUTPUTS)}, or a JSON schema", str, dict),
    ] = Field(default="text", description="Form of the answer: a word or a JSON schema.")
    check: Annotated[
        Annotated[Check, Tag("<mapping>")] | Annotated[list[Check], Tag("<list>")],
        _one_of("a mapping of one scorer to its parameters, or a list of those", dict, list),
    ] = Field(default=[], description="A scorer of the answer and its parameters, or a list.")
    journal: Text | None = Field(
        default=None,
        description="Where the run is recorded: a path, relative to the task file, or a URL.",
    )
    redact: list[Text] = Field(
        default=[],
        description="Regular expressions of what must never be written down, beside the usual secrets.",
    )
    cache: bool = Field(
        default=False,
        description="Whether model calls may take over the answers of earlier runs in the journal.",
    )


def json_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of task files, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Document.model_json_schema(),
    }
