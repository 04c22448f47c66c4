"""A model as replicas on a cluster answers as its one server does, and a state is found where it is."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response

from agentflow.cluster.serving.asking import replica_in
from agentflow.cluster.serving.homes import SLACK, Homes, wanted_by
from agentflow.cluster.serving.metrics import merged
from agentflow.errors import ClusterError
from tests import warm
from tests.agentflow.recurrent.server.conftest import NAME, TEMPLATE, Served, served

pytestmark = [
    pytest.mark.timeout(300),  # a cluster starts slowly on a busy machine
    pytest.mark.filterwarnings("default"),  # Ray's own, at its import and start
]
KEY = "open sesame"
PATIENCE_S = 100.0
LONG = {"model": NAME, "max_tokens": 20_000, "regex": "[a-c]{20000}"}  # it lasts for a while
ROOT = Path(__file__).parents[3]


@dataclass
class Front:
    """The address of some replicas, and what is behind it."""

    origin: str
    front: Any
    found: Any
    clients: ExitStack

    def client(self, key: str = KEY) -> OpenAI:
        made = OpenAI(base_url=f"{self.origin}/v1", api_key=key, max_retries=0)
        return self.clients.enter_context(made)

    def http(self, key: str | None = KEY) -> httpx2.Client:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        made = httpx2.Client(base_url=self.origin, headers=headers, timeout=60)
        return self.clients.enter_context(made)

    def processes(self) -> dict[str, int]:
        """Return the process of each replica."""
        told = self.found.handle.broadcast("describe").results(timeout_s=60)
        return {one.replica: one.pid for one in told}

    def number(self, name: str) -> int:
        """Return a sum over the replicas."""
        lines = self.http().get("/metrics").text.splitlines()
        values = [line.split()[1] for line in lines if line.startswith(f"{name}{{")]
        assert values, name
        return sum(map(int, map(float, values)))


def ask(client: OpenAI, said: Any, **more: Any) -> Response:
    given: dict[str, Any] = {"max_output_tokens": 8, "temperature": 0} | more
    found = client.responses.create(model=NAME, input=said, **given)
    assert isinstance(found, Response)
    return found


def cached(response: Response) -> int:
    assert response.usage is not None
    return response.usage.input_tokens_details.cached_tokens


def total(response: Response) -> int:
    assert response.usage is not None
    return response.usage.total_tokens


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until, "too slow"
        time.sleep(0.02)


@pytest.fixture(scope="module", autouse=True)
def _brisk() -> Iterator[None]:
    """Have Ray's processes run like others; it would give them the lowest priority."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with a template, as the tests of the one server have it."""
    from tests.agentflow.recurrent.folders import model_folder

    folder = model_folder("xlstm", tmp_path_factory.mktemp("replicas") / NAME)
    path = folder / "tokenizer_config.json"
    described = json.loads(path.read_text("utf-8")) | {"chat_template": TEMPLATE}
    path.write_text(json.dumps(described), "utf-8")
    return folder


@pytest.fixture(scope="module")
def needs_serve() -> None:
    """Skip before anything is started."""
    pytest.importorskip("ray.serve", reason="needs the extra `serve`")


@pytest.fixture(scope="module")
def alone(needs_serve: None, model: Path) -> Iterator[Served]:
    """The one server, to compare with."""
    with served(model) as found:
        yield found


@pytest.fixture(scope="module")
def replicas(needs_serve: None, cluster: Any, model: Path) -> Iterator[Front]:
    """Two replicas, each on a node of its own."""
    from agentflow.cluster.serving.deployment import Replicas, deployed
    from agentflow.cluster.serving.front import Front as Behind
    from agentflow.cluster.serving.front import front_application
    from agentflow.recurrent.options import EngineOptions
    from agentflow.recurrent.server.serving import serving

    front = Behind(NAME)
    wanted = Replicas(model=str(model), name=NAME, options=EngineOptions(), count=2)
    with (
        serving(front, host="127.0.0.1", port=0, api_key=KEY, make=front_application) as server,
        deployed(wanted, cluster.address) as found,
        ExitStack() as clients,
    ):
        front.connect(found.handle, found.app)
        yield Front(server.origin, front, found, clients)


def grown(client: OpenAI, number: int) -> list[Response]:
    """Grow a tree: a root, two forks of it, and two of each of these."""
    tree = [ask(client, f"Tree {number} begins.")]
    for parent in (0, 0, 1, 1, 2, 2):
        before = tree[parent].id
        tree.append(ask(client, f"Branch {len(tree)}.", previous_response_id=before))
    return tree


