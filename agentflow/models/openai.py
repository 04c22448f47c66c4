"""Models behind OpenAI's APIs: OpenAI itself, and every server that speaks Chat Completions.

Owns the client and the choice between the two APIs; their words are in `openai_chat` and
`openai_responses`. One attempt a call: the client's own retries are off. A stream is closed
whatever happens, also on cancellation.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import httpx2
from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    AsyncOpenAI,
    AsyncStream,
)

from agentflow.models.hosted import (
    DEFAULT_CONCURRENCY,
    Draft,
    Host,
    find_host,
    finish_reply,
    read_stream,
)
from agentflow.models.json_form import JsonForm, json_form
from agentflow.models.openai_chat import ChatReader, chat_body
from agentflow.models.openai_responses import ResponsesReader, responses_body
from agentflow.models.prices import price_of
from agentflow.models.protocol import Model, ModelSpec, OnText, Price, Reply, Request, Usage
from agentflow.models.warm_up import WarmingModel, warms_up

OFFICIAL_URL = "https://api.openai.com/v1"


def open_openai(spec: ModelSpec) -> Model:
    """Return the model that `spec` names.

    The key comes from `spec.api_key_env`, by default OPENAI_API_KEY. At another `base_url` no key is
    sent unless `api_key_env` names one.

    Raises:
        CredentialsError: The variable is not set.
    """
    host = find_host(spec, key_env="OPENAI_API_KEY", url_env="OPENAI_BASE_URL")
    model = OpenAIModel(host)
    return WarmingModel(model) if warms_up(spec) else model


class _Reader(Protocol):
    draft: Draft

    def take(self, event: object) -> str: ...


class OpenAIModel:
    """A model behind one of OpenAI's two APIs."""

    def __init__(self, host: Host) -> None:
        self.spec = host.spec
        self.concurrency: int | None = host.spec.concurrency or DEFAULT_CONCURRENCY
        self._host = host
        self._client = AsyncOpenAI(
            api_key=host.key,
            base_url=host.spec.base_url or OFFICIAL_URL,
            timeout=host.spec.timeout_s,
            max_retries=0,
        )

    @property
    def price(self) -> Price | None:
        """US dollars per million tokens; None when unknown."""
        return price_of(self.spec)

    async def complete(self, request: Request, on_text: OnText) -> Reply:
        """Make one attempt, calling `on_text` with each piece of text as it arrives.

        Raises:
            ModelError: Anything that went wrong, typed.
        """
        if request.grammar is not None:
            raise self._host.failures.unsupported("openai cannot constrain by grammar")
        form = None if request.output_schema is None else json_form(request.output_schema)
        return finish_reply(await self._heard(request, form, on_text), self._host, form)

    async def read_prefix(self, request: Request) -> Usage:
        """Have the server read the messages of a request for one token, whatever that token is.

        Raises:
            ModelError: Anything that went wrong, typed.
        """
        return (await self._heard(request, None, lambda _text: None)).usage or Usage()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _heard(self, request: Request, form: JsonForm | None, on_text: OnText) -> Draft:
        """Make one request and read its stream to the end."""
        api = self._api_for(request)
        with self._typed_errors():
            stream = await self._open(api, request, form)
        reader: _Reader = (ResponsesReader if api == "responses" else ChatReader)(
            self._host.failures
        )
        async with stream:
            await read_stream(stream, reader.take, on_text, typed_errors=self._typed_errors)
        return reader.draft

    def _api_for(self, request: Request) -> Literal["responses", "chat"]:
        """Return the API to use: Responses knows neither stop sequences nor a seed."""
        needs_chat = bool(request.stop) or request.seed is not None
        if self.spec.api == "responses" and needs_chat:
            problem = "OpenAI's Responses API knows neither `stop` nor `seed`: use `api: chat`"
            raise self._host.failures.unsupported(problem)
        if self.spec.api is not None:
            return self.spec.api
        return "chat" if needs_chat or self.spec.base_url is not None else "responses"

    async def _open(self, api: str, request: Request, form: JsonForm | None) -> AsyncStream[Any]:
        stream: AsyncStream[Any]
        if api == "responses":
            body = responses_body(self.spec, request, form)
            stream = await self._client.responses.create(stream=True, **body)
        else:
            body = chat_body(self.spec, request, form)
            stream = await self._client.chat.completions.create(stream=True, **body)
        return stream

    @contextmanager
    def _typed_errors(self) -> Iterator[None]:
        # `from None`: the client's error quotes the server, and a server may quote the key.
        failures = self._host.failures
        try:
            yield
        except APIStatusError as error:
            raise failures.refused(
                error.status_code, error.body or error.message, error.response.headers
            ) from None
        except (APIConnectionError, httpx2.HTTPError) as error:
            raise failures.unreachable(error) from None
        except APIError as error:
            raise failures.refused(None, error.body or error.message) from None
        except ValueError as error:
            raise failures.unreadable(error) from None
