"""What ReCode says to a model: short prompts in which siblings share their beginning.

Owns the words, the worked example, and the grammar that keeps a small local model in form. Nothing
here knows any task: the goal, the data and the wanted fields all come from the user.
"""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from agentflow import Message
from agentflow.data import Data
from agentflow_planners.wording import preview

Stage = Literal["split", "free", "whole"]

SYSTEM = "You write short, correct Python functions."

SPLIT = """Goal: {goal}

{data}

Write {signature}. It returns a dict with these fields:
{fields}
Do no work here: for each field, call one new helper function and pass it everything it needs. \
Others will write the helpers."""

WRITE = """Goal: {goal}

{data}
{tools}
Write {signature}. It returns {what}. {manner}"""

MANNERS = {
    "whole": "Do the work in plain Python.",
    "free": (
        "Where a part is work of its own, call a helper function that does not exist yet, with a "
        "comment above the call saying what it returns; others will write it. Do the rest yourself."
    ),
}

_HOUSE = SPLIT.format(
    goal="Describe a house.",
    data="rooms = [{'name': 'hall', 'floor': 0}, {'name': 'attic', 'floor': 2}, ...]  # list of 9 dict",
    signature="describe(rooms)",
    fields='- "floors" (list of int): all floors\n'
    '- "doors" (dict): "front" (str, the front door) and "back" (str, the back door)\n'
    '- "top" (int): the highest of the floors',
)
_HOUSE_ANSWER = """```python
def describe(rooms):
    # floors (list of int): all floors
    floors = list_floors(rooms)
    # doors (dict): "front" (str, the front door) and "back" (str, the back door)
    doors = find_doors(rooms)
    # top (int): the highest of the floors
    top = find_top(floors)
    return {"floors": floors, "doors": doors, "top": top}
```"""

HINTS = {
    "KeyError": "A key must be in a dict before `+=`: write `d[key] = d.get(key, 0) + x` instead.",
    "NameError": "Use only the parameters and names you assign.",
    "AttributeError": "Look at the input above to see its type.",
    "TypeError": "Look at the input above to see its type.",
    "ZeroDivisionError": "Check for zero first.",
}


class Unit(BaseModel):
    """A function nobody has written: its name, its arguments here, and what it must return.

    `result` is the JSON schema of what it returns, empty when nothing is known; `is_field` says that
    it gives one field of its caller's result. `origin` is the program that calls it, `held_back` what
    that program was given and did not pass on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, Data] = {}
    about: str = ""
    result: dict[str, Data] = {}
    held_back: dict[str, Data] = {}
    origin: str = ""
    is_field: bool = False
    self_calls: int = 0

    @property
    def signature(self) -> str:
        """Name and parameters as a call."""
        return f"{self.name}({', '.join(self.arguments)})"

    @property
    def fields(self) -> dict[str, Any]:
        """The schemas of the result's fields; empty unless it is an object with named ones."""
        found: dict[str, Any] = self.result.get("properties") or {}
        return found


class Failure(BaseModel):
    """A version of a function that did not work, and why, as the model is told."""

    code: str
    report: str


def write_prompt(unit: Unit, *, goal: str, stage: Stage, tools: str, local: bool) -> list[Message]:
    """Return the conversation that asks for the body of `unit`; see `with_failure` for repairs.

    `local` ends it with the beginning of the reply: a local model goes on from there.
    """
    system = Message(role="system", text=SYSTEM)
    ask = Message(role="user", text=_question(unit, goal=goal, stage=stage, tools=tools))
    example = [Message(role="user", text=_HOUSE), Message(role="assistant", text=_HOUSE_ANSWER)]
    turns = [system, *example, ask] if stage == "split" else [system, ask]
    return [*turns, opening(unit, stage)] if local else turns


def with_failure(prompt: list[Message], failure: Failure, attempt: int) -> list[Message]:
    """Return the prompt with what went wrong.

    Every other time the failed code is left out: a small model copies the code that it sees.
    """
    last = prompt[-1] if prompt[-1].role == "assistant" else None
    turns = prompt[:-1] if last else list(prompt)
    hint = next((text for name, text in HINTS.items() if failure.report.startswith(name)), "")
    if attempt % 2:
        warning = (
            f"{turns[-1].text}\nAvoid this error of an earlier version: {failure.report} {hint}"
        )
        turns = [*turns[:-1], Message(role="user", text=warning.strip())]
    else:
        complaint = f"It fails: {failure.report} {hint} Write the corrected function."
        turns += [
            Message(role="assistant", text=f"```python\n{failure.code}\n```"),
            Message(role="user", text=complaint),
        ]
    return [*turns, last] if last else turns


