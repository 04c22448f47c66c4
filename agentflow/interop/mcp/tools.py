"""Tools of MCP servers as tools of ours.

Owns the environment `mcp`, its tools and their calls. A call is a step with its arguments and its result.
A call that finished is never repeated; one with effects whose outcome is unknown is not repeated either,
unless the server says that this changes nothing more. What the server offered when a run began is recorded
with the run, so a replay needs no server, and a server that changes its mind is noticed.
"""

import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from pydantic import ValidationError

from agentflow.code import text_hash
from agentflow.data import Data, canonical
from agentflow.engine.notes import idempotency_key
from agentflow.engine.run import ActiveRun
from agentflow.engine.steps import current_frame
from agentflow.environments import Action, ActionTool, Environment, NamedEnvironment
from agentflow.errors import InputError, MissingExtraError, ToolError
from agentflow.interop.mcp.offers import Listing, Offer
from agentflow.interop.mcp.place import FromEnvironment, Place
from agentflow.interop.mcp.results import text_of, value_of
from agentflow.interop.mcp.signature import SchemaSignature
from agentflow.journal.reuse import Reuse
from agentflow.sessions import ActionTaken
from agentflow.tools import Tool

if TYPE_CHECKING:
    from agentflow.interop.mcp.connection import Connection

CALL_S = 60.0
CONNECT_S = 30.0


class Mcp(Environment):
    """A server's tools. In a task file: `environments: {files: {use: mcp, options: {command: [...]}}}`.

    The server keeps its own state: a resumed run goes on with whatever it finds there.
    """

    def __init__(
        self,
        command: list[str] | None = None,
        url: str | None = None,
        env: tuple[str, ...] = (),
        headers: dict[str, FromEnvironment] | None = None,
        api_key_env: str | None = None,
        timeout_s: float = CALL_S,
        connect_timeout_s: float = CONNECT_S,
        listed: list[dict[str, Data]] | None = None,
    ) -> None:
        """Say where the server is.

        Args:
            command: Words that start a server which speaks through its standard input and output.
            url: The address of a server that speaks streamable HTTP.
            env: Names of environment variables that a `command` is given.
            headers: For a `url`: headers, each with the variable that holds its value.
            api_key_env: For a `url`: the variable whose value is sent as `Authorization: Bearer`.
            timeout_s: The longest call.
            connect_timeout_s: The longest wait until the server is ready.
            listed: Its tools as an earlier run recorded them; without it, the server is asked.
        """

    @classmethod
    def named(cls, name: str, /, **options: Any) -> "McpEnvironment":
        """Return a server under a name, for a runner: `Runner(tools=NAME.tools())`.

        Raises:
            InputError: The options do not fit, or contradict each other.
            ValueError: The name is no identifier.
        """
        return McpEnvironment(name, cls, options)

    def restore(self, actions: Sequence[ActionTaken]) -> None:
        """Do nothing: what calls have changed is in the server, or beyond it."""


