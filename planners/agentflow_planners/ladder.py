"""Make a problem simpler again and again, solve from the simplest up, and believe only what is verified.

Source: Simonds and Yoshiyama, LADDER: Self-Improving LLMs Through Recursive Problem Decomposition,
  arXiv:2503.00735.
Cost: tens of calls: problems x (attempts + 1), of which there are 1 + variants + variants² + ...
Needs: a sandbox.
Published: undergraduate integrals 82 %, before training on the ladder 1 % (Llama-3.2-3B); MIT Integration Bee
  73 % (Qwen2.5-7B-R1-distill, trained); MIT Integration Bee 90 % with training on variants of
  the test problem (the same model).

What differs, and why:
- nothing is trained here: variants that were solved and verified are shown where the problem above them
  is solved, and `agentflow pairs` writes them as data to train on;
- the problem is an integral, as in the paper. F is believed if F' is f at seeded random points, so every
  constant of integration is right; both are evaluated in the sandbox, from a syntax tree that holds
  nothing but arithmetic. A point where f or F has no real value, or the slope does not settle, says
  nothing; without enough other points nothing is believed;
- a rejected solution goes back to the model with a point where it is wrong;
- the tree is small (3 variants, 2 levels; the authors' up to 20 and 6) since it is for one problem.
"""

import math
import random
import statistics
from typing import Any

from agentflow import Message, Program, Result, Task, flow, generate, note, parallel, run_program
from agentflow.errors import ExpansionError, InputError, MalformedReplyError, ProgramError
from agentflow_planners.shared.arithmetic import arithmetic, as_python
from agentflow_planners.shared.replies import exchange, sized
from agentflow_planners.shared.sampling import attempt_options
from agentflow_planners.shared.values import Count, Frozen, Number
from agentflow_planners.shared.wording import Brief

MAX_TOLD_CHARS = 500
DRAWN = 64
ENOUGH = 8
TOLERANCE = 1e-5
ROUNDING = 1e-7
FORM = (
    "Write expressions in x as Python does: 2*x, x**2, sqrt(x), exp(x), log(x) for the natural logarithm, "
    "sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, pi. No words, no equals sign."
)

VARY = """\
Here is an integral that is hard to solve: the integrand is {integrand}
Write {count} integrands that are easier and of the same kind, so that solving them shows a way to solve \
this one: simpler coefficients, lower powers, fewer terms, one factor alone. {form}"""
SOLVE = "Find an antiderivative of {integrand}\n{form}"
EASIER = "These easier ones are solved, and the solutions are verified:\n{solved}"
WRONG = "{solution} is no antiderivative: {reason}. Send another."

CHECK = """\
import math
def f(x):
    return float({integrand})
def F(x):
    return float({solution})
def slope(x, h):
    return (8 * (F(x + h) - F(x - h)) - F(x + 2 * h) + F(x - 2 * h)) / (12 * h)
def seen(x):
    try:
        return [x, f(x), slope(x, 0.0002), slope(x, 0.0001)]
    except (ValueError, ZeroDivisionError, OverflowError, TypeError):
        return None
return [seen(x) for x in points]"""


class Variants(Frozen):
    """Easier problems, as a model writes them."""

    integrands: list[Brief]


class Solution(Frozen):
    """An antiderivative, as a model writes it."""

    antiderivative: Brief


class Solved(Frozen):
    """An integral with an antiderivative that was verified."""

    integrand: str
    antiderivative: str


class Climb(Frozen):
    """What stays the same all over one ladder."""

    depth: int
    variants: int
    attempts: int
    low: float
    high: float
    seed: int


@flow
async def ladder(
    task: Task,
    *,
    depth: Number = 2,
    variants: Count = 3,
    attempts: Count = 3,
    low: float = -3.0,
    high: float = 3.0,
    seed: int = 0,
) -> Result:
    """Find an antiderivative of the input `integrand`, an expression in x.

    Args:
        task: Its goal is for people; the problem is the input.
        depth: How many levels of easier variants; 0 solves the problem by itself.
        variants: How many easier variants each problem gets.
        attempts: How often each problem may be tried.
        low: Where the interval begins from which points are drawn.
        high: Where it ends.
        seed: Of the points.

    Raises:
        InputError: There is no `integrand` that can be read.
        ExpansionError: No solution of the problem itself was verified.
        ModelError: A call failed for good.
        SandboxUnavailableError: Generated expressions cannot be confined here.
    """
    try:
        integrand = arithmetic(str(task.inputs.get("integrand", "")))
    except ValueError as error:
        raise InputError(step="ladder", problem=f"`integrand`: {error}") from error
    climb = Climb(depth=depth, variants=variants, attempts=attempts, low=low, high=high, seed=seed)
    solved = await climb_to.named("problem")(integrand, climb, ())
    if solved[-1:] and solved[-1].integrand == integrand:
        return Result(output=solved[-1].antiderivative)
    problem = f"no antiderivative of {integrand} was verified; {len(solved)} easier ones were"
    raise ExpansionError(step="ladder", problem=problem)


