"""Independent samples of one prompt.

Owns what must differ between them. A local model is greedy unless told otherwise, so it gets a
temperature and a seed for each sample; a hosted one samples by itself, may refuse a seed, and must not
be answered from the cache, where all samples are one.
"""

from typing import Any

from agentflow import default_model

LOCAL_TEMPERATURE = 0.7


async def first_options() -> dict[str, Any]:
    """Return the options of `generate` for the model's first choice."""
    return {"temperature": 0.0} if (await default_model()).is_local else {}


async def attempt_options(number: int) -> dict[str, Any]:
    """Return the options of `generate` for an attempt after `number` others were refused.

    A local model is greedy, and would say the same again.
    """
    is_local = number > 0 and (await default_model()).is_local
    return await sample_options(number) if is_local else {}


async def sample_options(
    number: int, temperature: float | None = None, *, local: float = LOCAL_TEMPERATURE
) -> dict[str, Any]:
    """Return the options of `generate` for the `number`-th sample, counted from 0.

    Without a `temperature`, a hosted model keeps its own and a local one gets `local`.
    """
    model = await default_model()
    if model.is_local:
        own = model.temperature or local
        heat = own if temperature is None else temperature
        return {"temperature": heat, "seed": (model.seed or 0) + number}
    return {"cache": False} | ({} if temperature is None else {"temperature": temperature})
