"""What a model costs.

Owns the way from a specification to a `Price`: the user's own figure, else nothing for what runs on
this machine, else the public price list that the package genai-prices carries. Never uses the
network and never makes a price up: unknown is None.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from agentflow.models.protocol import ModelSpec, Price

LOCAL_PROVIDERS = frozenset({"gguf", "recorded", "recurrent"})


def price_of(spec: ModelSpec) -> Price | None:
    """Return US dollars per million tokens; None when nobody knows.

    Where the price depends on the length of the prompt, this is the one for short prompts. At
    another address than the provider's own only a service on the list has a price.
    """
    if spec.price is not None:
        return spec.price
    if spec.provider in LOCAL_PROVIDERS:
        return Price(input=0, output=0)
    listed = _listed(spec)
    if listed is None or listed.get("requests_kcount") is not None:
        return None  # a fee per request is not something a price per token can say
    input_usd, output_usd = _base(listed.get("input_mtok")), _base(listed.get("output_mtok"))
    if input_usd is None or output_usd is None:
        return None
    return Price(
        input=input_usd, output=output_usd, cached_input=_base(listed.get("cache_read_mtok"))
    )


def _listed(spec: ModelSpec) -> dict[str, Any] | None:
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - 0.3 s that local runs never need

    provider = None if spec.base_url else spec.provider
    try:
        _, model = get_snapshot().find_provider_model(spec.name, None, provider, spec.base_url)
    except LookupError:
        return None
    return vars(model.get_prices(datetime.now(UTC)))


def _base(listed: object) -> float | None:
    base = getattr(listed, "base", listed)  # a tiered price has its base tier apart
    return float(base) if isinstance(base, Decimal | int | float) else None
