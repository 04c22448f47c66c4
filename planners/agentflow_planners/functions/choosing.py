"""Choose among candidates by what they do: functional consensus, doc examples first.

Source: Chen et al., Divide-and-Conquer Meets Consensus: Unleashing the Power of Functions in Code
Generation, arXiv:2405.20092, §2.2. Owns the observing of candidates on calls from every source, and
the second look where the leaders disagree. What counts as the same behaviour is `behaviour.py`'s, the
choice itself `consensus.py`'s.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from agentflow import Trial, observe, parallel
from agentflow.sandbox.workers.protocol import Failure, Observation, Observed
from agentflow_planners.functions.asking import calls_asked
from agentflow_planners.functions.calls.examples import examples_of
from agentflow_planners.functions.calls.inputs import calls_from_types, calls_near, unique
from agentflow_planners.functions.candidates import Candidate, Unfinished
from agentflow_planners.functions.consensus import Choice, choose, disputed, is_broken
from agentflow_planners.functions.verifying import LIMITS, Suite, suite_of

ASKED_CALLS = 8


class Judging(BaseModel):
    """How candidates are compared.

    `calls` is how many calls they are observed on, `ask` whether the model is asked for some of them,
    `more` how many are added where the two leading groups disagree.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int = 24
    ask: bool = True
    more: int = 8
    seed: int = 0


class Decision(BaseModel):
    """The best of the candidates, if any runs.

    `votes` are the sizes of the groups that behave alike, the winner's first. `passed` is the share of
    doc examples that the winner passes, None without examples. `problem` says what it does wrong.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    winner: Candidate | None
    confidence: float
    votes: tuple[int, ...] = ()
    passed: float | None = None
    problem: str = ""


class Court:
    """The calls that one function is judged on, collected once, and the candidates seen so far."""

    def __init__(self, unfinished: Unfinished, judging: Judging, calls: Sequence[str] = ()) -> None:
        self._unfinished, self._judging = unfinished, judging
        self._given = tuple(calls)
        self._suite = Suite()
        self._calls: tuple[str, ...] = ()
        self._seen: dict[str, Observed] = {}
        self.candidates: list[Candidate] = []

    async def open(self) -> None:
        """Collect the calls: of the doc examples, near them, from the types, and from the model.

        Raises:
            SandboxUnavailableError: Generated code cannot be confined here.
        """
        node, judging = self._unfinished.node, self._judging
        self._suite = await suite_of(node, examples_of(node))
        is_asked = judging.ask and node.parameters
        asked = await calls_asked(self._unfinished, ASKED_CALLS) if is_asked else ()
        known = unique([*self._suite.calls, *self._given, *asked])
        room = max(0, judging.calls - len(known))
        near = calls_near(known, seed=judging.seed, count=room // 2)
        typed = calls_from_types(node, seed=judging.seed, count=room - len(near))
        self._calls = unique([*known, *near, *typed])

    async def judge(self, new: Sequence[Candidate]) -> Decision:
        """Observe the new candidates, and choose among all there are."""
        self.candidates += new
        if not self.candidates:
            return Decision(winner=None, confidence=0.0, problem="no reply was a candidate")
        await self._observe()
        choice = self._choice()
        if len(choice.clusters) > 1 and self._judging.more and await self._look_again():
            choice = self._choice()
        return self._decision(choice)

    async def _observe(self) -> None:
        """Run every distinct program on the calls it has not been seen on."""
        sources = list(dict.fromkeys(candidate.source for candidate in self.candidates))
        due = [(source, self._calls[self._count(source) :]) for source in sources]
        due = [(source, calls) for source, calls in due if calls]
        trials = [Trial(source=source, calls=calls, limits=LIMITS) for source, calls in due]
        for (source, _), seen in zip(due, await parallel(map(observe, trials)), strict=True):
            before = self._seen.get(source, Observed())
            joined = (*before.observations, *seen.observations)
            self._seen[source] = Observed(failure=seen.failure, observations=joined)

    def _count(self, source: str) -> int:
        """Return how many of the calls need not be made: all, of a program that does not load."""
        seen = self._seen.get(source, Observed())
        return len(self._calls) if seen.failure is not None else len(seen.observations)

    async def _look_again(self) -> bool:
        """Add calls near those on which the leaders differ; return whether there are new ones."""
        where = disputed(self._matrix())
        seed = self._judging.seed + len(self._calls)
        near = calls_near(
            [self._calls[index] for index in where], seed=seed, count=self._judging.more
        )
        calls = unique([*self._calls, *near])[: self._judging.calls + self._judging.more]
        is_more = len(calls) > len(self._calls)
        self._calls = tuple(calls)
        if is_more:
            await self._observe()
        return is_more

    def _matrix(self) -> list[list[Observation]]:
        return [self._row(candidate) for candidate in self.candidates]

    def _row(self, candidate: Candidate) -> list[Observation]:
        seen = self._seen[candidate.source]
        if seen.failure is None and len(seen.observations) == len(self._calls):
            return list(seen.observations)
        failure = seen.failure or Failure(type="Crash", message="", report="it crashed")
        crashed = Observation(outcome="crashed", failure=failure)
        return [crashed] * len(self._calls)

    def _passed(self, candidate: Candidate) -> float | None:
        """Return the share of the doc examples that hold; None without any."""
        problems = self._problems(candidate)
        return problems.count("") / len(problems) if problems else None

    def _problems(self, candidate: Candidate) -> list[str]:
        seen = dict(zip(self._calls, self._row(candidate), strict=True))
        return self._suite.problems([seen[call] for call in self._suite.calls])

    def _choice(self) -> Choice:
        shares = [self._passed(candidate) for candidate in self.candidates]
        passed = None if None in shares else [share or 0.0 for share in shares]
        numbers = "float" in (self._unfinished.node.returns or "")
        return choose(self._matrix(), passed=passed, seed=self._judging.seed, numbers=numbers)

    def _decision(self, choice: Choice) -> Decision:
        if choice.winner is None:
            return Decision(
                winner=None, confidence=choice.confidence, problem="the candidates do not agree"
            )
        winner = self.candidates[choice.winner]
        votes = sorted(choice.clusters, key=lambda group: choice.winner not in group)
        seen = self._seen[winner.source]
        broken = (
            item.failure.report for item in seen.observations if item.failure and is_broken(item)
        )
        problem = next(filter(None, (*self._problems(winner), *broken)), "")
        if seen.failure is not None:
            problem = seen.failure.report
        return Decision(
            winner=winner,
            confidence=choice.confidence,
            votes=tuple(map(len, votes)),
            passed=self._passed(winner),
            problem=problem,
        )
