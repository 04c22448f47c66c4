"""Call a model as a step.

Owns the account of a call (tokens reserved before, settled after), its time limit, and the way
from a reply to a typed value: a reply that does not fit is shown to the model with the reason.
Providers, retries and permits live in `agentflow/models/`.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, overload

from agentflow.data import canonical
from agentflow.engine.ledger import Reservation
from agentflow.engine.run import ActiveRun, Step
from agentflow.engine.shapes import MisfitError, shape_of
from agentflow.engine.steps import Body, StepCall, current_frame, perform
from agentflow.errors import MalformedReplyError, ModelError
from agentflow.journal.content import Parts
from agentflow.journal.events import Noted
from agentflow.journal.reuse import Edits
from agentflow.models.prices import price_of
from agentflow.models.protocol import Message, ModelSpec, Reply, Request, Usage, WarmUp
from agentflow.models.registry import parse_spec
from agentflow.models.retry import complete_with_retries
from agentflow.models.warm_up import may_warm_up
from agentflow.tools import Tool

T = TypeVar("T")

TYPED_ATTEMPTS = 3
DEFAULT_GRANT_TOKENS = 1024  # what a call may write when a budget counts tokens and nobody said
SHOWN_OF_CUT_OFF_CHARS = 200
CHARS_PER_TOKEN = 3  # low on purpose: a reservation should rather be too large


@overload
async def generate(
    prompt: str | Sequence[Message],
    *,
    output: None = None,
    tools: Sequence[Tool[..., Any]] = (),
    **options: Any,
) -> Reply: ...
@overload
async def generate(
    prompt: str | Sequence[Message],
    *,
    output: dict[str, Any],
    tools: Sequence[Tool[..., Any]] = (),
    **options: Any,
) -> Any: ...
@overload
async def generate(
    prompt: str | Sequence[Message],
    *,
    output: type[T],
    tools: Sequence[Tool[..., Any]] = (),
    **options: Any,
) -> T: ...
async def generate(
    prompt: str | Sequence[Message],
    *,
    output: type[Any] | dict[str, Any] | None = None,
    tools: Sequence[Tool[..., Any]] = (),
    model: str | ModelSpec | None = None,
    system: str | None = None,
    cache: bool | None = None,
    **options: Any,
) -> Any:
    """Ask a model and return its `Reply`, or a value of the shape `output`.

    Args:
        prompt: One user message, or the whole conversation.
        output: A type pydantic knows, or a JSON schema for plain data. The model is asked for JSON of that shape; a reply that does
            not validate is sent back with the reason, three attempts in all.
        tools: Tools the model may ask for; calling them is up to the caller.
        model: Another model than the run's.
        system: A system message to put in front.
        cache: Whether other runs may have given the answer; None is the run's setting.
        options: Fields of `Request`: max_tokens, temperature, seed, stop, grammar.

    Raises:
        NoRunError: No run is active here.
        BudgetExceededError: Tokens, money or time do not cover the call.
        ModelError: The call failed for good; the type says why.
        MalformedReplyError: No attempt gave a value of that shape.
    """
    run = current_frame("generate").run
    spec = await run.default_model() if model is None else parse_spec(model)
    messages = _messages(prompt, system)
    specs = tuple(tool.spec for tool in tools)
    cache = run.cache_models if cache is None else cache
    if output is None:
        request = Request(messages=messages, tools=specs, **options)
        return await _call_model(run, spec, request, cache)
    shape = shape_of(output)
    problem = ""
    for _attempt in range(TYPED_ATTEMPTS):
        request = Request(messages=messages, tools=specs, output_schema=shape.schema, **options)
        reply = await _call_model(run, spec, request, cache)
        try:
            return shape.read(reply.text)
        except MisfitError as error:
            problem = str(error)
        messages += _told(reply, problem)
    raise MalformedReplyError(
        model=str(spec), problem=f"{TYPED_ATTEMPTS} replies did not fit: {problem}"
    )


def _told(reply: Reply, problem: str) -> tuple[Message, Message]:
    """Return a reply that does not fit and what is said of it.

    Of one that was cut off only the beginning: all of it would ask for more of the same.
    """
    text, ask = reply.text, f"That reply does not fit: {problem}. Send corrected JSON only."
    if reply.finish == "length":
        text = f"{text[:SHOWN_OF_CUT_OFF_CHARS]} ..."
        ask = "That reply was too long and was cut off. Send the whole JSON again, much shorter."
    return Message(role="assistant", text=text or "(empty)"), Message(role="user", text=ask)


def _messages(prompt: str | Sequence[Message], system: str | None) -> tuple[Message, ...]:
    turns = (Message(role="user", text=prompt),) if isinstance(prompt, str) else tuple(prompt)
    return turns if system is None else (Message(role="system", text=system), *turns)


async def _call_model(run: ActiveRun, spec: ModelSpec, request: Request, cache: bool) -> Reply:
    return await perform(*_as_step(run, spec, _with_defaults(request, spec), cache))


def _as_step(
    run: ActiveRun, spec: ModelSpec, request: Request, cache: bool
) -> tuple[StepCall[Reply], Body[Reply]]:
    async def body(step: Step) -> Reply:
        reservation, granted = _reserve(run, step, spec, request)
        try:
            reply = await _complete(run, step, spec, granted)
            reply = reply.model_copy(update={"cost_usd": _cost(spec, reply)})
            run.ledger.settle(reservation, reply.usage, reply.cost_usd)
        finally:
            run.ledger.release(reservation)
        step.details |= {"usage": reply.usage.model_dump(), "cost_usd": reply.cost_usd}
        step.details["model"] = f"{spec.provider}:{reply.model or spec.name}"
        if reply.state is not None:
            step.details["state"] = reply.state
        if reply.warm_up is not None:
            _note_warm_up(run, step, reply.warm_up)
        return reply

    def edit(edits: Edits) -> tuple[StepCall[Reply], Body[Reply]]:
        other = spec if edits.model is None else parse_spec(edits.model)
        return _as_step(run, other, _edited(request, edits), cache)

    parameters = request.model_dump(
        include={"temperature", "max_tokens", "seed", "stop"}, exclude_none=True, mode="json"
    )
    call: StepCall[Reply] = StepCall(
        name="generate",
        kind="model",
        input=_recorded_input(spec, request),
        write=lambda reply: reply.model_dump_json(exclude_defaults=True).encode(),
        read=Reply.model_validate_json,
        cache=spec.model_dump_json(exclude_defaults=True) if cache else None,
        details={"model": str(spec), "parameters": parameters},
        edit=edit,
    )
    return call, body


def _recorded_input(spec: ModelSpec, request: Request) -> bytes:
    """Return the canonical input, cut between the messages: the next turn stores only what is new."""
    content = request.model_dump(mode="json", exclude_defaults=True)
    messages = [canonical(message) for message in content.get("messages", ())]
    if len(messages) < 2:
        return canonical({"model": str(spec), "request": content})
    content["messages"] = [_CUT]
    head, tail = canonical({"model": str(spec), "request": content}).split(canonical(_CUT), 1)
    commas = [message + b"," for message in messages[:-1]]
    return Parts.joined([head, *commas, messages[-1], tail])


_CUT = "\x00messages\x00"


def _edited(request: Request, edits: Edits) -> Request:
    """Return the request with a fork's changes: another prompt, or other fields."""
    changed = request.model_dump() | dict(edits.input)
    if edits.prompt is not None:
        spoken = [index for index, turn in enumerate(request.messages) if turn.role == "user"]
        last = spoken[-1] if spoken else len(request.messages)
        changed["messages"] = [
            *request.messages[:last],
            Message(role="user", text=edits.prompt),
            *request.messages[last + 1 :],
        ]
    return Request.model_validate(changed)