class McpEnvironment(NamedEnvironment):
    """A server under a name. Each run has a connection of its own, made when a call first has to happen."""

    def __post_init__(self) -> None:
        _check_headers(self.name, self.options.get("headers"))
        super().__post_init__()
        self.place = Place.of(self.name, self.options)
        recorded = self.options["listed"]
        self._listing = None if recorded is None else _recorded(self.name, recorded)
        self._connections: dict[str, Connection] = {}
        self._lent: Connection | None = None
        self._lock = threading.Lock()

    @property
    def actions(self) -> dict[str, Action[Any, ..., Any]]:
        """What it offers, by name."""
        return {tool.action.name: tool.action for tool in self.tools()}

    @property
    def refused(self) -> dict[str, str]:
        """The tools of the server that cannot be used, and why."""
        return self._offered().refused

    def tools(self, *actions: str) -> tuple["McpTool", ...]:
        """Return those tools of the server, all of them if none is named; the server may be asked.

        Raises:
            McpServerError: It cannot be asked.
            ValueError: It has no such tool, or it cannot be used.
        """
        listing = self._offered()
        titles = {offer.title: name for name, offer in listing.offers.items()}
        names = [name if name in listing.offers else titles.get(name, name) for name in actions]
        for name in names:
            if name not in listing.offers:
                have = ", ".join(listing.offers) or "none"
                why = listing.refused.get(name, f"it has {have}")
                raise ValueError(f"{self.name} has no tool {name!r} that can be used ({why})")
        return tuple(McpTool(self, listing.offers[name]) for name in names or listing.offers)

    def recorded(self) -> dict[str, Any]:
        """Return what a run writes down: the options, and what the server offered."""
        facts = super().recorded()
        offers = self._offered().offers.values()
        listed = [offer.model_dump(mode="json") for offer in offers]
        return facts | {"options": facts["options"] | {"listed": listed}}

    async def connection(self, run: ActiveRun) -> "Connection":
        """Return the run's connection, made anew where it is over.

        Raises:
            McpServerError: The server cannot be reached.
        """
        there = self._lent or self._connections.get(run.id)
        if there is not None and there.is_alive:
            return there
        return await anyio.to_thread.run_sync(self._reconnected, run)

    def lend(self) -> None:
        """Connect once for all runs, until `close`.

        Raises:
            McpServerError: The server cannot be reached.
        """
        self._lent = _connect(self.place)
        self._listing = self._listing or self._lent.listing_now()

    def close(self) -> None:
        """End all connections."""
        with self._lock:
            ending = [*self._connections.values(), *([self._lent] if self._lent else [])]
            self._connections, self._lent = {}, None
        for connection in ending:
            connection.close()

    def _offered(self) -> Listing:
        if self._listing is None:
            connection = _connect(self.place)
            try:
                self._listing = connection.listing_now()
            finally:
                connection.close()
        return self._listing

    def _reconnected(self, run: ActiveRun) -> "Connection":
        with self._lock:
            before = self._lent or self._connections.get(run.id)
            if before is not None and before.is_alive:
                return before
            if before is not None:
                before.close()
            connection = _connect(self.place)
            if self._lent is not None:
                self._lent = connection
            else:
                if run.id not in self._connections:
                    run.services.at_end(lambda: self._end(run.id))
                self._connections[run.id] = connection
            return connection

    def _end(self, run: str) -> None:
        with self._lock:
            connection = self._connections.pop(run, None)
        if connection is not None:
            connection.close()


