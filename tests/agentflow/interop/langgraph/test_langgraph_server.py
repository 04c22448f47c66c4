"""A graph of ours under LangGraph's own server, through its HTTP API; where that server is installed.

python -m venv FOLDER && FOLDER/bin/pip install 'langgraph-cli[inmem]' -e '.[langgraph]'
AGENTFLOW_LANGGRAPH_CLI=FOLDER/bin/langgraph pytest tests/agentflow/interop/langgraph/test_langgraph_server.py
"""

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytest.importorskip("langgraph.graph", reason="the extra `langgraph` is not installed")

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from agentflow import Journal

EXAMPLE = Path(__file__).parents[4] / "examples" / "langgraph_server"
PROGRAM = os.environ.get("AGENTFLOW_LANGGRAPH_CLI", "")
PUBLISHED = "All about tea: past.\nAll about tea: future."
is_installed = pytest.mark.skipif(
    not PROGRAM, reason="AGENTFLOW_LANGGRAPH_CLI names no `langgraph` of langgraph-cli[inmem]"
)


@pytest.mark.anyio
async def test_the_graph_of_the_example_asks_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    kept = import_module("report").graph.copy(
        update={"checkpointer": InMemorySaver()}
    )  # as the server does
    thread: Any = {"configurable": {"thread_id": "1"}}
    state = await kept.ainvoke({"topic": "tea"}, thread)
    assert state["__interrupt__"][0].value["question"] == "Publish 2 parts?"
    state = await kept.ainvoke(Command(resume="yes"), thread)
    assert state["output"] == PUBLISHED


@pytest.fixture
def api(tmp_path: Path) -> Iterator[httpx2.Client]:
    """The API of a server of LangGraph in a folder of its own; its journal is in `data`."""
    folder = shutil.copytree(EXAMPLE, tmp_path / "server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    options = ["--no-browser", "--no-reload", "--allow-blocking", "--port", port]
    given = {
        **os.environ,
        "PATH": f"{Path(PROGRAM).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "LANGSMITH_TRACING": "false",
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
    }
    pipe = subprocess.PIPE
    words = [PROGRAM, "dev", *options]
    process = subprocess.Popen(
        words, cwd=folder, env=given, stdout=pipe, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    rest = threading.Thread(target=process.stdout.read)  # so that its pipe never fills
    try:
        assert any("Application started up" in line for line in process.stdout)
        rest.start()
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        process.terminate()
        process.wait(timeout=60)
        if rest.ident is not None:
            rest.join()
        process.stdout.close()


def sent(api: httpx2.Client, path: str, **body: Any) -> Any:
    answer = api.post(path, json=body)
    answer.raise_for_status()
    return answer.json()


def streamed(api: httpx2.Client, path: str, **body: Any) -> list[tuple[str, Any]]:
    """Return the names and data of the events of a stream."""
    text = api.post(path, json=body).text.replace("\r\n", "\n")
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        found.append((lines["event"], json.loads(lines["data"])))
    return found


@is_installed
@pytest.mark.slow
def test_the_server_of_langgraph_runs_interrupts_and_resumes_our_graph(
    api: httpx2.Client, tmp_path: Path
) -> None:
    assistant = sent(api, "/assistants/search")[0]["assistant_id"]
    drawn = api.get(f"/assistants/{assistant}/graph", params={"xray": "true"}).json()
    assert {"draft:outline", "draft:fill", "approve"} <= {node["id"] for node in drawn["nodes"]}
    schema = api.get(f"/assistants/{assistant}/schemas").json()["input_schema"]
    assert schema["properties"]["topic"]["type"] == "string"

    thread = sent(api, "/threads")["thread_id"]
    runs = f"/threads/{thread}/runs"
    asked = sent(api, f"{runs}/wait", assistant_id="report", input={"topic": "tea"})
    assert asked["__interrupt__"][0]["value"]["question"] == "Publish 2 parts?"
    assert api.get(f"/threads/{thread}/state").json()["next"] == ["approve"]

    wrong = {"assistant_id": "report", "command": {"resume": "maybe"}}
    again = sent(api, f"{runs}/wait", **wrong)
    assert "'maybe' is not one of yes, no" in again["__interrupt__"][0]["value"]["problem"]

    right = {"assistant_id": "report", "command": {"resume": "yes"}, "stream_mode": ["updates"]}
    events = streamed(api, f"{runs}/stream", **right)
    assert ("updates", {"approve": {"output": PUBLISHED}}) in events
    ended = api.get(f"/threads/{thread}/state").json()
    assert (ended["next"], ended["values"]["output"]) == ([], PUBLISHED)

    with Journal(tmp_path / "data" / "agentflow" / "journal.db") as journal:
        heads = journal.heads()
    assert {head.flow: head.status for head in heads} == dict.fromkeys(
        ("outline", "fill", "approve"), "succeeded"
    )
