"""Decide what a reply may look like: JSON of a schema, a grammar's text, a call of a tool.

Owns how the fields of a request become one grammar. A call has the form that `text.tool_calls` reads.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from agentflow.recurrent.server.fields import Body, Part
from agentflow.recurrent.server.refusals import bad
from agentflow.recurrent.server.tools import Tool, ToolChoice
from agentflow.recurrent.text.grammar import Grammar, Grammars

CALL = 'call: "<tool_call>\\n" call_json "\\n</tool_call>"\ncall_json: %json '
DEFINITIONS = ("#/$defs/", "#/definitions/")
# Spaces as models were taught to write calls, and no others: a small one would go on with them for long.
CALL_SPACE = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
REPLY_SPACE = {"whitespace_flexible": False}
ANY_OBJECT: dict[str, Any] = {"type": "object"}


class JsonSchema(Part):
    """A schema with a name, as Chat Completions nests it; `strict` is always so here."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = ""
    description: str = ""
    schema_: dict[str, Any] = Field(default_factory=lambda: ANY_OBJECT, alias="schema")
    strict: bool | None = None


class ResponseFormat(Part):
    """What the text of a reply is; Responses writes the schema's fields beside the type."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="before")
    @classmethod
    def _nested(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("type") == "json_schema" and "schema" in given:
            inner = {name: value for name, value in given.items() if name != "type"}
            return {"type": "json_schema", "json_schema": inner}
        return given

    @model_validator(mode="after")
    def _has_schema(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("`json_schema` belongs to the type 'json_schema', and must be there")
        return self

    @property
    def wanted(self) -> dict[str, Any] | None:
        """The schema that the text follows; None for free text."""
        if self.json_schema is not None:
            return self.json_schema.schema_
        return ANY_OBJECT if self.type == "json_object" else None


def constraint(
    grammars: Grammars,
    body: Body,
    response_format: ResponseFormat | None = None,
    tools: Sequence[Tool] = (),
    choice: ToolChoice | None = None,
) -> Grammar | None:
    """Return what the reply must follow; None leaves it free.

    Raises:
        Refusal: Two fields contradict each other, or a schema or grammar is not sound.
    """
    schema = response_format.wanted if response_format else None
    text = body.grammar or body.regex
    mode = choice.mode if choice and tools else "none"
    if text is not None and schema is not None:
        raise bad("response_format", "give a format, `grammar` or `regex`, only one of them")
    if text is not None and mode == "required":
        raise bad("tool_choice", "a reply under `grammar` or `regex` cannot call a tool")
    try:
        if mode == "required":
            assert choice is not None
            return grammars.lark("start: call\n" + CALL + _calls(tools, choice.name))
        if schema is not None and mode == "auto":  # a call, or else JSON of that form
            spaced = json.dumps({**schema, "x-guidance": REPLY_SPACE})
            rules = f"start: call | reply\nreply: %json {spaced}\n"
            return grammars.lark(rules + CALL + _calls(tools, None))
        return _of_text(grammars, body, schema)
    except ValueError as error:
        raise bad(_blamed(body, schema), str(error), "invalid_grammar") from None


def _of_text(grammars: Grammars, body: Body, schema: dict[str, Any] | None) -> Grammar | None:
    if schema is not None:
        return grammars.json_schema(schema)
    if body.regex is not None:
        return grammars.regex(body.regex)
    if body.grammar is None:
        return None
    return grammars.gbnf(body.grammar) if "::=" in body.grammar else grammars.lark(body.grammar)


def _calls(tools: Sequence[Tool], name: str | None) -> str:
    """Return the schema of a call's JSON."""
    definitions: dict[str, Any] = {}
    forms = [
        {
            "type": "object",
            "properties": {
                "name": {"const": tool.function.name},
                "arguments": _moved(tool.function.parameters, f"{place}.", definitions),
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for place, tool in enumerate(tools)
        if name in (None, tool.function.name)
    ]
    return json.dumps({"anyOf": forms, "$defs": definitions, "x-guidance": CALL_SPACE})


def _moved(schema: dict[str, Any], prefix: str, definitions: dict[str, Any]) -> Any:
    """Return a schema that is part of a larger one, to which its definitions move under names of their own."""

    def renamed(value: Any) -> Any:
        if isinstance(value, list):
            return [renamed(item) for item in value]
        if not isinstance(value, dict):
            return value
        found = {key: renamed(item) for key, item in value.items()}
        if isinstance(to := found.get("$ref"), str) and to.startswith(DEFINITIONS):
            found["$ref"] = f"#/$defs/{prefix}{to.rpartition('/')[2]}"
        return found

    own = renamed(schema)
    for key in ("$defs", "definitions"):
        if isinstance(own.get(key), dict):
            definitions |= {f"{prefix}{name}": item for name, item in own.pop(key).items()}
    return own


def _blamed(body: Body, schema: dict[str, Any] | None) -> str:
    if body.grammar is not None:
        return "grammar"
    if body.regex is not None:
        return "regex"
    return "tools" if schema is None else "response_format"
