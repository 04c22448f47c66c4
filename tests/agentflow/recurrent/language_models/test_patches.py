from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import transformers
from torch import Tensor

from agentflow.recurrent.language_models.patches import repair, selective_scan
from tests.agentflow.recurrent.language_models.conftest import Loaded, texts


def by_the_book(u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, h: Tensor) -> Tensor:
    """Mamba's recurrence, one token after the other, in double precision."""
    out = []
    for t in range(u.shape[-1]):
        step = dt[..., t, None]
        h = torch.exp(step * a) * h + step * b[:, None, :, t] * u[..., t, None]
        out.append((h * c[:, None, :, t]).sum(-1))
    return torch.stack([*out, h.sum(-1)], -1)


def test_the_scan_is_mambas_recurrence_across_chunks() -> None:
    random = torch.Generator().manual_seed(3)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    u, dt, z = noise(2, 6, 150), noise(2, 6, 150), noise(2, 6, 150)
    a, b, c = -torch.exp(noise(6, 4)), noise(2, 4, 150), noise(2, 4, 150)
    d, bias, start = noise(6), noise(6), noise(2, 6, 4)
    got, state = selective_scan(
        u, dt, a, b, c, d, z, bias, delta_softplus=True, return_last_state=True, initial=start
    )
    step = F.softplus(dt + bias[:, None])
    want = by_the_book(*(x.double() for x in (u, step, a, b, c, start)))
    whole = (want[..., :-1] + u * d[:, None]) * F.silu(z)
    assert torch.allclose(got.double(), whole, atol=1e-4)
    assert torch.allclose(state.sum(-1).double(), want[..., -1], atol=1e-4)


@pytest.mark.parametrize("architecture", ["mamba", "zamba", "rwkv"])
def test_repairing_twice_is_repairing_once(
    architecture: str, loaded: Callable[[str], Loaded]
) -> None:
    folder = loaded(architecture).folder
    network = transformers.AutoModelForCausalLM.from_pretrained(folder)
    notes = repair(network)
    before = [module.__dict__.get("forward") for module in network.modules()]
    assert len(notes) == 1
    assert repair(network) == notes
    assert [module.__dict__.get("forward") for module in network.modules()] == before


def test_other_models_of_the_class_stay_as_they_are(loaded: Callable[[str], Loaded]) -> None:
    folder = loaded("mamba").folder
    (text,) = texts(1, 20)

    def in_two_parts() -> Tensor:
        untouched = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
        with torch.no_grad():
            cache = untouched(torch.tensor([text[:12]]), use_cache=True).cache_params
            logits: Tensor = untouched(torch.tensor([text[12:]]), cache_params=cache).logits
        return logits

    before = in_two_parts()
    repair(transformers.AutoModelForCausalLM.from_pretrained(folder))
    assert torch.equal(in_two_parts(), before)


def test_what_needs_no_repair_gets_none(loaded: Callable[[str], Loaded]) -> None:
    folder = loaded("mamba2").folder
    assert repair(transformers.AutoModelForCausalLM.from_pretrained(folder)) == ()
