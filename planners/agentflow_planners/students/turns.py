"""Acting by turns as a trained model does it: one call at a time, or one program at a time.

Owns the two loops. The conversation holds nothing but the task, what the model wrote and what came of it.
"""

import ast

from agentflow import AgentflowError, Message, generate
from agentflow.errors import EpisodeOverError, ExpansionError, ProgramError
from agentflow_planners.shared.acting import Tools
from agentflow_planners.shared.cells import Cell, Notebook
from agentflow_planners.shared.replies import exchange
from agentflow_planners.students import grammars
from agentflow_planners.students.prompts import DONE
from agentflow_planners.students.sight import Texts, in_sight

NOTHING = "nothing"  # what is heard of a program that prints nothing


async def act_by_calls(opening: str, tools: Tools, texts: Texts, turns: int) -> str:
    """Let the model make one call a turn, until it is done or the episode is over.

    Raises:
        ExpansionError: It is not done after the last turn.
        ModelError: A call of the model failed for good.
    """
    said = [Message(role="user", text=opening)]
    for _turn in range(turns):
        reply = await generate(
            said,
            grammar=grammars.call_of(tools, DONE, in_sight(texts, said, tools.values())),
            max_tokens=grammars.MAX_TOKENS,
            temperature=0.0,
        )
        if reply.text == DONE:
            return DONE
        try:
            heard = await _called(reply.text, tools)
        except EpisodeOverError:
            return DONE
        except AgentflowError as error:
            heard = f"error: {error}"
        said += exchange(reply.text, heard)
    raise _endless(turns)


async def act_by_programs(opening: str, tools: Tools, texts: Texts, turns: int) -> object:
    """Let the model write one program a turn, until one returns the answer or the episode is over.

    Raises:
        ExpansionError: None has after the last turn.
        ModelError: A call of the model failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    notebook = Notebook({}, tuple(tools))
    said = [Message(role="user", text=opening)]
    for _turn in range(turns):
        reply = await generate(
            said,
            grammar=grammars.program(in_sight(texts, said, tools.values())),
            max_tokens=grammars.MAX_TOKENS,
            temperature=0.0,
        )
        try:
            outcome = await notebook.run(reply.text)
        except EpisodeOverError:
            return DONE
        except ProgramError as error:
            heard = f"error: {error.report}"
        except AgentflowError as error:
            heard = f"error: {error}"
        else:
            if not isinstance(outcome, Cell):
                return outcome.value
            heard = outcome.printed.strip() or NOTHING
        said += exchange(reply.text, heard)
    raise _endless(turns)


async def _called(text: str, tools: Tools) -> str:
    tree = ast.parse(text, mode="eval").body
    assert isinstance(tree, ast.Call), "the grammar allows nothing else"
    assert isinstance(tree.func, ast.Name), "the grammar names tools only"
    arguments = tuple(ast.literal_eval(argument) for argument in tree.args)
    return str(await tools[tree.func.id].call(arguments, {}))


def _endless(turns: int) -> ExpansionError:
    return ExpansionError(step="trained", problem=f"not done after {turns} turns; raise `turns`")