@flow
async def climb_to(integrand: str, climb: Climb, above: tuple[str, ...]) -> list[Solved]:
    """Solve a problem and all below it; return what was verified, the easiest first."""
    solved: list[Solved] = []
    if len(above) < climb.depth:
        easier = await _easier(integrand, climb, above)
        below = await parallel(
            climb_to.named(f"easier {number}")(one, climb, (*above, integrand))
            for number, one in enumerate(easier, 1)
        )
        solved = list(dict.fromkeys(one for part in below for one in part))
    found = await solve(integrand, solved, climb)
    note(f"{integrand}: {'not solved' if found is None else found}")
    return solved if found is None else [*solved, Solved(integrand=integrand, antiderivative=found)]


@flow
async def solve(integrand: str, easier: list[Solved], climb: Climb) -> str | None:
    """Return a verified antiderivative, or None if no attempt gave one."""
    solved = "\n".join(f"{one.integrand}  ->  {one.antiderivative}" for one in easier)
    parts = [SOLVE.format(integrand=integrand, form=FORM)]
    parts += [EASIER.format(solved=solved)] if solved else []
    said = [Message(role="user", text="\n\n".join(parts))]
    for attempt in range(climb.attempts):
        try:
            told = await generate(said, output=Solution, **await attempt_options(attempt))
        except MalformedReplyError:
            return None
        given = told.antiderivative
        reason = await verify(integrand, given, climb)
        if not reason:
            return arithmetic(given)
        said += exchange(told, WRONG.format(solution=given[:MAX_TOLD_CHARS], reason=reason))
    return None


@flow
async def verify(integrand: str, solution: str, climb: Climb) -> str:
    """Return why `solution` cannot be believed to be an antiderivative; empty if it can."""
    draw = random.Random(climb.seed)  # noqa: S311 - the points have to be the same on replay
    points = [draw.uniform(climb.low, climb.high) for _point in range(DRAWN)]
    try:
        code = CHECK.format(integrand=as_python(integrand), solution=as_python(solution))
        seen = await run_program(Program(code=code, inputs={"points": points}), _nobody)
    except (ValueError, ProgramError) as error:
        return f"it cannot be evaluated: {error}"
    known = [one for one in seen if one is not None and all(map(math.isfinite, one))]
    usual = statistics.median(abs(value) for _x, value, *_slopes in known) if known else 0.0
    settled = [one for one in known if _is_near(one[3], one[2], usual)]
    if len(settled) < ENOUGH:
        return f"it can be compared with the integrand at {len(settled)} of {DRAWN} points only"
    for x, value, _rough, slope in settled:
        if not _is_near(slope, value, usual):
            return f"at x = {x:.4g} its slope is {slope:.6g}, not {value:.6g}"
    return ""


async def _easier(integrand: str, climb: Climb, above: tuple[str, ...]) -> list[str]:
    """Return different variants that can be read, and are no problem of which this is a variant."""
    prompt = VARY.format(integrand=integrand, count=climb.variants, form=FORM)
    form = sized(Variants, integrands=(1, climb.variants))
    try:
        given = (await generate(prompt, output=form)).integrands
    except MalformedReplyError as error:
        note(f"no variants: {error}")
        return []
    found: list[str] = []
    for text in given[: 4 * climb.variants]:
        try:
            one = arithmetic(text)
        except ValueError as error:
            note(f"a variant is left out: {error}")
            continue
        if one not in (*found, *above, integrand):
            found.append(one)
    return found[: climb.variants]


def _is_near(one: float, other: float, usual: float) -> bool:
    """Compare to five digits; `usual` is the size below which a difference is rounding."""
    return abs(one - other) <= TOLERANCE * abs(other) + (ROUNDING * usual or 1e-9)


async def _nobody(call: Any) -> Any:
    raise ExpansionError(step="verify", problem=f"there is no function {call.name}")
