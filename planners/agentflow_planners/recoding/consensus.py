"""Several versions of one function of ReCode, and the one that most agree with.

Owns the drawing of versions and their way before the court: observed on the arguments of the call at
hand, on others near them and on others of the same types. Where there is no agreement it abstains, and
the function is written in the plain way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agentflow import BranchFailure, Message, generate, note, parallel
from agentflow.errors import BudgetExceededError, ExpansionError, ModelError, ProgramError
from agentflow_planners.functions.candidates import Candidate, Unfinished
from agentflow_planners.functions.choosing import Court, Judging
from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.recoding.units import Unit
from agentflow_planners.shared.sampling import sample_options

TEMPERATURE = 0.8  # of a local model; a hosted one keeps its own
MIN_VOTES = (
    2  # a version that nobody else agrees with is no better than the one the plain way gives
)
JUDGING = Judging(ask=False)
MAX_CALL_CHARS = 1_500
MAX_ARGUMENT_CHARS = 200_000
# What the arguments of a call may be written with: `repr` of our plain data is an expression of these.
_NAMES = "import datetime\nfrom decimal import Decimal\nfrom math import inf, nan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The prompt for a whole function, and the options of its first version."""

    prompt: list[Message]
    options: dict[str, Any]


async def agreed(
    unit: Unit, drawing: Drawing, read: Callable[[str], FunctionNode], *, samples: int
) -> FunctionNode | None:
    """Return the version that most of `samples` agree with; None when none is better than another.

    Args:
        unit: The call; its arguments are the first on which versions are compared.
        drawing: How to ask.
        read: Makes a version of a reply, or raises ProgramError or ExpansionError.
        samples: How many versions to ask for.

    Raises:
        SandboxUnavailableError: Generated code cannot be confined here.
    """
    given = repr(unit.arguments)
    versions = [] if len(given) > MAX_ARGUMENT_CHARS else await _drawn(unit, drawing, read, samples)
    if len(versions) < 2:
        note(f"no consensus on {unit.name}: {len(versions)} versions to compare")
        return None
    returns = unit.node.returns
    typed = FunctionNode.of_call(unit.name, unit.arguments, unit.about, returns)
    call = f"{unit.name}(**{given})"
    setup = _NAMES
    if len(call) > MAX_CALL_CHARS:
        setup, call = f"{_NAMES}\n_given = {given}", f"{unit.name}(**_given)"
    court = Court(Unfinished(node=typed), JUDGING, calls=(call,))
    await court.open()
    candidates = [
        Candidate(node=version, source=f"{setup}\n\n\n{version.source()}") for version in versions
    ]
    decision = await court.judge(candidates)
    votes = ", ".join(map(str, decision.votes))
    if decision.winner is None or decision.votes[0] < MIN_VOTES:
        note(f"no consensus on {unit.name}: {decision.problem or f'votes {votes}'}")
        return None
    note(f"consensus on {unit.name}: votes {votes}, confidence {decision.confidence:.2f}")
    return decision.winner.node


async def _drawn(
    unit: Unit, drawing: Drawing, read: Callable[[str], FunctionNode], samples: int
) -> list[FunctionNode]:
    """Return the versions among the replies; what is none is noted."""
    drawn_with = [
        drawing.options | await sample_options(number, local=TEMPERATURE)
        for number in range(samples)
    ]
    replies = await parallel(
        (generate(drawing.prompt, **options) for options in drawn_with), collect=True
    )
    versions = []
    for reply in replies:
        try:
            if isinstance(reply, BranchFailure):
                raise reply.error
            version = read(reply.text)
            version.source()
            versions.append(version)
        except (ProgramError, ExpansionError, ModelError, BudgetExceededError) as error:
            note(f"no version of {unit.name}: {error}")
    return versions
