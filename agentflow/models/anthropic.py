"""Models behind Anthropic's Messages API.

Owns the client; the words of the API are in `anthropic_messages`. One attempt a call: the client's
own retries are off. A stream is closed whatever happens, also on cancellation.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from anthropic import APIConnectionError, APIError, APIStatusError, AsyncAnthropic

from agentflow.models.anthropic_messages import MessagesReader, messages_body, replies_by_tool
from agentflow.models.hosted import (
    DEFAULT_CONCURRENCY,
    Host,
    find_host,
    finish_reply,
    read_stream,
)
from agentflow.models.json_form import json_form
from agentflow.models.prices import price_of
from agentflow.models.protocol import Model, ModelSpec, OnText, Price, Reply, Request

OFFICIAL_URL = "https://api.anthropic.com"


def open_anthropic(spec: ModelSpec) -> Model:
    """Return the model that `spec` names.

    The key comes from `spec.api_key_env`, by default ANTHROPIC_API_KEY. At another `base_url` no key
    is sent unless `api_key_env` names one.

    Raises:
        CredentialsError: The variable is not set.
    """
    host = find_host(spec, key_env="ANTHROPIC_API_KEY", url_env="ANTHROPIC_BASE_URL")
    return AnthropicModel(host)


class AnthropicModel:
    """A model behind the Messages API."""

    def __init__(self, host: Host) -> None:
        self.spec = host.spec
        self.concurrency: int | None = host.spec.concurrency or DEFAULT_CONCURRENCY
        self._host = host
        self._client = AsyncAnthropic(
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
        failures = self._host.failures
        if request.grammar is not None:
            raise failures.unsupported("anthropic cannot constrain by grammar")
        if request.seed is not None:
            raise failures.unsupported("anthropic takes no seed: leave `seed` out")
        form = None if request.output_schema is None else json_form(request.output_schema)
        body = messages_body(self.spec, request, form)
        with self._typed_errors():
            stream = await self._client.messages.create(stream=True, **body)
        reader = MessagesReader(failures, by_tool=replies_by_tool(form))
        async with stream:
            await read_stream(stream, reader.take, on_text, typed_errors=self._typed_errors)
        return finish_reply(reader.draft, self._host, form)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    @contextmanager
    def _typed_errors(self) -> Iterator[None]:
        # `from None`: the client's error quotes the server, and a server may quote the key.
        failures = self._host.failures
        try:
            yield
        except APIStatusError as error:
            # An error inside a stream carries the status the stream began with.
            status = error.status_code if error.status_code >= 400 else None
            raise failures.refused(
                status, error.body or error.message, error.response.headers
            ) from None
        except (APIConnectionError, httpx2.HTTPError) as error:
            raise failures.unreachable(error) from None
        except APIError as error:
            raise failures.refused(None, error.body or error.message) from None
        except ValueError as error:
            raise failures.unreadable(error) from None
