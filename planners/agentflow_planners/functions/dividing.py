"""Divide a function, write its helpers, choose among versions of it, and mend the winner.

Owns the recursion of FunCoder, Algorithm 1, for the planners that divide functions. Knows no task.
"""

from collections.abc import Sequence

from agentflow import BranchFailure, flow, levels_left, note, parallel
from agentflow.errors import BudgetExceededError, ExpansionError
from agentflow_planners.functions.candidates import (
    Candidate,
    Draft,
    Sampling,
    Unfinished,
    divided,
    drafted,
    repaired,
    versions,
)
from agentflow_planners.functions.choosing import Court, Decision, Judging
from agentflow_planners.functions.library import Library
from agentflow_planners.functions.node import FunctionNode
from agentflow_planners.shared.values import Frozen


class Policy(Frozen):
    """How functions are written: the options of `funcoder`, all over one tree."""

    samples: int = 11
    levels: int = 6
    repairs: int = 1
    temperature: float | None = None
    abstain_below: float = 0.0
    judging: Judging = Judging()

    @property
    def sampling(self) -> Sampling:
        """How versions are drawn."""
        return Sampling(temperature=self.temperature, seed=self.judging.seed)


class Written(Frozen):
    """A function that has been written, and how sure that is: the share of versions that agree."""

    candidate: Candidate
    confidence: float


@flow
async def write_function(
    unfinished: Unfinished, policy: Policy, calls: tuple[str, ...] = (), level: int = 0
) -> Written:
    """Write one function: divide it, write its helpers, then choose among versions of it.

    Raises:
        ExpansionError: No version works, or too few agree.
    """
    draft, with_helpers = await divide(unfinished, policy, level)
    court = Court(with_helpers, policy.judging, calls)
    await court.open()
    first = [] if draft is None else drafted(draft, with_helpers)
    rest = await versions(with_helpers, policy.sampling, count=policy.samples - 1)
    decision = await court.judge([*first, *rest])
    return verdict(unfinished, await mended(with_helpers, court, decision, policy), policy)


async def divide(
    unfinished: Unfinished, policy: Policy, level: int
) -> tuple[Draft | None, Unfinished]:
    """Return the function as the model divides it, and what it is then written in: with helpers.

    Helpers that the task leaves unwritten are written here too. One that cannot be written is left out.
    """
    given = [helper for helper in unfinished.helpers if not helper.is_written]
    ready = [helper for helper in unfinished.helpers if helper.is_written]
    known = unfinished.model_copy(update={"helpers": tuple(ready)})
    if given:
        library = await _with_helpers(known, known.node, given, policy, level)
        return None, _within(known, library)
    if level >= policy.levels or levels_left() == 0:
        return None, known
    draft = await divided(known, policy.judging.seed)
    if draft is None or not draft.unwritten:
        return draft, known
    library = await _with_helpers(known, draft.node, draft.unwritten, policy, level)
    return draft.model_copy(update={"node": library.node(draft.node.name)}), _within(known, library)


async def _with_helpers(
    unfinished: Unfinished,
    caller: FunctionNode,
    helpers: Sequence[FunctionNode],
    policy: Policy,
    level: int,
) -> Library:
    """Write the helpers of `caller` side by side; return it with those that could be written."""
    known, above = unfinished.helpers, (caller, *unfinished.callers)
    results = await parallel(
        (
            write_function.named(helper.name)(
                Unfinished(node=helper, helpers=known, callers=above), policy, level=level + 1
            )
            for helper in helpers
        ),
        collect=True,
    )
    library = Library()
    name = library.add(caller)
    for helper in known:
        library.add(helper, for_=name)
    for helper, result in zip(helpers, results, strict=True):
        if not isinstance(result, BranchFailure):
            _put(library, result.candidate, name)
        elif isinstance(result.error, ExpansionError | BudgetExceededError):
            note(f"{helper.name} could not be written: {result.error}")
        else:
            raise result.error
    return library


def _put(library: Library, candidate: Candidate, caller: str) -> None:
    """Add a function and what it calls; two helpers of one name and two meanings stay two."""
    name = library.add(candidate.node, for_=caller)
    for helper in candidate.helpers:
        library.add(helper, for_=name)


def _within(unfinished: Unfinished, library: Library) -> Unfinished:
    own = unfinished.node.name
    helpers = tuple(node for node in library.nodes() if node.name != own)
    return unfinished.model_copy(update={"helpers": helpers})


async def mended(
    unfinished: Unfinished, court: Court, decision: Decision, policy: Policy
) -> Decision:
    """Show the model what the winner does wrong, up to `repairs` times."""
    for _repair in range(policy.repairs):
        if decision.winner is None or not decision.problem:
            break
        better = await repaired(unfinished, decision.winner, decision.problem)
        if not better:
            break
        decision = await court.judge(better)
    return decision


def verdict(unfinished: Unfinished, decision: Decision, policy: Policy) -> Written:
    """Return the winner.

    Raises:
        ExpansionError: There is none, or too few agree with it.
    """
    name = unfinished.node.name
    if decision.winner is None:
        raise ExpansionError(step=name, problem=decision.problem)
    if decision.confidence < policy.abstain_below:
        share = f"{decision.confidence:.2f}, wanted {policy.abstain_below:.2f}"
        raise ExpansionError(step=name, problem=f"the versions do not agree enough ({share})")
    note(
        f"{name}: votes {decision.votes}, confidence {decision.confidence:.2f}",
        passed=decision.passed,
    )
    return Written(candidate=decision.winner, confidence=decision.confidence)
