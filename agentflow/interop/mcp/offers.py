"""What a server says that it can do, checked and written as plain data.

Owns the rules for a tool of a server: its names, its schema, whether it has effects. A tool that does not
keep to them is refused by itself, with the reason; a list that is too long is refused as a whole.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from jsonschema import Draft202012Validator, FormatChecker, SchemaError
from pydantic import BaseModel, ConfigDict

from agentflow.interop.mcp.words import Secrets, local_name, one_line, plain_text

MOST_TOOLS = 200
MAX_NAME_CHARS = 128
MAX_TOOL_NAME_CHARS = 64  # what hosted models take, with the server's name in front
MAX_DESCRIPTION_CHARS = 2_000
MAX_SCHEMA_BYTES = 32_000
MAX_SCHEMA_DEPTH = 24


class Offer(BaseModel):
    """One tool of a server. `title` is the server's name for it, `name` the one it has here.

    `effect`: a call may change something; `repeatable`: calling it again with the same arguments changes
    nothing more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    name: str
    description: str
    parameters: dict[str, Any]
    effect: bool = True
    repeatable: bool = False

    def is_still(self, other: "Offer") -> bool:
        """Return whether a call means the same to both; words may have changed."""
        mine, its = (one.model_copy(update={"description": ""}) for one in (self, other))
        return mine == its


@dataclass(frozen=True)
class Listing:
    """The tools of a server by their names here, and why others were refused."""

    offers: dict[str, Offer] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class Annotations(Protocol):
    """What a server says of a tool's manner; each may be left open."""

    read_only_hint: bool | None
    idempotent_hint: bool | None


class Listed(Protocol):
    """A tool as the protocol's client gives it."""

    name: str
    description: str | None
    input_schema: dict[str, Any]

    @property
    def annotations(self) -> Annotations | None:
        """What the server says of its manner."""
        ...


def listing_of(tools: Sequence[Listed], server: str, secrets: Secrets) -> Listing:
    """Return the tools that can be used; `server` is what it is called here.

    Raises:
        ValueError: There are too many.
    """
    if len(tools) > MOST_TOOLS:
        raise ValueError(f"it lists more than {MOST_TOOLS} tools")
    offers: dict[str, Offer] = {}
    refused: dict[str, str] = {}
    for tool in tools:
        name = local_name(tool.name[: 2 * MAX_NAME_CHARS], MAX_TOOL_NAME_CHARS - len(server) - 1)
        try:
            offer = _offer(tool, name, secrets)
        except (ValueError, RecursionError) as error:
            refused[name] = one_line(str(error) or "its schema is nested too deeply")
            continue
        if name in offers or name in refused:
            offers.pop(name, None)
            refused[name] = f"two tools would be called {name!r} here"
        else:
            offers[name] = offer
    return Listing(offers, refused)


def _offer(tool: Listed, name: str, secrets: Secrets) -> Offer:
    if not tool.name.strip("_") or len(tool.name) > MAX_NAME_CHARS:
        raise ValueError("its name is empty or too long")
    if secrets.text(tool.name) != tool.name or not tool.name.isprintable():
        raise ValueError("its name holds what no name may hold")
    hints = tool.annotations
    reads = hints is not None and hints.read_only_hint is True
    return Offer(
        title=tool.name,
        name=name,
        description=plain_text(secrets.text(tool.description or ""), MAX_DESCRIPTION_CHARS),
        parameters=_checked(secrets.data(tool.input_schema)),
        effect=not reads,
        repeatable=reads or (hints is not None and hints.idempotent_hint is True),
    )


def _checked(schema: Any) -> dict[str, Any]:
    """Return a schema that a model may be shown and arguments can be compared with."""
    if len(json.dumps(schema)) > MAX_SCHEMA_BYTES:
        raise ValueError(f"its schema has more than {MAX_SCHEMA_BYTES:,} bytes")
    clean = _clean(schema, 0)
    if not isinstance(clean, dict) or clean.get("type") != "object":
        raise ValueError("its schema is not one of an object")
    try:
        # Patterns are not tried: only the server ever matches anything against them.
        Draft202012Validator.check_schema(clean, format_checker=FormatChecker(()))
    except SchemaError as error:
        raise ValueError(f"its schema is no JSON schema: {one_line(error.message, 120)}") from error
    return clean


def _clean(value: Any, depth: int) -> Any:
    if depth > MAX_SCHEMA_DEPTH:
        raise ValueError("its schema is nested too deeply")
    if isinstance(value, str):
        return plain_text(value, MAX_DESCRIPTION_CHARS)
    if isinstance(value, list):
        return [_clean(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    for key, item in value.items():
        if len(key) > MAX_NAME_CHARS or plain_text(key, MAX_NAME_CHARS) != key:
            raise ValueError("its schema has a key that no schema needs")
        if key in ("$ref", "$dynamicRef") and isinstance(item, str) and not item.startswith("#"):
            raise ValueError("its schema refers to another document")
    return {key: _clean(item, depth + 1) for key, item in value.items()}
