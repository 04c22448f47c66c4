"""What ReCode says to a model: short prompts in which siblings share their beginning.

Owns the words, the worked example, and the grammar that keeps a small local model in form. Nothing
here knows any task: the goal, the data and the wanted fields all come from the user. What a prompt
shows of data, and of what went wrong, is bounded however large either is.
"""

import re
from typing import Any

from agentflow import Message
from agentflow_planners.recoding.units import Failure, Stage, Unit, words_for
from agentflow_planners.shared.wording import cut, happened, preview

MAX_PREVIEW_CHARS = 2_000
MAX_REPORT_CHARS = 3_000
MAX_EFFECT_CHARS = 300

SYSTEM = "You write short, correct Python functions."

SPLIT = """Goal: {goal}

{data}

Write {signature}. It returns a dict with these fields:
{fields}
Do no work here: for each field, call one new helper function and pass it everything it needs. \
Others will write the helpers."""

# What all functions of a task share comes first: the data are each function's own.
WRITE = """Goal: {goal}
{tools}
{data}

Write {signature}. It returns {what}. {manner}"""

MANNERS = {
    "whole": "Do the work in plain Python.",
    "free": (
        "Where a part is work of its own, call a helper function that does not exist yet, with a "
        "comment above the call saying what it returns; others will write it. Do the rest yourself."
    ),
    # The last level of a task with tools: nothing is left to others any more.
    "primitive": "Do the work in plain Python and with the functions above; there are no others.",
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


def report_of(problem: str, effects: list[str]) -> str:
    """Return what went wrong as a model is told of it, with the calls that must not be repeated."""
    report = cut(problem, MAX_REPORT_CHARS)
    if effects:
        told = happened([cut(effect, MAX_EFFECT_CHARS) for effect in effects])
        report += f"\n{told} Write only what is left to do."
    return report


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


def _question(unit: Unit, *, goal: str, stage: Stage, tools: str) -> str:
    data = "\n".join(
        cut(preview(name, value), MAX_PREVIEW_CHARS) for name, value in unit.arguments.items()
    )
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
        manner=MANNERS["primitive" if tools and stage == "whole" else stage],
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
