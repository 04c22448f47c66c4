"""What a model costs: the user's word, the public list, or unknown."""

import socket

import pytest

from agentflow.models.prices import price_of
from agentflow.models.protocol import ModelSpec, Price


def spec(provider: str, name: str, **rest: object) -> ModelSpec:
    return ModelSpec.model_validate({"provider": provider, "name": name, **rest})


def test_the_price_in_the_specification_wins() -> None:
    own = Price(input=1, output=2)
    assert price_of(spec("openai", "gpt-4o-mini", price=own)) == own


def test_a_listed_model_has_its_listed_price() -> None:
    assert price_of(spec("openai", "gpt-4o-mini")) == Price(
        input=0.15, output=0.6, cached_input=0.075
    )


def test_a_tiered_price_is_that_of_short_prompts() -> None:
    price = price_of(spec("anthropic", "claude-sonnet-4-5"))
    assert price == Price(input=3, output=15, cached_input=0.3)


@pytest.mark.parametrize("provider", ["gguf", "recorded"])
def test_what_runs_on_this_machine_costs_nothing(provider: str) -> None:
    assert price_of(spec(provider, "any")) == Price(input=0, output=0)


@pytest.mark.parametrize(
    "unknown",
    [
        spec("openai", "no-such-model"),
        spec("no-such-provider", "gpt-4o-mini"),
        spec("openai", "gpt-4o-mini", base_url="http://127.0.0.1:8080/v1"),
        spec("openai", "gpt-4o-mini", base_url="https://proxy.example/v1"),
    ],
    ids=str,
)
def test_an_unknown_price_is_none(unknown: ModelSpec) -> None:
    assert price_of(unknown) is None


def test_a_listed_service_is_known_by_its_address() -> None:
    groq = spec("openai", "llama-3.3-70b-versatile", base_url="https://api.groq.com/openai/v1")
    assert price_of(groq) is not None


def test_a_price_is_found_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert price_of(spec("openai", "gpt-4o")) is not None
