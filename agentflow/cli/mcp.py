"""`agentflow mcp`: serve flows and tasks to MCP clients, and look at a server's tools."""

import json
import logging
import os
import secrets
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import click

from agentflow.cli.exits import EXIT_INTERRUPTED, EXIT_USAGE
from agentflow.cli.prepare import Prepared, prepare
from agentflow.cli.stopping import until_stopped
from agentflow.errors import InputError, MissingExtraError, TaskFileError
from agentflow.flows import Flow
from agentflow.interop.mcp import Mcp
from agentflow.interop.mcp.served import Served, served_flow, told, tool_name
from agentflow.runner import Runner
from agentflow.solving import Solution, solve_task

if TYPE_CHECKING:
    from agentflow.interop.mcp.serving import FlowServer

TASK_ENDINGS = (".yaml", ".yml")
_TYPES = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}


@click.group()
def mcp() -> None:
    """Serve flows and tasks to MCP clients; look at the tools of an MCP server.

    \b
    agentflow mcp serve examples/orders/task.yaml
    """


@mcp.command()
@click.argument("what", nargs=-1, required=True, metavar="FLOW_OR_TASKFILE...")
@click.option("--http", "port", type=click.IntRange(0, 65535), help="Serve HTTP here; 0: any port.")
@click.option(
    "--token-env", metavar="NAME", help="The variable that holds the token HTTP clients send."
)
@click.option("--model", "-m", help="Use this model, e.g. openai:gpt-5-mini.")
@click.option("--journal", "-j", help="Journal file or database URL.", envvar="AGENTFLOW_JOURNAL")
@click.option(
    "--most-runs", type=click.IntRange(1), default=8, show_default=True, help="At a time."
)
def serve(
    what: tuple[str, ...],
    port: int | None,
    token_env: str | None,
    model: str | None,
    journal: str | None,
    most_runs: int,
) -> None:
    """Serve flows and task files as tools, until the client is gone or Ctrl-C.

    A flow is `module:name` or `file.py:name`; without a name, all flows of the module. Each call is a run
    in the journal, and its id is in the result's `_meta`. A client's configuration:

    \b
    {"mcpServers": {"agentflow": {"command": "agentflow", "args": ["mcp", "serve", "task.yaml"]}}}

    \b
    agentflow mcp serve flows.py:report task.yaml
    agentflow mcp serve flows.py --http 8765 --token-env MCP_TOKEN
    """
    _need_extra()
    from agentflow.interop.mcp.serving import FlowServer  # noqa: PLC0415 - needs the extra

    logging.getLogger("mcp").addHandler(logging.NullHandler())  # errors go to the client
    sys.path.append(str(Path.cwd()))  # last: nothing of the folder hides what is installed
    try:
        found = [served for name in what for served in _served(name, model, journal)]
        server = FlowServer(found, most_runs=most_runs)
    except TaskFileError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if port is None:
        _through_pipes(server)
    else:
        _by_http(server, port, _token(token_env), is_ours=token_env is None)


