"""The routes that change something; the guard has checked who asks.

Owns the bodies they take. What is done is in `actions.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agentflow_web.server.actions import Actions, checked_change
from agentflow_web.server.endpoint import answered
from agentflow_web.server.parameters import body_of, field, number_in, optional, run_in
from agentflow_web.server.replies import bad, reply


@dataclass(frozen=True)
class Writes:
    """The handlers of one server."""

    actions: Actions

    def routes(self) -> Sequence[Route]:
        """Return the routes, below `/api`."""
        run = "/api/runs/{run}"
        handlers = {
            f"{run}/answers": self.answer,
            f"{run}/resume": self.resume,
            f"{run}/forks": self.fork,
            f"{run}/annotations": self.annotate,
        }
        return [
            *(
                Route(path, answered(handler), methods=["POST"])
                for path, handler in handlers.items()
            ),
            Route(
                f"{run}/annotations/{{note}}",
                answered(self.remove_annotation),
                methods=["DELETE"],
            ),
        ]

    async def answer(self, request: Request) -> Response:
        """Answer a question."""
        body = await body_of(request)
        if "answer" not in body:
            raise bad("answer", "is missing")
        work = partial(self.actions.answer, run_in(request), field(body, "step", int))
        return reply(await to_thread.run_sync(work, body["answer"]))

    async def resume(self, request: Request) -> Response:
        """Go on with a run."""
        await body_of(request)
        return reply(await self.actions.resume(run_in(request)))

    async def fork(self, request: Request) -> Response:
        """Say what a fork would do, or start it."""
        body = await body_of(request)
        at, is_dry = field(body, "at", int), field(body, "dry_run", bool)
        change = checked_change(optional(body, "change", dict) or {})
        work = self.actions.plan_fork if is_dry else self.actions.fork
        return reply(await work(run_in(request), at, change))

    async def annotate(self, request: Request) -> Response:
        """Write a remark."""
        body = await body_of(request)
        step, text = optional(body, "step", int), field(body, "text", str)
        tag = optional(body, "tag", str) or ""
        run = run_in(request)
        return reply(await to_thread.run_sync(self.actions.annotate, run, step, text, tag))

    async def remove_annotation(self, request: Request) -> Response:
        """Take a remark back."""
        run, note = run_in(request), number_in(request, "note")
        return reply(await to_thread.run_sync(self.actions.remove_annotation, run, note))
