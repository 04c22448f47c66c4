"""Candidates for one function: sampled from a model, read, and made into whole programs.

Owns the way from an unwritten function to versions of it that can be executed. A version that does not
write the function, changes its signature or leaves a stub behind is no candidate; why is noted.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from agentflow import Message, Reply, default_model, generate, note, parallel
from agentflow.errors import ExpansionError, ProgramError
from agentflow_planners.functions import prompts
from agentflow_planners.functions.library import Library
from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.functions.source import Module, read_reply, same_signature
from agentflow_planners.shared.sampling import first_options, sample_options

MAX_TOKENS = 1024
MAX_TOKENS_LOCAL = 400
CONTEXT_CHARS = 12_000
LOCAL_TEMPERATURE = 0.8  # without one, a local model gives its first choice each time
DIVIDE_TEMPERATURE = 0.2  # the same, for the one division


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Unfinished(_Value):
    """A function to write and what it is written in.

    `helpers` are written and may be called; `callers` are those above it, nearest first.
    """

    node: FunctionNode
    helpers: tuple[FunctionNode, ...] = ()
    callers: tuple[FunctionNode, ...] = ()

    def context(self, budget_chars: int = CONTEXT_CHARS) -> str:
        """Return the code that a model is shown: within the budget, the function itself last."""
        library = Library()
        above = None
        for caller in self.callers[::-1]:
            above = library.add(caller, for_=above)
        name = library.add(self.node, for_=above)
        for helper in self.helpers:
            library.add(helper, for_=name)
        return library.context(name, budget_chars)


class Sampling(_Value):
    """How versions are drawn: sample number i has the seed `seed` + i.

    Without a `temperature`, a hosted model keeps its own and a local one gets 0.8.
    """

    temperature: float | None = None
    seed: int = 0


class Candidate(_Value):
    """A written version with all it calls; `source` is the whole module."""

    node: FunctionNode
    helpers: tuple[FunctionNode, ...] = ()
    source: str


class Draft(_Value):
    """A version as a model wrote it: helpers of its own may still be unwritten."""

    node: FunctionNode
    helpers: tuple[FunctionNode, ...] = ()

    @property
    def unwritten(self) -> tuple[FunctionNode, ...]:
        """The helpers that have no body yet."""
        return tuple(helper for helper in self.helpers if not helper.is_written)


async def greedy(unfinished: Unfinished) -> list[Candidate]:
    """Return the model's first choice, as a list of one or none."""
    return await versions(unfinished, Sampling(), count=1)


async def versions(unfinished: Unfinished, sampling: Sampling, *, count: int) -> list[Candidate]:
    """Return the candidates among `count` replies: the model's first choice, the others sampled."""
    others = [await _options(sampling, number) for number in range(1, count)]
    return await _drawn(unfinished, [await first_options(), *others])


async def sampled(
    unfinished: Unfinished, sampling: Sampling, *, count: int, first: int = 0
) -> list[Candidate]:
    """Return the candidates among `count` samples, drawn side by side.

    Args:
        unfinished: What to write.
        sampling: How to draw.
        count: How many replies to ask for.
        first: Number of the first one, so that more can be drawn later.
    """
    draws = [await _options(sampling, number) for number in range(first, first + count)]
    return await _drawn(unfinished, draws)


async def repaired(unfinished: Unfinished, failed: Candidate, problem: str) -> list[Candidate]:
    """Return the model's correction of a candidate, as a list of one or none."""
    continues = (await default_model()).is_local
    code = "\n\n".join(function.source() for function in (*_own(failed, unfinished), failed.node))
    prompt = prompts.repairing(
        unfinished.node, unfinished.context(), code=code, problem=problem, continues=continues
    )
    stop = prompts.CHATTER if continues else ()
    reply = await _asked(prompt, await first_options(), stop=stop)
    return _kept(unfinished, [reply])


