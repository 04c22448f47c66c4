"""A real server on 127.0.0.1 in front of a small model, and OpenAI's own client to talk to it."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI

from agentflow.recurrent.engine import Engine, wait_idle
from agentflow.recurrent.options import EngineOptions
from agentflow.recurrent.server.service import Service
from agentflow.recurrent.server.serving import serving
from tests.agentflow.recurrent.folders import END, START, model_folder

NAME = "small"
TEMPLATE = f"""\
{{%- if tools -%}}
{START}tools
{{% for tool in tools %}}{{{{ tool | tojson }}}}
{{% endfor %}}{END}
{{% endif -%}}
{{%- for message in messages -%}}
{START}{{{{ message.role }}}}
{{{{ message.content }}}}
{{%- for call in message.tool_calls or [] %}}
<tool_call>
{{{{ {{"name": call.function.name, "arguments": call.function.arguments}} | tojson }}}}
</tool_call>
{{%- endfor -%}}
{END}
{{% endfor -%}}
{{%- if add_generation_prompt -%}}
{START}assistant
{{% endif -%}}"""


@dataclass
class Served:
    """A server that runs, and what is behind it."""

    origin: str
    service: Service
    engine: Engine
    key: str | None = None
    clients: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def client(self) -> OpenAI:
        made = OpenAI(base_url=self.url, api_key=self.key or "none", max_retries=0)
        return self.clients.enter_context(made)

    def async_client(self) -> AsyncOpenAI:
        """To be used as a context manager."""
        return AsyncOpenAI(base_url=self.url, api_key=self.key or "none", max_retries=0)

    @property
    def http(self) -> httpx2.Client:
        return self.clients.enter_context(httpx2.Client(base_url=self.origin, timeout=60))

    def wait_idle(self) -> None:
        assert wait_idle(self.engine), "a row was not freed"


Serve = Callable[..., Served]


@contextmanager
def served(folder: Path, *, key: str | None = None, **options: object) -> Iterator[Served]:
    given = EngineOptions(**options)
    service = Service(NAME)
    with (
        Engine.open(folder, given) as engine,
        serving(service, host="127.0.0.1", port=0, api_key=key) as server,
        ExitStack() as clients,
    ):
        service.open(engine)
        yield Served(server.origin, service, engine, key, clients)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small xLSTM, which remembers for long, with a template that knows tools."""
    folder = model_folder("xlstm", tmp_path_factory.mktemp("served") / NAME)
    path = folder / "tokenizer_config.json"
    described = json.loads(path.read_text("utf-8")) | {"chat_template": TEMPLATE}
    path.write_text(json.dumps(described), "utf-8")
    return folder


@pytest.fixture(scope="module")
def server(small: Path) -> Iterator[Served]:
    """One server for the tests of a file."""
    with served(small) as found:
        yield found


@pytest.fixture
def serve(small: Path) -> Iterator[Serve]:
    """Start servers of a test's own."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(served(small, **options))
