"""What the steps of one run reach: models, tools, the sandbox, a person.

Owns the opening of resources on first use and their closing when the run ends. The engine knows it
only as its `Services` protocol.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import anyio.to_thread

from agentflow.engine.people import Question
from agentflow.models.auto import choose_model
from agentflow.models.permits import Permits
from agentflow.models.protocol import Model, ModelSpec
from agentflow.models.registry import open_model
from agentflow.sandbox.monty import open_sandbox
from agentflow.sandbox.protocol import ProgramSandbox
from agentflow.sandbox.workers.pool import TrialWorkers, open_workers
from agentflow.tools import Tool


class LiveServices:
    """Resources of one run, in one event loop."""

    def __init__(
        self,
        *,
        default_model: ModelSpec | None,
        tools: Mapping[str, Tool[..., Any]],
        ask: Callable[[Question], Any] | None,
        models: Mapping[str, Model] | None = None,
    ) -> None:
        self.default_model, self.tools, self.ask = default_model, tools, ask
        self.environments: dict[bytes, dict[str, Any]] = {}
        self._models: dict[str, Model] = dict(models or {})
        self._lent = set(self._models)
        self._permits = Permits()
        self._sandbox: ProgramSandbox | None = None
        self._workers: TrialWorkers | None = None
        self._closers: list[Callable[[], None]] = []
        self._lock = anyio.Lock()

    async def choose_model(self) -> tuple[ModelSpec, str]:
        """Return the best model the user has, and why."""
        choice = await choose_model()
        return choice.spec, choice.reason

    def model(self, spec: ModelSpec) -> Model:
        """Return the model of that specification, opening it on first use.

        Raises:
            ModelError: There is no such model, or its key is missing.
        """
        name = spec.model_dump_json()
        if str(spec) in self._models:
            return self._models[str(spec)]
        if name not in self._models:
            self._models[name] = open_model(spec)
        return self._models[name]

    def permit(self, model: Model) -> AbstractAsyncContextManager[None]:
        """Return the permit to hold around one attempt of `model`."""
        return self._permits.permit(model)

    async def sandbox(self) -> ProgramSandbox:
        """Return the sandbox, starting it on first use.

        Raises:
            SandboxUnavailableError: Nothing can confine generated code here.
        """
        async with self._lock:
            if self._sandbox is None:
                self._sandbox = await open_sandbox()
            return self._sandbox

    async def workers(self) -> TrialWorkers:
        """Return the workers for generated functions, starting the first on first use.

        Raises:
            SandboxUnavailableError: Nothing can confine generated code here.
        """
        async with self._lock:
            if self._workers is None:
                self._workers = await open_workers()
            return self._workers

    def at_end(self, close: Callable[[], None]) -> None:
        """Call `close` when the run ends."""
        self._closers.append(close)

    async def aclose(self) -> None:
        """Close what was opened here; models lent by the caller stay open."""
        with anyio.CancelScope(shield=True):
            for close in self._closers:
                await anyio.to_thread.run_sync(close)
            if self._sandbox is not None:
                await self._sandbox.aclose()
            if self._workers is not None:
                await self._workers.aclose()
            for name, model in self._models.items():
                if name not in self._lent:
                    await model.aclose()
