"""A conversation with a model that was trained to plan: with codes for names, and replies held to a grammar.

Owns what was said so far, in the model's words and in ours.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from agentflow import Message, Tool, generate
from agentflow.errors import ExpansionError
from agentflow_planners.shared.replies import exchange
from agentflow_planners.students.grammars import MAX_TOKENS, Sight
from agentflow_planners.students.names import Names, Naming
from agentflow_planners.students.sight import Texts, examples_of, in_sight

MOST_ALIKE = 8  # exchanges of an episode; the teachers of games have 3


class Dialogue:
    """A conversation that begins with a question.

    Args:
        question: What the model is asked first.
        tools: Whose examples are in sight too.
        names: See `Names`.
        texts: See `in_sight`.
    """

    def __init__(
        self, question: str, tools: Iterable[Tool[..., Any]], names: Naming, texts: Texts
    ) -> None:
        self._names, self._texts = Names(names), texts
        self._said = [Message(role="user", text=self._names.hidden(question))]
        self._examples = examples_of(tools)
        self._exchanges = Counter[tuple[str, str]]()

    def sight(self) -> Sight | None:
        """Return what texts in the next reply may be made of, or None if of anything."""
        texts = [message.text for message in self._said]
        examples = [self._names.hidden_if_known(example) for example in self._examples]
        return in_sight(self._texts, texts, examples)

    async def reply(self, grammar: str, temperature: float = 0.0, seed: int = 0) -> str:
        """Return what the model replies; a second reply to the same goes on from the state that has read it.

        Raises:
            ModelError: The call failed for good.
        """
        reply = await generate(
            self._said,
            grammar=grammar,
            max_tokens=MAX_TOKENS,
            temperature=temperature,
            seed=seed,
        )
        return self._names.shown(reply.text)

    def tell(self, reply: str, heard: str) -> None:
        """Go on: the model has replied this, and heard that.

        Raises:
            ExpansionError: It replies and hears the same over and over: nothing better will come.
        """
        self._exchanges[reply, heard] += 1
        if self._exchanges[reply, heard] == MOST_ALIKE:
            problem = f"going round in circles: {reply!r} was replied {MOST_ALIKE} times and heard the same"
            raise ExpansionError(step="trained", problem=problem)
        self._said += exchange(self._names.hidden(reply), self._names.hidden(heard))
