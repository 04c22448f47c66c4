"""Think in words before the answer: the conversation that asks for it, and the answer it comes to.

Owns what chain of thought is for every planner that uses one. Knows no planner.
"""

from collections.abc import Sequence
from typing import Any

from agentflow import Message, Task, generate
from agentflow_planners.shared.answers import MARK, final_answer, wanted_form
from agentflow_planners.shared.values import Frozen
from agentflow_planners.shared.wording import statement

SYSTEM = "Reason step by step before you answer."


class Worked(Frozen):
    """A worked example: a question, the reasoning in words, and the answer."""

    question: str
    reasoning: str
    answer: str


async def reasoned(task: Task, examples: Sequence[Worked] = (), **options: Any) -> Any:
    """Return the answer that one chain of reasoning comes to; `options` are those of its `generate`."""
    conversation = thinking(task, examples)
    reply = await generate(conversation, **options)
    return await final_answer(task, conversation, reply.text)


def thinking(task: Task, examples: Sequence[Worked] = ()) -> list[Message]:
    """Return the conversation that asks for reasoning and an answer."""
    turns = [Message(role="system", text=SYSTEM)]
    for example in examples:
        turns += [
            Message(role="user", text=example.question),
            Message(role="assistant", text=f"{example.reasoning}\n{MARK} {example.answer}"),
        ]
    ask = f"{statement(task)}\n\nThink step by step. {wanted_form(task)}"
    return [*turns, Message(role="user", text=ask)]
