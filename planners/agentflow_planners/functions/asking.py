"""Ask the model what a function is to be tried on: calls of it, and tests that it must pass."""

from agentflow import Message, Reply, default_model, generate
from agentflow_planners.functions import prompts
from agentflow_planners.functions.calls.examples import Example, examples_of
from agentflow_planners.functions.calls.inputs import calls_in_reply
from agentflow_planners.functions.candidates import Unfinished
from agentflow_planners.shared.sampling import first_options

MAX_TOKENS_CALLS = 300
MAX_TOKENS_TESTS = 500
_ASSERT = "assert "


async def calls_asked(unfinished: Unfinished, count: int) -> tuple[str, ...]:
    """Return up to `count` calls of a function that the model names."""
    node, is_local = unfinished.node, (await default_model()).is_local
    prompt = prompts.asking_inputs(node, unfinished.context(), count=count, continues=is_local)
    text = await _reply(prompt, MAX_TOKENS_CALLS, is_local=is_local)
    return calls_in_reply(text, node.name, limit=count)


async def tests_asked(unfinished: Unfinished, count: int) -> tuple[Example, ...]:
    """Return up to `count` tests that the model makes for a function; none for a count of 0."""
    if count == 0:
        return ()
    node, is_local = unfinished.node, (await default_model()).is_local
    prompt = prompts.asking_tests(node, unfinished.context(), count=count, continues=is_local)
    text = await _reply(prompt, MAX_TOKENS_TESTS, is_local=is_local)
    lines = [line for line in text.splitlines() if line.startswith(_ASSERT)]
    return examples_of(node.model_copy(update={"doc": "\n".join(lines)}))[:count]


async def _reply(prompt: list[Message], max_tokens: int, *, is_local: bool) -> str:
    stop = ("```",) if is_local else ()
    options = await first_options()
    reply: Reply = await generate(prompt, stop=stop, max_tokens=max_tokens, **options)
    return reply.text