@mcp.command()
@click.argument("where", nargs=-1, required=True, metavar="URL | COMMAND...")
@click.option("--env", multiple=True, metavar="NAME", help="A variable that the command is given.")
@click.option(
    "--api-key-env", metavar="NAME", help="The variable whose value is sent as bearer token."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def tools(
    where: tuple[str, ...], env: tuple[str, ...], api_key_env: str | None, as_json: bool
) -> None:
    """List the tools of an MCP server, as a task file would get them.

    \b
    agentflow mcp tools -- npx -y @modelcontextprotocol/server-filesystem .
    agentflow mcp tools https://example.com/mcp --api-key-env EXAMPLE_KEY
    """
    _need_extra()
    is_url = len(where) == 1 and where[0].startswith(("http://", "https://"))
    place: dict[str, Any] = {"url": where[0]} if is_url else {"command": list(where)}
    try:
        server = Mcp.named("server", **place, env=env, api_key_env=api_key_env)
    except InputError as error:
        raise click.UsageError(error.problem) from error
    offered = [tool.offer for tool in server.tools()]
    if as_json:
        click.echo(json.dumps([offer.model_dump(mode="json") for offer in offered], indent=2))
        return
    for offer in offered:
        manner = "effects" if offer.effect else "reads"
        manner += ", may be repeated" if offer.effect and offer.repeatable else ""
        first = " ".join(offer.description.split())
        click.echo(f"{offer.name}  [{manner}]  {first[:100]}")
    for name, why in server.refused.items():
        click.echo(f"{name}  cannot be used: {why}", err=True)


def _need_extra() -> None:
    if find_spec("mcp") is None:
        raise MissingExtraError(feature="MCP", extra="mcp")


def _served(name: str, model: str | None, journal: str | None) -> list[Served]:
    if name.endswith(TASK_ENDINGS):
        return [_task(Path(name), prepare(Path(name), model=model, planner=None, journal=journal))]
    runner = Runner(model=model, journal=journal)
    return [served_flow(flow, runner) for flow in _flows(name)]


def _flows(name: str) -> list[Flow[..., Any]]:
    """Return the flow that `module:name` or `file.py:name` means, or all of the module."""
    where, _, wanted = name.partition(":")
    path = Path(where)
    if path.suffix == ".py":
        sys.path.append(str(path.resolve().parent))
        where = path.stem
    try:
        module = import_module(where)
    except ImportError as error:
        problem = f"{name}: {error}; write a task file, module:flow, or file.py:flow"
        raise ValueError(problem) from error
    there = {key: flow for key, flow in vars(module).items() if isinstance(flow, Flow)}
    if wanted:
        there = {key: flow for key, flow in there.items() if key == wanted}
    else:
        there = {k: f for k, f in there.items() if f.function.__module__ == where and k[0] != "_"}
    if not there:
        raise ValueError(f"{name}: there is no such flow")
    return list(there.values())


def _task(path: Path, prepared: Prepared) -> Served:
    """Return a task file to serve: its inputs are what a call may give."""
    task = prepared.task

    def bind(given: Mapping[str, Any]) -> dict[str, Any]:
        unknown = [name for name in given if name not in task.inputs]
        if unknown:
            have = ", ".join(task.inputs) or "none"
            problem = f"{unknown[0][:80]}: no such input (there are: {have})"
            raise InputError(step=path.stem, problem=problem)
        asked = task.model_copy(update={"inputs": {**task.inputs, **given}})
        return solve_task.signature.bind((asked, prepared.planner, prepared.checks), {})

    properties = {name: _property(value) for name, value in task.inputs.items()}
    return Served(
        name=tool_name(path.stem if path.stem != "task" else path.resolve().parent.name),
        description=task.goal,
        schema={"type": "object", "properties": properties, "additionalProperties": False},
        flow=solve_task,
        runner=Runner(
            model=prepared.model,
            tools=prepared.tools,
            budget=prepared.budget,
            journal=prepared.journal,
            redact=prepared.redact,
            cache_models=prepared.cache_models,
        ),
        bind=bind,
        answer=_solution,
    )


def _property(value: Any) -> dict[str, Any]:
    kind = _TYPES.get(type(value))
    words = {"description": "Without it, what the task file gives."}
    return words if kind is None else {"type": kind, **words}


def _solution(solution: Solution) -> tuple[dict[str, Any], str]:
    _data, text = told(solution.output)
    data = solution.model_dump(mode="json")
    failed = [one.explanation for one in solution.verdicts if not one.passed]
    note = f"\n\n(a check failed: {'; '.join(failed)})" if failed else ""
    return {"result": data["output"], "checks": data["verdicts"]}, text + note


def _through_pipes(server: "FlowServer") -> None:
    from agentflow.interop.mcp.doors import serve_stdio  # noqa: PLC0415 - needs the extra

    try:
        anyio.run(until_stopped, lambda: serve_stdio(server))
    except KeyboardInterrupt:
        sys.stderr.flush()
        os._exit(EXIT_INTERRUPTED)  # a thread still waits for standard input, and would for ever


def _by_http(server: "FlowServer", port: int, token: str, *, is_ours: bool) -> None:
    from agentflow.interop.mcp.doors import http_socket, serve_http  # noqa: PLC0415 - needs the extra

    def ready(address: str) -> None:
        click.echo(address)
        if is_ours:
            click.echo(f"clients send the header `Authorization: Bearer {token}`", err=True)
        click.echo("Ctrl-C ends it", err=True)

    with http_socket(port) as listener:
        try:
            anyio.run(until_stopped, lambda: serve_http(server, listener, token, ready=ready))
        except KeyboardInterrupt:
            click.echo("ended", err=True)


def _token(variable: str | None) -> str:
    if variable is None:
        return secrets.token_urlsafe(24)
    token = os.environ.get(variable, "")
    if not token.isascii() or not token.isprintable() or len(token.strip()) < 8:
        raise click.UsageError(
            f"--token-env: {variable} is not set, or holds less than 8 characters"
        )
    return token