def test_trees_that_grow_at_once_say_what_one_server_says(replicas: Front, alone: Served) -> None:
    client = replicas.client()
    with ThreadPoolExecutor(4) as pool:
        trees = list(pool.map(lambda number: grown(client, number), range(4)))
    for number, tree in enumerate(trees):
        expected = grown(alone.client, number)
        assert [one.output_text for one in tree] == [one.output_text for one in expected]
        assert [total(one) for one in tree] == [total(one) for one in expected]
        homes = {replica_in(one.id) for one in tree}
        assert len(homes) == 1, "a tree was spread"
        for child, parent in zip(tree[1:], (0, 0, 1, 1, 2, 2), strict=True):
            assert cached(child) >= total(tree[parent])
    assert {replica_in(tree[0].id) for tree in trees} == set(replicas.front.living())


def test_a_conversation_is_found_by_its_beginning(replicas: Front, alone: Served) -> None:
    client = replicas.client()
    told: list[Any] = [[{"role": "user", "content": f"Story {number}."}] for number in range(6)]
    for turn in range(3):
        for messages in told:
            given: Any = {"model": NAME, "messages": messages, "temperature": 0, "max_tokens": 8}
            reply = client.chat.completions.create(**given)
            expected = alone.client.chat.completions.create(**given)
            text = reply.choices[0].message.content
            assert text == expected.choices[0].message.content
            assert reply.usage is not None
            assert expected.usage is not None
            details = reply.usage.prompt_tokens_details, expected.usage.prompt_tokens_details
            assert details[0] is not None
            assert details[1] is not None
            if turn:
                assert details[0].cached_tokens == details[1].cached_tokens > 0
            messages += [
                {"role": "assistant", "content": text},
                {"role": "user", "content": "Go on."},
            ]


def test_a_stored_response_is_read_and_deleted_where_it_is(replicas: Front) -> None:
    client = replicas.client()
    kept = [ask(client, f"Keep {number}.") for number in range(4)]
    for response in kept:
        assert client.responses.retrieve(response.id).output_text == response.output_text
        client.responses.delete(response.id)
    for response in kept:
        with pytest.raises(openai.NotFoundError, match="no response"):
            client.responses.retrieve(response.id)


def test_a_stream_comes_as_it_is_made_and_ends_with_its_reader(replicas: Front) -> None:
    body = {**LONG, "prompt": "On", "stream": True}
    with replicas.http().stream("POST", "/v1/completions", json=body) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = (line for line in reply.iter_lines() if line)
        assert [next(lines)[:6] for _ in range(3)] == ["data: "] * 3
        assert replicas.number("agentflow_recurrent_running") == 1
    wait_until(lambda: replicas.number("agentflow_recurrent_running") == 0)
    wait_until(lambda: not replicas.front.active)


def test_a_client_that_leaves_before_its_answer_frees_its_row(replicas: Front) -> None:
    host, port = replicas.origin.removeprefix("http://").split(":")
    body = json.dumps({**LONG, "prompt": "On"}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body)
        wait_until(lambda: replicas.number("agentflow_recurrent_running") == 1)
    wait_until(lambda: replicas.number("agentflow_recurrent_running") == 0)


def test_the_events_of_a_stream_are_those_of_one_server(replicas: Front, alone: Served) -> None:
    given: Any = {"model": NAME, "input": "Hello there", "max_output_tokens": 10, "temperature": 0}
    seen = []
    for client in (replicas.client(), alone.client):
        with client.responses.stream(**given) as stream:
            events = list(stream)
        deltas = [one.delta for one in events if one.type == "response.output_text.delta"]
        seen.append(([event.type for event in events], deltas))
    assert seen[0] == seen[1]


def test_only_who_has_the_key_is_let_in(replicas: Front) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        replicas.client("wrong").models.list()
    assert refused.value.code == "invalid_api_key"
    for path in ("/v1/models", "/metrics", "/v1/responses/resp_1"):
        assert replicas.http(None).get(path).status_code == 401
    assert replicas.http(None).get("/health").json() == {"status": "ready"}
    assert replicas.http().get("/health", headers={"host": "evil.example"}).status_code == 400
    assert [one.id for one in replicas.client().models.list()] == [NAME]


