"""Acting by turns as a trained model does it: one call at a time, or one program at a time.

Owns the two loops. The conversation holds nothing but the task, what the model wrote and what came of it.
"""

import ast

from agentflow import AgentflowError
from agentflow.errors import EpisodeOverError, ExpansionError, ProgramError
from agentflow_planners.shared.acting import Tools
from agentflow_planners.shared.cells import Cell, Notebook
from agentflow_planners.students import grammars
from agentflow_planners.students.dialogue import Dialogue
from agentflow_planners.students.names import Naming
from agentflow_planners.students.prompts import DONE
from agentflow_planners.students.sight import Texts

NOTHING = "nothing"  # what is heard of a program that prints nothing


async def act_by_calls(opening: str, tools: Tools, names: Naming, texts: Texts, turns: int) -> str:
    """Let the model make one call a turn, until it is done or the episode is over.

    Raises:
        ExpansionError: It goes round in circles, or is not done after the last turn.
        ModelError: A call of the model failed for good.
    """
    dialogue = Dialogue(opening, tools.values(), names, texts)
    for _turn in range(turns):
        reply = await dialogue.reply(grammars.call_of(tools, DONE, dialogue.sight()))
        if reply == DONE:
            return DONE
        try:
            heard = await _called(reply, tools)
        except EpisodeOverError:
            return DONE
        except AgentflowError as error:
            heard = f"error: {error}"
        dialogue.tell(reply, heard)
    raise _endless(turns)


async def act_by_programs(
    opening: str, tools: Tools, names: Naming, texts: Texts, turns: int
) -> object:
    """Let the model write one program a turn, until one returns the answer or the episode is over.

    Raises:
        ExpansionError: It goes round in circles, or none has after the last turn.
        ModelError: A call of the model failed for good.
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    notebook = Notebook({}, tuple(tools))
    dialogue = Dialogue(opening, tools.values(), names, texts)
    for _turn in range(turns):
        reply = await dialogue.reply(grammars.program(dialogue.sight()))
        try:
            outcome = await notebook.run(reply)
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
        dialogue.tell(reply, heard)
    raise _endless(turns)


async def _called(text: str, tools: Tools) -> str:
    tree = ast.parse(text, mode="eval").body
    assert isinstance(tree, ast.Call), "the grammar allows nothing else"
    assert isinstance(tree.func, ast.Name), "the grammar names tools only"
    arguments = tuple(ast.literal_eval(argument) for argument in tree.args)
    return str(await tools[tree.func.id].call(arguments, {}))


def _endless(turns: int) -> ExpansionError:
    return ExpansionError(step="trained", problem=f"not done after {turns} turns; raise `turns`")
