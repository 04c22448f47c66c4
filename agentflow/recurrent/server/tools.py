"""Read which tools a model is told of, and whether it must call one.

Owns the two ways to write a tool, that of Chat Completions and that of Responses, and what `tool_choice` may say.
Only functions exist here: a tool that a hosted service runs itself is refused.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from agentflow.recurrent.server.fields import Part

NOTHING = {"type": "object", "properties": {}, "additionalProperties": False}
NAME = r"^[a-zA-Z0-9_.:-]{1,128}$"


class Function(Part):
    """What a model is told of a function."""

    name: str = Field(pattern=NAME)
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: dict(NOTHING))
    strict: bool | None = None


class Tool(Part):
    """A function that a model may call."""

    type: str
    function: Function

    @field_validator("type")
    @classmethod
    def _is_function(cls, kind: str) -> str:
        if kind != "function":
            raise ValueError("only tools of type 'function' can be called here")
        return kind

    @property
    def told(self) -> dict[str, Any]:
        """The tool as a chat template reads it."""
        function = self.function.model_dump(include={"name", "description", "parameters"})
        return {"type": "function", "function": function}


class ToolChoice(Part):
    """Whether tools are told, may be called, or must be; `name` is the one that must."""

    mode: Literal["none", "auto", "required"] = "auto"
    name: str | None = None


def _nested(given: Any) -> Any:
    """Turn a tool as Responses writes it into one as Chat Completions does."""
    if isinstance(given, dict) and given.get("type") == "function" and "function" not in given:
        return {
            "type": "function",
            "function": {name: value for name, value in given.items() if name != "type"},
        }
    if isinstance(given, dict) and given.get("type") not in (None, "function"):
        raise ValueError("only tools of type 'function' can be called here")
    return given


def _choice(given: Any) -> Any:
    if isinstance(given, str):
        if given not in ("none", "auto", "required"):
            raise ValueError("is 'none', 'auto', 'required' or a function by its name")
        return ToolChoice.model_validate({"mode": given})
    if isinstance(given, dict) and given.get("type") == "function":
        function = given.get("function")
        name = function.get("name") if isinstance(function, dict) else given.get("name")
        if isinstance(name, str):
            return ToolChoice(mode="required", name=name)
    raise ValueError("is 'none', 'auto', 'required' or a function by its name")


Tools = Annotated[list[Annotated[Tool, BeforeValidator(_nested)]], Field(max_length=1024)]
Choice = Annotated[ToolChoice, BeforeValidator(_choice)]


def check_choice(tools: list[Tool], choice: ToolChoice) -> None:
    """Raise ValueError when a choice cannot be made among the tools."""
    names = [tool.function.name for tool in tools]
    if len(set(names)) < len(names):
        raise ValueError("tools: two have the same name")
    if choice.mode == "required" and not tools:
        raise ValueError("tool_choice: there are no tools to call")
    if choice.name is not None and choice.name not in names:
        raise ValueError(f"tool_choice: no tool is named {choice.name[:80]!r}")
