"""`POST /v1/chat/completions`: a flow that is talked to like a model.

Owns the words of Chat Completions, and what becomes of a run whose client goes away: without an Idempotency-Key nobody
can come back for it, so it is cancelled; with one, it goes on.

Of the answer nothing is told before it is known. Where the offer says that the text of a certain step's model is the
answer, that text is told while it is written; an answer that then is another one is an error, never a silent change.
"""

import time
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from agentflow.cancelling import unless
from agentflow.errors import InputError, JournalError
from agentflow.guarding import gone
from agentflow.interop.serving import refusals, views
from agentflow.interop.serving.carrying import Carrier
from agentflow.interop.serving.conversing import ChatBody, read_chat
from agentflow.interop.serving.keys import idempotency_key
from agentflow.interop.serving.livetext import LiveText
from agentflow.interop.serving.offers import Offer, plain, shown
from agentflow.interop.serving.refusals import Refusal
from agentflow.interop.serving.streaming import EventStream

ALIVE_S = 10.0  # after so long a silence a comment is sent
ALIVE = b": waiting\n\n"
RUN_HEADER = "x-agentflow-run"


async def chat(carrier: Carrier, request: Request) -> ASGIApp:
    """Answer a chat request."""
    body = read_chat(await request.body())
    offer = carrier.known(body.model, "model")
    try:
        arguments = offer.arguments(offer.input_of(body.conversation()))
    except InputError as error:
        raise refusals.wrong_input(error, "messages") from error
    key = idempotency_key(request)
    run, _is_new = await carrier.accept(offer, arguments, key)
    talk = _Talk(carrier, offer, body, run, is_own=key is None)
    if body.stream:
        return EventStream(talk.chunks(), talk.headers)
    done = await unless(partial(gone, request.receive), talk.whole)
    return done[0] if done else Response(status_code=499)  # nobody reads it


class _Talk:
    """One request and its run; `is_own`: nobody else can wait for the run."""

    def __init__(
        self, carrier: Carrier, offer: Offer, body: ChatBody, run: str, *, is_own: bool
    ) -> None:
        self._carrier, self._offer, self._body = carrier, offer, body
        self._run, self._is_own = run, is_own
        self._created = int(time.time())
        self._live = LiveText(offer.live)
        self.headers = {RUN_HEADER: run}
        if body.ignored:
            self.headers["x-agentflow-ignored"] = ",".join(body.ignored)

    async def whole(self) -> Response:
        """Return everything at the end."""
        try:
            async for _news in self._until_over():
                pass
            view = await self._result()
        except BaseException:
            await self._leave()
            raise
        message = {"role": "assistant", "content": self._content(view), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        reply = self._envelope("chat.completion", [choice]) | self._account(view)
        return Response(plain(reply), media_type="application/json", headers=self.headers)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield what goes over the wire."""
        is_over = False
        try:
            yield self._chunk({"role": "assistant", "content": ""})
            async for news in self._until_over():
                yield ALIVE if news is None else self._chunk({"content": news})
            view = await self._result()
            is_over = True
            async for data in self._last(view):
                yield data
        except Exception as error:  # noqa: BLE001 - the edge: its head is sent, the rest says what is wrong
            yield _data(refusals.refused(error, f"run {self._run}").body)
        finally:
            if not is_over:
                await self._leave()

    async def _last(self, view: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        rest = self._live.rest_of(self._content(view))
        if rest is None:
            message = "the answer is another one than what was streamed; the run has it"
            refusal = Refusal(500, message, code="answer_differs", is_final=True, run=self._run)
            yield _data(refusal.body)
            return
        if rest:
            yield self._chunk({"content": rest})
        yield self._chunk({}, finish="stop", agentflow=self._account(view)["agentflow"])
        if self._body.includes_usage:
            yield _data(self._envelope("chat.completion.chunk", []) | self._account(view))
        yield b"data: [DONE]\n\n"

    async def _until_over(self) -> AsyncGenerator[str | None, None]:
        """Yield the answer's text as far as it is known, until the run ends; None after a silence."""
        live = self._live
        with self._carrier.hearing(self._run, live.hear):
            while (job := self._carrier.job(self._run)) is not None:
                if self._carrier.is_draining and job.state == "queued":
                    raise refusals.stopping()
                is_silent = True
                with anyio.move_on_after(ALIVE_S):
                    await live.wait()
                    is_silent = False
                news = live.take()
                if news:
                    yield news
                elif is_silent:
                    yield None

    async def _result(self) -> dict[str, Any]:
        """Return the run, which has given something to tell.

        Raises:
            Refusal: It has not.
        """
        found = await self._carrier.found(self._run)
        record = await self._carrier.read(partial(self._carrier.runs.record, found))
        problem = self._carrier.problems.get(self._run)
        view = views.whole(found, None, record, self._offer, problem)
        match view["status"]:
            case "succeeded" | "paused":
                return view
            case "cancelled":
                message = "the run was cancelled"
                raise Refusal(409, message, code="run_cancelled", is_final=True, run=self._run)
            case _ if view["error"]:
                raise refusals.run_failed(view["error"], self._run)
            case _ if self._carrier.is_draining:
                raise refusals.stopping()
            case status:
                raise refusals.not_carried_out(status, self._run)

    async def _leave(self) -> None:
        """Cancel the run if nobody can come back for it."""
        if not self._is_own:
            return
        with anyio.CancelScope(shield=True):
            try:
                await self._carrier.cancel(self._run)
            except Refusal:
                return  # it has ended
            except JournalError as error:  # the run is stopped all the same, or was by this
                refusals.refused(error, f"run {self._run}")

    def _content(self, view: dict[str, Any]) -> str:
        if view["status"] == "paused":  # what is asked is what there is to say
            return "\n".join(question["text"] for question in view["questions"])
        return shown(view["answer"])

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self._run}",
            "object": kind,
            "created": self._created,
            "model": self._offer.name,
            "choices": choices,
        }

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = self._envelope("chat.completion.chunk", [choice])
        return _data(chunk | ({"usage": None} if self._body.includes_usage else {}) | more)

    def _account(self, view: dict[str, Any]) -> dict[str, Any]:
        """Return what was used, and our own field: which run it was."""
        used = view["usage"]
        usage = {
            "prompt_tokens": used["input_tokens"],
            "completion_tokens": used["output_tokens"],
            "total_tokens": used["total_tokens"],
            "prompt_tokens_details": {"cached_tokens": used["cached_tokens"]},
        }
        names = ("status", "cost_usd", "questions", "checks")
        ours = {name: view[name] for name in names if name in view}
        return {"usage": usage, "agentflow": {"run": self._run} | ours}


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + plain(value) + b"\n\n"
