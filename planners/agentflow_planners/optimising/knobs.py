"""An Archon architecture read off a few knobs, so that a search can turn them one by one.

Owns the way from knobs to the layers that the planner `archon` takes. Every setting gives layers that keep
the planner's rules.
"""

from typing import Annotated, Any

from pydantic import Field

from agentflow.data import Data
from agentflow_planners.shared.values import Count, Frozen, Number


class Knobs(Frozen):
    """An architecture in a few words; the defaults are Archon's own.

    `fusers` are the widths of the layers of fusers; before each stand a critic, if any, and a ranker
    that keeps `top_k`, 0 for none. Without `models`, the run's model is all of them. `max_tokens` holds
    for every reply.
    """

    models: tuple[str, ...] = ()
    samples: Count = 10
    verifier: bool = False
    critic: bool = False
    top_k: Number = 5
    fusers: Annotated[tuple[Count, ...], Field(max_length=3)] = (1,)
    max_tokens: Count | None = None

    def layers(self) -> list[Any]:
        """Return the layers that the planner `archon` takes."""
        found = [self._voices("generator", len(self.models), self.samples)]
        if self.verifier:
            found.append([self._one("verifier")])
        for width in self.fusers or (0,):
            readers = [[self._one("ranker", top_k=self.top_k)]] if self.top_k else []
            readers += [self._voices("fuser", width, 1)] if width else []
            found += [[self._one("critic")]] if self.critic and readers else []
            found += readers
        return found

    def _voices(self, kind: str, width: int, samples: int) -> list[Any]:
        if not self.models:
            return [self._one(kind, samples=max(width, samples))]
        models = [self.models[place % len(self.models)] for place in range(width)]
        return [self._one(kind, model=model, samples=samples) for model in models]

    def _one(self, kind: str, **settings: Data) -> dict[str, Data]:
        limit = {} if self.max_tokens is None else {"max_tokens": self.max_tokens}
        return {"type": kind, **settings, **limit}
