"""What the steps of one run reach: models, tools, the sandbox, a person.

Owns what belongs to one run, and closes it when the run ends; `resources.py` has what runs may share. The
engine knows it only as its `Services` protocol.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import anyio
import anyio.to_thread

from agentflow.engine.people import Question
from agentflow.models.auto import find_model
from agentflow.models.protocol import Model, ModelSpec
from agentflow.placement import Placement
from agentflow.resources import Resources
from agentflow.sandbox.protocol import ProgramSandbox
from agentflow.sandbox.workers.protocol import Workers
from agentflow.tools import Tool


class LiveServices:
    """The services of one run, in one event loop; `resources` that are lent stay open after it."""

    def __init__(
        self,
        *,
        default_model: ModelSpec | None,
        open_model: str = "auto",
        tools: Mapping[str, Tool[..., Any]],
        ask: Callable[[Question], Any] | None,
        models: Mapping[str, Model] | None = None,
        resources: Resources | None = None,
        placement: Placement | None = None,
    ) -> None:
        self.default_model, self.tools, self.ask = default_model, tools, ask
        self._open_model = open_model  # what to look up when there is no default model
        self.environments: dict[bytes, dict[str, Any]] = {}
        self._own = Resources(models, placement) if resources is None else None
        self._resources = self._own or resources or Resources()
        self._closers: list[Callable[[], None]] = []

    async def choose_model(self) -> tuple[ModelSpec, str]:
        """Return the model that the user left open, and why it is that one."""
        choice = await find_model(self._open_model)
        return choice.spec, choice.reason

    def model(self, spec: ModelSpec) -> Model:
        """Return the open model of that specification; see `Resources.model`."""
        return self._resources.model(spec)

    def permit(self, model: Model) -> AbstractAsyncContextManager[None]:
        """Return the permit to hold around one attempt of `model`."""
        return self._resources.permit(model)

    async def sandbox(self) -> ProgramSandbox:
        """Return the sandbox for plan code; see `Resources.sandbox`."""
        return await self._resources.sandbox()

    async def workers(self) -> Workers:
        """Return the workers for generated functions; see `Resources.workers`."""
        return await self._resources.workers()

    def placement(self) -> Placement | None:
        """Return where remote tools are called; None for here."""
        return self._resources.placement

    def at_end(self, close: Callable[[], None]) -> None:
        """Call `close` when the run ends."""
        self._closers.append(close)

    async def aclose(self) -> None:
        """Close what was opened for this run, all of it even if one part fails to close."""
        with anyio.CancelScope(shield=True):
            async with AsyncExitStack() as stack:
                if self._own is not None:
                    stack.push_async_callback(self._own.aclose)
                for close in self._closers:
                    stack.push_async_callback(anyio.to_thread.run_sync, close)