def test_what_makes_no_sense_is_refused_as_by_one_server(replicas: Front, alone: Served) -> None:
    asked: list[tuple[str, bytes]] = [
        ("/v1/responses", b"{"),
        ("/v1/responses", b"[]"),
        ("/v1/responses", b'{"model": "other", "input": "a"}'),
        ("/v1/responses", b'{"model": "small", "input": [], "previous_response_id": 3}'),
        ("/v1/chat/completions", b'{"model": "small", "messages": "no"}'),
        ("/v1/nothing", b"{}"),
    ]
    for path, body in asked:
        replies = [
            client.post(path, content=body, headers={"content-type": "application/json"})
            for client in (replicas.http(), alone.http)
        ]
        assert replies[0].status_code == replies[1].status_code >= 400
        assert replies[0].json() == replies[1].json()
        assert "x-agentflow-replica" in replies[0].headers


def test_more_replicas_than_there_is_room_for_are_refused_at_once(
    replicas: Front, cluster: Any, model: Path
) -> None:
    from agentflow.cluster.serving.deployment import Replicas, deployed
    from agentflow.recurrent.options import EngineOptions

    wanted = Replicas(model=str(model), name="more", options=EngineOptions(), count=3)
    with (
        pytest.raises(ClusterError, match="3 replicas need 3 CPUs, and it has 2"),
        deployed(wanted, cluster.address),
    ):
        pass


def test_with_a_replica_go_its_states_and_nothing_else(replicas: Front, alone: Served) -> None:
    """Stands last: the replica that comes for it takes a while."""
    client = replicas.client()
    roots = [ask(client, f"Root {number}.") for number in range(4)]
    processes = replicas.processes()
    assert {replica_in(root.id) for root in roots} == set(processes)
    lost = replica_in(roots[0].id)
    assert lost is not None
    body = {**LONG, "messages": [{"role": "user", "content": "Root 0."}], "stream": True}
    with _on(replicas, lost, body) as reply:
        lines = reply.iter_lines()
        assert next(lines).startswith("data: ")
        os.kill(processes[lost], signal.SIGKILL)
        rest = [line for line in lines if line]
    assert rest[-2] == "event: error"
    assert json.loads(rest[-1].removeprefix("data: "))["error"]["code"] == "replica_lost"
    for root in roots:
        if replica_in(root.id) == lost:
            with pytest.raises(openai.NotFoundError) as refused:
                ask(client, "Go on.", previous_response_id=root.id)
            assert refused.value.code == "previous_response_not_found"
        else:
            assert cached(ask(client, "Go on.", previous_response_id=root.id)) >= total(root)
    for number in range(6):
        said = f"A new root {number}."
        assert ask(client, said).output_text == ask(alone.client, said).output_text


def _on(replicas: Front, home: str, body: dict[str, Any]) -> Any:
    """Send a request that goes to one replica: the others have more to do."""
    others = [name for name in replicas.front.living() if name != home]
    replicas.front.homes.busy.update(dict.fromkeys(others, 100))
    try:
        reply = replicas.clients.enter_context(
            replicas.http().stream("POST", "/v1/chat/completions", json=body)
        )
    finally:
        replicas.front.homes.busy.subtract(dict.fromkeys(others, 100))
    assert reply.headers["x-agentflow-replica"] == home
    return _Closing(reply)


class _Closing:
    """A stream that is closed by its client."""

    def __init__(self, reply: Any) -> None:
        self._reply = reply

    def __enter__(self) -> Any:
        return self._reply

    def __exit__(self, *_raised: object) -> None:
        self._reply.close()


@pytest.mark.long
def test_a_replica_that_died_is_replaced_and_gets_its_share(replicas: Front) -> None:
    front = replicas.front
    wait_until(lambda: len(front.living()) == 2)
    lost, pid = next(iter(replicas.processes().items()))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: lost not in front.living() and len(front.living()) == 2)
    client = replicas.client()
    roots = [ask(client, f"Afterwards {number}.") for number in range(4)]
    assert {replica_in(root.id) for root in roots} == set(replicas.front.living())


@pytest.mark.long
def test_a_model_that_is_not_there_is_said_in_a_line(replicas: Front, cluster: Any) -> None:
    from agentflow.cluster.serving.deployment import Replicas, deployed
    from agentflow.recurrent.options import EngineOptions

    wanted = Replicas(model="./nowhere", name="none", options=EngineOptions(), cpus=0)
    with (
        pytest.raises(ClusterError, match=r"does not start: .*there is no such folder") as raised,
        deployed(wanted, cluster.address),
    ):
        pass
    assert "\n" not in str(raised.value)