class McpTool(ActionTool):
    """One tool of a server. It has effects unless the server says that it only reads."""

    environment: McpEnvironment

    def __init__(self, environment: McpEnvironment, offer: Offer) -> None:
        name = f"{environment.name}_{offer.name}"
        described = offer.description
        Tool.__init__(self, _unbound, name=name, description=described or offer.title)
        self.effect, self.offer, self.environment = offer.effect, offer, environment
        self.signature = SchemaSignature(name, offer.parameters)
        self.action = Action(_unbound_action)
        self.action.name = offer.name
        self.target = f"{__name__}:{name}"
        self._code = text_hash(str(canonical(offer.model_dump(exclude={"description"}))))

    async def call(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], details: dict[str, Any] | None = None
    ) -> Any:
        """Call the tool as a step; see `Tool.call`."""
        told = {"mcp": {"server": self.environment.name, "tool": self.offer.title}}
        return await Tool.call(self, args, kwargs, {**(details or {}), **told})

    async def _invoke(self, arguments: dict[str, Any]) -> Any:
        from agentflow.interop.mcp.connection import LostError  # noqa: PLC0415 - needs the extra

        frame = current_frame(self.name)
        self._check_first(frame.run, frame.step.key)
        may_repeat = not self.offer.effect or self.offer.repeatable
        for is_last in (False, True):
            connection = await self.environment.connection(frame.run)
            try:
                return await self._answered(connection, arguments)
            except LostError as error:
                if is_last or (error.is_sent and not may_repeat):
                    unknown = (
                        "; whether the call was carried out is unknown" if error.is_sent else ""
                    )
                    message = f"the connection was lost: {error.problem}{unknown}"
                    raise self._error("McpConnectionLost", message) from error
        raise AssertionError("returned or raised")

    def _check_first(self, run: ActiveRun, key: bytes) -> None:
        """Refuse to do twice what nobody knows the outcome of."""
        if not self.offer.effect or self.offer.repeatable or run.source is None:
            return
        if _is_resumed(run) and run.source.first_asked(key) is not None:
            message = "the run was cut off while this was called, so whether it was carried out is unknown; "
            raise self._error("McpOutcomeUnknown", message + "look before you call it again")

    async def _answered(self, connection: "Connection", arguments: dict[str, Any]) -> Any:
        from agentflow.interop.mcp.connection import CallError  # noqa: PLC0415 - needs the extra

        try:
            offered = (await connection.listing()).offers.get(self.offer.name)
            if offered is None or not offered.is_still(self.offer):
                changed = "gone" if offered is None else "another one"
                message = (
                    f"the tool is {changed} since the server was first asked; it was not called"
                )
                raise self._error("McpToolChanged", message)
            result = await connection.call(self.offer.title, arguments, idempotency_key())
            if result.is_error:
                said = text_of(result, connection.secrets) or "it failed and did not say why"
                raise self._error("McpToolFailed", said)
            return value_of(result, connection.secrets)
        except CallError as error:
            raise self._error(error.name, error.message) from error
        except (ValueError, RecursionError) as error:
            raise self._error("McpMalformed", f"its result is {error}") from error

    def _error(self, name: str, message: str) -> ToolError:
        return ToolError(tool=self.name, name=name, message=message)


@asynccontextmanager
async def mcp_tools(name: str, /, **options: Any) -> AsyncIterator[tuple[McpTool, ...]]:
    """Connect to a server and give its tools as `NAME_TOOL`; runs inside the block share the connection.

    Args:
        name: A Python identifier.
        options: What `Mcp` takes: `command=[...]` or `url=...`, and the rest.

    Raises:
        InputError: The options do not fit.
        McpServerError: The server cannot be reached, or does not keep to the protocol.
    """
    environment = Mcp.named(name, **options)
    await anyio.to_thread.run_sync(environment.lend)
    try:
        yield environment.tools()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(environment.close)


def _connect(place: Place) -> "Connection":
    if find_spec("mcp") is None:
        raise MissingExtraError(feature="MCP", extra="mcp")
    from agentflow.interop.mcp.connection import Connection  # noqa: PLC0415 - needs the extra

    return Connection.open(place)


def _recorded(name: str, listed: list[Any]) -> Listing:
    try:
        offers = [Offer.model_validate(item) for item in listed]
    except ValidationError as error:
        problem = "`listed` is not a list of tools as a run records it; leave it out"
        raise InputError(step=name, problem=problem) from error
    return Listing({offer.name: offer for offer in offers})


def _check_headers(name: str, headers: Any) -> None:
    """Refuse a header's value before anything could show it."""
    values = headers.values() if isinstance(headers, dict) else () if headers is None else (None,)
    if not all(isinstance(value, dict | FromEnvironment) for value in values):
        problem = "`headers` maps each header to the variable that holds its value: {env: NAME}"
        raise InputError(step=name, problem=problem)


def _is_resumed(run: ActiveRun) -> bool:
    """Return whether a run goes on with its own record; a fork does anew what it was made for."""
    return isinstance(run.source, Reuse) and run.source.run_id == run.id


async def _unbound() -> None:
    """Stand where a tool has its function."""


def _unbound_action(_self: Mcp) -> None:
    """Stand where an action has its method."""