def opening(unit: Unit, stage: Stage) -> Message:
    """Return the beginning of the reply, for a model that continues it."""
    text = f"```python\ndef {unit.signature}:\n"
    if stage != "split":
        text += f'    """{_returned(unit)}"""\n'
    return Message(role="assistant", text=text)


def grammar(unit: Unit, stage: Stage) -> str:
    """Return the GBNF grammar of what follows the opening.

    Splitting: for every field a comment and one call of a new helper, then the dictionary of all.
    Writing: indented lines up to the end of the fence.
    """
    if stage != "split":
        return 'root ::= line+ "```"\nline ::= "    " [^\\n]+ "\\n"\n'
    rules: list[str] = []
    done: list[str] = []
    for index, (field, schema) in enumerate(unit.fields.items()):
        must = mentioned(schema, [*done, *unit.arguments])
        free = [name for name in unit.arguments if name not in must]
        more = len(free) if must else len(free) - 1
        first = f'"{", ".join(must)}"' if must else f"a{index}"
        rest = f' (", " a{index}){{0,{more}}}' if more > 0 else ""
        head = f'"    # {field} (" [^\\n]{{4,220}} "\\n    {field} = " verb "_{field}" more'
        rules.append(f's{index} ::= {head} "(" {first}{rest} ")\\n"')
        if free:
            rules.append(f"a{index} ::= " + " | ".join(f'"{name}"' for name in free))
        done.append(field)
    pairs = ", ".join(f'\\"{field}\\": {field}' for field in done)
    order = " ".join(f"s{index}" for index in range(len(done)))
    root = f'root ::= {order} "    return {{{pairs}}}\\n" "```"'
    words = ["verb ::= [a-z]{2,12}", 'more ::= ("_" [a-z0-9]{2,12}){0,2}']
    return "\n".join([root, *words, *rules]) + "\n"


def can_split(unit: Unit) -> bool:
    """Return whether the result has several fields, all with names that Python can assign to."""
    fields = unit.fields
    return len(fields) > 1 and all(re.fullmatch(r"[a-z_][a-z0-9_]*", name) for name in fields)


def mentioned(schema: Any, names: list[str]) -> list[str]:
    """Return those of `names` that the description of a field speaks of: its function needs them."""
    text = str(schema.get("description", "")) if isinstance(schema, dict) else ""
    return [name for name in names if re.search(rf"\b{re.escape(name)}\b", text)]


def words_for(schema: Any) -> str:
    """Return the type that a JSON schema describes, in the words of Python."""
    if not isinstance(schema, dict) or not schema:
        return "value"
    kind = schema.get("type")
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"dict of str to {words_for(schema['additionalProperties'])}"
    if kind == "array" and schema.get("items"):
        return f"list of {words_for(schema['items'])}"
    names = {"number": "float", "integer": "int", "string": "str", "boolean": "bool"}
    names |= {"object": "dict", "array": "list"}
    return names.get(str(kind), "value")


def _question(unit: Unit, *, goal: str, stage: Stage, tools: str) -> str:
    data = "\n".join(preview(name, value) for name, value in unit.arguments.items())
    if stage == "split":
        fields = "\n".join(
            f'- "{name}" ({words_for(schema)}): {_described(schema)}'
            for name, schema in unit.fields.items()
        )
        return SPLIT.format(goal=goal, data=data, signature=unit.signature, fields=fields)
    return WRITE.format(
        goal=goal,
        data=data,
        tools=f"\nYou may call:\n{tools}\n" if tools else "",
        signature=unit.signature,
        what=_returned(unit),
        manner=MANNERS[stage],
    )


def _returned(unit: Unit) -> str:
    return unit.about or f"a {words_for(unit.result)}"


def _described(schema: dict[str, Any]) -> str:
    text = str(schema.get("description", ""))
    inner = schema.get("properties")
    if inner:
        parts = " and ".join(f'"{name}" ({_inside(part)})' for name, part in inner.items())
        return f"{text}: {parts}" if text else parts
    return text


def _inside(schema: dict[str, Any]) -> str:
    text = schema.get("description")
    return f"{words_for(schema)}, {text}" if text else words_for(schema)
