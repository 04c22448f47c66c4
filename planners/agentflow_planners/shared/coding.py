"""Ask for Python: a hosted model answers in words and fences, a small local one goes on from a begun fence.

Owns what keeps a local model in form: its reply is begun, ends with the fence, and gets warmer after a
failure, since a greedy model writes the same again. Owns, too, the one rule for all code that acts:
tools are called, never replaced by made-up ones.
"""

import ast
from collections.abc import Collection, Sequence

from agentflow import Message, default_model, generate, parse_program
from agentflow.errors import ProgramError

MAX_TOKENS_LOCAL = 400
WARMER, HOTTEST = 0.2, 0.8
FENCE = "```"


async def python_reply(
    conversation: Sequence[Message], *, begun: str = "", failures: int = 0
) -> str:
    """Return a reply that holds Python between fences, as far as the model keeps to that.

    Args:
        conversation: It ends with the request.
        begun: The first lines of the code, for a model that goes on from there.
        failures: How many earlier replies to the same request were of no use.

    Raises:
        ModelError: The call failed for good.
    """
    if not (await default_model()).is_local:
        return (await generate(conversation)).text
    opening = Message(role="assistant", text=f"{FENCE}python\n{begun}")
    reply = await generate(
        [*conversation, opening],
        stop=(FENCE,),
        max_tokens=MAX_TOKENS_LOCAL,
        temperature=min(HOTTEST, WARMER * failures),
        seed=failures,
    )
    return f"{reply.text.rstrip()}\n{FENCE}"


def refuse_replaced(code: str, tools: Collection[str]) -> None:
    """Refuse a program that gives the name of a tool to something of its own.

    Raises:
        ProgramError: It does, or it does not parse.
    """
    for node in ast.walk(parse_program(code)):
        name = getattr(node, "name", None)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        if name in tools:
            message = f"{name} is there: call it, and do not write your own"
            line = getattr(node, "lineno", None)
            raise ProgramError(phase="run", name="Rule", message=message, line=line, report=message)