def _with_defaults(request: Request, spec: ModelSpec) -> Request:
    wanted = {"temperature": spec.temperature, "max_tokens": spec.max_tokens, "seed": spec.seed}
    missing = {name: value for name, value in wanted.items() if getattr(request, name) is None}
    return request.model_copy(update=missing)


def _reserve(
    run: ActiveRun, step: Step, spec: ModelSpec, request: Request
) -> tuple[Reservation, Request]:
    """Promise the call its share of the budget; the reply is capped so that it cannot overdraw.

    Where only the account above is limited, the request stays as it is: what a sample's model may write
    must not depend on what others spend.
    """
    ledger = run.ledger
    if not ledger.limits_tokens and not ledger.limits_usd:
        return Reservation(0, 0.0), request
    prompt_tokens = len(request.model_dump_json(exclude_defaults=True)) // CHARS_PER_TOKEN
    if may_warm_up(spec, request):
        prompt_tokens *= 2  # what it shares with others may be read once more, and it pays for that
    wanted = request.max_tokens or DEFAULT_GRANT_TOKENS
    left = ledger.tokens_left()
    granted = wanted if left is None else max(1, min(wanted, left - prompt_tokens))
    price = price_of(spec)
    if ledger.limits_usd and price is None:
        problem = (
            f"its price is unknown, so a budget in usd cannot be kept; give `price` for {spec}"
        )
        raise ModelError(model=str(spec), problem=problem)
    worst = Usage(input_tokens=prompt_tokens, output_tokens=granted)
    usd = 0.0 if price is None else price.cost_usd(worst)
    reservation = ledger.reserve(step.name, worst.total_tokens, usd)
    if ledger.budget.tokens is None and ledger.budget.usd is None:
        return reservation, request
    return reservation, request.model_copy(update={"max_tokens": granted})


async def _complete(run: ActiveRun, step: Step, spec: ModelSpec, request: Request) -> Reply:
    model = run.services.model(spec)

    def note_retry(attempt: int, error: ModelError, wait_s: float) -> None:
        text = f"attempt {attempt} failed, next in {wait_s:.1f} s: {error}"
        run.emit(Noted, step=step.number, text=text, details={"retry": attempt, "wait_s": wait_s})

    @asynccontextmanager
    async def timed_permit() -> AsyncIterator[None]:
        """Time the attempt without the wait before it, and what of it kept this thread busy."""
        async with run.services.permit(model):
            began_s, busy_s = time.perf_counter(), time.thread_time()
            yield
            step.details["attempt_s"] = round(time.perf_counter() - began_s, 6)
            step.details["thread_s"] = round(time.thread_time() - busy_s, 6)

    reply, attempts = await complete_with_retries(
        model,
        request,
        on_text=lambda text: run.stream_text(step, text),
        permit=timed_permit,
        on_retry=note_retry,
    )
    step.details["attempts"] = attempts
    return reply


def _note_warm_up(run: ActiveRun, step: Step, warm_up: WarmUp) -> None:
    """Tell of the request that went ahead: its tokens are among this step's, and of no other's."""
    if warm_up.problem:
        text = f"what {warm_up.requests} requests share could not be read ahead: {warm_up.problem}"
    else:
        read = warm_up.usage.input_tokens
        text = f"{read:,} tokens that {warm_up.requests} requests share were read ahead"
    found = warm_up.model_dump(mode="json")
    step.details["warm_up"] = found
    run.emit(Noted, step=step.number, text=text, details={"warm_up": found})


def _cost(spec: ModelSpec, reply: Reply) -> float | None:
    if reply.cost_usd is not None:
        return reply.cost_usd
    price = price_of(spec)
    return None if price is None else price.cost_usd(reply.usage)