@pytest.mark.long
def test_a_command_that_is_killed_leaves_nothing_on_the_cluster(
    replicas: Front, cluster: Any, model: Path
) -> None:
    from ray import serve

    command = [sys.executable, "-m", "agentflow.cli.main", "serve", str(model), "--port", "0"]
    command += ["--on", f"ray://{cluster.address}", "--cpus", "0", "--name", "other"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("http://127.0.0.1:")
            assert len(serve.status().applications) == 2
        finally:
            process.kill()
    wait_until(lambda: list(serve.status().applications) == [replicas.found.app])


# Without a cluster ---------------------------------------------------------------------------


def chat(*said: str) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": one} for one in said]}).encode()


def test_roots_go_where_there_is_least_to_do() -> None:
    homes = Homes(lambda: ["a", "b", "c"])
    with ExitStack() as stack:
        for number in range(6):
            stack.enter_context(homes.chosen(wanted_by("/", chat(f"{number}"))))
        assert homes.busy == {"a": 2, "b": 2, "c": 2}
    assert not any(homes.busy.values())


def test_who_comes_later_gets_no_more_than_others() -> None:
    living = ["a"]
    homes = Homes(lambda: living)
    chosen = []
    for number in range(8):
        living = ["a", "b"] if number > 3 else living
        with homes.chosen(wanted_by("/", chat(f"{number}"))) as home:
            chosen.append(home)
    assert chosen[4:] in (["a", "b", "a", "b"], ["b", "a", "b", "a"])


def test_a_known_beginning_is_worth_waiting_for_but_not_for_long() -> None:
    homes = Homes(lambda: ["a", "b"])
    said = "a long beginning " * 10
    with homes.chosen(wanted_by("/", chat(said))) as first:
        pass
    longer = wanted_by("/", chat(said, "and more"))
    with ExitStack() as stack:
        chosen = [stack.enter_context(homes.chosen(longer)) for _ in range(SLACK + 1)]
    assert chosen[:SLACK] == [first] * SLACK
    assert chosen[SLACK] != first


def test_a_beginning_that_is_the_lesser_part_decides_nothing() -> None:
    homes = Homes(lambda: ["a", "b"])
    chosen = []
    for number in range(4):
        said = wanted_by("/", chat("You help.", f"{number} " + "something else " * 20))
        with homes.chosen(said) as home:
            chosen.append(home)
    assert set(chosen) == {"a", "b"}


def test_who_goes_on_from_a_response_goes_nowhere_else() -> None:
    homes = Homes(lambda: ["a", "b"])
    body = json.dumps({"previous_response_id": f"resp_b_{'0' * 32}", "input": "x"}).encode()
    with ExitStack() as stack:
        for _ in range(50):
            assert stack.enter_context(homes.chosen(wanted_by("/v1/responses", body))) == "b"
        path = f"/v1/responses/resp_b_{'0' * 32}"
        assert stack.enter_context(homes.chosen(wanted_by(path, b""))) == "b"
        assert stack.enter_context(homes.chosen(wanted_by(path, b""), avoid=["b"])) == "a"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"7", b'{"messages": 3}', b'{"prompt": {}}', b'{"input": [[1]]}']
)
def test_any_body_has_a_home(body: bytes) -> None:
    with Homes(lambda: ["a"]).chosen(wanted_by("/v1/completions", body)) as home:
        assert home == "a"


def test_numbers_of_replicas_stand_side_by_side() -> None:
    text = '# TYPE n gauge\nn 1\n# TYPE m counter\nm{status="200"} 2\n'
    assert merged({"a": text, "b": text}).splitlines() == [
        "# TYPE n gauge",
        'n{replica="a"} 1',
        'n{replica="b"} 1',
        "# TYPE m counter",
        'm{replica="a",status="200"} 2',
        'm{replica="b",status="200"} 2',
    ]


@pytest.mark.long
def test_a_missing_package_and_a_missing_place_are_said() -> None:
    code = "import sys; {}; from agentflow.cli.main import main; sys.argv = {!r}; main()"
    cases = [
        ("sys.modules['fastapi'] = None", ["--on", "ray", "--port", "0"], "agentflow[serve]", 1),
        ("pass", ["--replicas", "2"], "--replicas needs --on", 2),
        ("pass", ["--on", "moon"], "cannot run on 'moon'", 2),
    ]
    for before, given, expected, status in cases:
        argv = ["agentflow", "serve", "./model", *given]
        done = warm.run("-c", code.format(before, argv), kind="libraries")
        assert expected in done.stderr
        assert done.returncode == status
        assert "Traceback" not in done.stderr
