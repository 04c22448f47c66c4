"""What several runs of one process may share: open models, their permits, the sandbox, the workers.

Owns the opening of these on first use and their closing. A run without resources lent to it has its own.
Everything here belongs to one event loop.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Self

import anyio

from agentflow.models.permits import Permits
from agentflow.models.protocol import Model, ModelSpec
from agentflow.models.registry import open_model
from agentflow.placement import Placement
from agentflow.sandbox.monty import open_sandbox
from agentflow.sandbox.protocol import ProgramSandbox
from agentflow.sandbox.workers.pool import open_workers
from agentflow.sandbox.workers.protocol import Workers


class Resources:
    """An async context manager; lend it to runs: `Runner(resources=...)`.

    Runs that share it keep a model's limits together: its concurrency and pace hold for all of them.

    Args:
        models: Open models by what `str(spec)` says; they stay open when this closes.
        placement: Where sandboxed work and remote tools are carried out; closed with this. None for here.
    """

    def __init__(
        self, models: Mapping[str, Model] | None = None, placement: Placement | None = None
    ) -> None:
        self.placement = placement
        self._lent: dict[str, Model] = dict(models or {})
        self._models: dict[str, Model] = {}
        self._permits = Permits()
        self._sandbox: ProgramSandbox | None = None
        self._workers: Workers | None = None
        self._lock = anyio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def model(self, spec: ModelSpec) -> Model:
        """Return the model of that specification, opening it on first use.

        Raises:
            ModelError: There is no such model, or its key is missing.
        """
        if str(spec) in self._lent:
            return self._lent[str(spec)]
        name = spec.model_dump_json()
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
                place = self.placement
                self._sandbox = await (open_sandbox() if place is None else place.sandbox())
            return self._sandbox

    async def workers(self) -> Workers:
        """Return the workers for generated functions, starting the first on first use.

        Raises:
            SandboxUnavailableError: Nothing can confine generated code here.
        """
        async with self._lock:
            if self._workers is None:
                place = self.placement
                self._workers = await (open_workers() if place is None else place.workers())
            return self._workers

    async def aclose(self) -> None:
        """Close what was opened here, all of it even if one part fails to close."""
        with anyio.CancelScope(shield=True):
            async with AsyncExitStack() as stack:
                for model in self._models.values():
                    stack.push_async_callback(model.aclose)
                if self.placement is not None:
                    stack.push_async_callback(self.placement.aclose)
                if self._workers is not None:
                    stack.push_async_callback(self._workers.aclose)
                if self._sandbox is not None:
                    stack.push_async_callback(self._sandbox.aclose)
