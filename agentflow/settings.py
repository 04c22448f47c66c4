"""The settings under which flows run.

Owns their values, and what a run is given by them: services, and what it records about itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentflow.budget import Budget
from agentflow.engine.ledger import Ledger
from agentflow.engine.people import Question
from agentflow.engine.run import ActiveRun, Durability
from agentflow.episodes import check_environments, recorded_tools
from agentflow.journal.events import Event
from agentflow.models.auto import is_open
from agentflow.models.protocol import Model, ModelSpec
from agentflow.models.registry import parse_spec
from agentflow.placement import Placement, placement_for
from agentflow.resources import Resources
from agentflow.services import LiveServices
from agentflow.tools import Tool

Hear = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The settings of a `Runner`; see there."""

    model: str | ModelSpec | Model | None = None
    tools: Sequence[Tool[..., Any]] | Mapping[str, Tool[..., Any]] = ()
    budget: Budget = field(default_factory=Budget)
    journal: str | Path | None = None
    durability: Durability = "results"
    ask: Callable[[Question], Any] | None = None
    answer_wait_s: float = 0.0
    on_event: Hear | None = None
    redact: Mapping[str, str] | Sequence[str] = ()
    cache_models: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    resources: Resources | None = None
    within: Ledger | None = None
    on: str | Placement | None = None

    def services(self) -> LiveServices:
        """Return what the steps of one run may reach.

        Raises:
            ModelError: The model's specification cannot be read.
            ValueError: Two tools or environments have one name, or there is no such place to run on.
            MissingExtraError: The place needs packages that are not installed.
        """
        if self.on is not None and self.resources is not None:
            raise ValueError("lent resources say where their runs work: give them the placement")
        lent: dict[str, Model] = {}
        spec: ModelSpec | None
        if self.model is None or isinstance(self.model, ModelSpec):
            spec = self.model
        elif isinstance(self.model, str):
            spec = None if is_open(self.model) else parse_spec(self.model)
        else:
            spec = self.model.spec
            lent[str(spec)] = self.model
        return LiveServices(
            default_model=spec,
            open_model=self.model if spec is None and isinstance(self.model, str) else "auto",
            tools=self._tools_by_name(),
            ask=self.ask,
            models=lent,
            resources=self.resources,
            placement=placement_for(self.on),
        )

    def _tools_by_name(self) -> Mapping[str, Tool[..., Any]]:
        if isinstance(self.tools, Mapping):
            tools = dict(self.tools)
        else:
            tools = {item.name: item for item in self.tools}
            if len(tools) < len(self.tools):
                names = [item.name for item in self.tools]
                twice = next(name for name in names if names.count(name) > 1)
                raise ValueError(f"two tools are called {twice!r}; give one another name")
        check_environments(tools)
        return tools

    def recorded(self, active: ActiveRun) -> dict[str, Any]:
        """Return what a run writes down about its settings, for a resume or fork to go by."""
        spec = active.services.default_model
        return {
            "model": None if spec is None else spec.model_dump(mode="json", exclude_defaults=True),
            "budget": self.budget.model_dump(exclude_none=True),
            **recorded_tools(active.services.tools),
            "redact": dict(self.redact) if isinstance(self.redact, Mapping) else list(self.redact),
            "cache_models": self.cache_models,
            **({"labels": dict(self.labels)} if self.labels else {}),
            **({"on": self.on} if isinstance(self.on, str) else {}),
        }