async def divided(unfinished: Unfinished, seed: int) -> Draft | None:
    """Return the function as the model divides it; None when the reply does not write it."""
    continues = (await default_model()).is_local
    prompt = prompts.dividing(unfinished.node, unfinished.context(), continues=continues)
    options = await sample_options(seed, local=DIVIDE_TEMPERATURE)
    reply = await _asked(prompt, options, stop=("```",) if continues else ())
    try:
        return read_draft(reply.text, unfinished)
    except (ExpansionError, ProgramError) as error:
        note(f"{unfinished.node.name} was not divided: {error}")
        return None


def read_draft(reply: str, unfinished: Unfinished) -> Draft:
    """Read the function out of a reply.

    Raises:
        ProgramError: The reply holds no Python.
        ExpansionError: It does not write the function, or writes another signature.
    """
    module, node = read_reply(reply), unfinished.node
    written = [found for found in module.functions if found.name == node.name and found.is_written]
    if not written:
        raise ExpansionError(step=node.name, problem="the reply does not write it")
    if not same_signature(written[-1], node):
        raise ExpansionError(
            step=node.name, problem=f"the reply changes the signature: {written[-1].signature}"
        )
    known = {node.name, *(function.name for function in unfinished.helpers)}
    setup = _setup(node, module)
    own = tuple(
        function.model_copy(update={"setup": setup})
        for function in module.functions
        if function.name not in known
    )
    body = node.model_copy(update={"setup": setup}).written(written[-1].body or "")
    return Draft(node=body, helpers=own)


def completed(draft: Draft, helpers: Sequence[FunctionNode]) -> Candidate:
    """Return a draft as a program, its helpers' written versions in place.

    Raises:
        ExpansionError: A helper is still unwritten.
    """
    library = Library()
    name = library.add(draft.node, for_=None)
    known = {helper.name: helper for helper in helpers}
    own = {helper.name: helper for helper in draft.helpers}
    for helper in (known | {k: v for k, v in own.items() if k not in known}).values():
        library.add(helper, for_=name)
    source = library.assemble(name)
    used = tuple(node for node in library.nodes() if node.name != name)
    return Candidate(node=library.node(name), helpers=used, source=source)


def drafted(draft: Draft, unfinished: Unfinished) -> list[Candidate]:
    """Return a draft as a candidate, as a list of one; of none when a helper is still unwritten."""
    try:
        return [completed(draft, unfinished.helpers)]
    except (ExpansionError, ProgramError) as error:
        note(f"no candidate for {unfinished.node.name}: {error}")
        return []


async def _options(sampling: Sampling, number: int) -> dict[str, Any]:
    return await sample_options(
        sampling.seed + number, sampling.temperature, local=LOCAL_TEMPERATURE
    )


async def _drawn(unfinished: Unfinished, draws: list[dict[str, Any]]) -> list[Candidate]:
    continues = (await default_model()).is_local
    prompt = prompts.writing(unfinished.node, unfinished.context(), continues=continues)
    stop = prompts.CHATTER if continues else ()
    replies = await parallel(_asked(prompt, options, stop=stop) for options in draws)
    return _kept(unfinished, replies)


async def _asked(prompt: list[Message], options: dict[str, Any], *, stop: tuple[str, ...]) -> Reply:
    limit = MAX_TOKENS_LOCAL if prompt[-1].role == "assistant" else MAX_TOKENS
    reply: Reply = await generate(prompt, stop=stop, max_tokens=limit, **options)
    return reply


def _kept(unfinished: Unfinished, replies: Sequence[Reply]) -> list[Candidate]:
    candidates = []
    for reply in replies:
        try:
            candidates += drafted(read_draft(reply.text, unfinished), unfinished)
        except (ExpansionError, ProgramError) as error:
            note(f"no candidate for {unfinished.node.name}: {error}")
    return candidates


def _own(candidate: Candidate, unfinished: Unfinished) -> list[FunctionNode]:
    given = {helper.name for helper in unfinished.helpers}
    return [helper for helper in candidate.helpers if helper.name not in given]


def _setup(node: FunctionNode, module: Module) -> str:
    """Return what the function is read in, with what the reply puts around it."""
    new = [statement for statement in module.setup if statement.strip() not in node.setup]
    return "\n".join(part for part in (node.setup, *new) if part)
