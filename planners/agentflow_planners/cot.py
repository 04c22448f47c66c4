"""Chain of thought: the model reasons in words before it answers.

Source: Wei et al., Chain-of-Thought Prompting Elicits Reasoning in Large Language Models,
arXiv:2201.11903. Published figures (GSM8K, eight worked examples): PaLM 540B 56.9 against 17.9 for
prompts that show answers alone; GPT-3 175B 46.9 against 15.6.

What differs, and why: worked examples are an option and none are the default, since nobody has any for
a new task (zero-shot, after Kojima et al., arXiv:2205.11916); the answer stands behind a mark, or, with
an output schema, is JSON of that shape; a reply that states no answer is asked for it once more.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from agentflow import Message, Result, Task, flow, generate
from agentflow_planners.shared.answers import MARK, final_answer, wanted_form
from agentflow_planners.shared.wording import statement

SYSTEM = "Reason step by step before you answer."


class Worked(BaseModel):
    """A worked example: a question, the reasoning in words, and the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    reasoning: str
    answer: str


@flow
async def cot(task: Task, *, examples: tuple[Worked, ...] = ()) -> Result:
    """Reason in words, then answer.

    Args:
        task: An output schema shapes the answer, not the reasoning.
        examples: Worked examples to show before the task.

    Raises:
        ExpansionError: The model gives no answer, even asked for nothing else.
        ModelError: A call failed for good.
        MalformedReplyError: No answer had the wanted shape.
    """
    return Result(output=await reasoned(task, examples))


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
