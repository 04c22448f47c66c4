import copy
import functools
import importlib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from agentflow.recurrent.language_models.lean_mamba2 import lean_step, make_lean
from agentflow.recurrent.language_models.loading import load
from agentflow.recurrent.states import walk
from tests.agentflow.recurrent.language_models.conftest import Loaded, error, texts

Load = Callable[[str], Loaded]
STEP = "mamba2_selective_state_update"
FAMILY = ("mamba2", "bamba", "falcon_h1", "granitemoehybrid", "nemotron_h", "zamba2")
of_the_family = pytest.mark.parametrize("architecture", FAMILY)


def fresh(it: Loaded) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(it.folder).eval()


def home_of(network: torch.nn.Module) -> ModuleType:
    return importlib.import_module(type(network).__module__)


def count_lean_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of rows of each lean step from now on."""
    rows: list[int] = []

    def counted(state: Tensor, *inputs: Any, **named: Any) -> Tensor:
        rows.append(len(state))
        return lean_step(state, *inputs, **named)

    monkeypatch.setattr("agentflow.recurrent.language_models.lean_mamba2.lean_step", counted)
    return rows


@torch.no_grad()
def decode(network: Any, rows: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Read a start of 9 tokens and then 4 more, one by one; return the logits and the tensors of the state."""
    tokens = torch.tensor(texts(rows, 13))
    takes = inspect.signature(network.forward).parameters
    named = "past_key_values" if "past_key_values" in takes else "cache_params"
    output = network(tokens[:, :9], use_cache=True)
    logits = []
    for at in range(9, 13):
        output = network(tokens[:, at : at + 1], use_cache=True, **{named: output[named]})
        logits.append(output.logits)
    return torch.cat(logits, 1), dict(walk.tensors(output[named]))


@of_the_family
@pytest.mark.parametrize("rows", [1, 3])
def test_lean_steps_say_and_keep_what_transformers_does(
    architecture: str, rows: int, loaded: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = fresh(loaded(architecture))
    want, want_state = decode(network, rows)
    assert make_lean(network)
    lean = count_lean_steps(monkeypatch)
    got, state = decode(network, rows)
    assert lean
    assert set(lean) == {rows}
    assert error(got, want) < 1e-4
    assert state.keys() == want_state.keys()
    for path, tensor in state.items():
        assert torch.allclose(tensor, want_state[path], rtol=1e-4, atol=1e-4), path


@of_the_family
def test_a_model_loaded_for_the_cpu_takes_lean_steps(
    architecture: str, loaded: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(architecture).model
    _, state = model.extend([1, 2, 3], None)
    lean = count_lean_steps(monkeypatch)
    model.extend([4], state)
    assert lean
    assert not any("lean" in note for note in model.abilities.notes)


def test_a_model_left_as_it_is_takes_none(loaded: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = loaded("mamba2").folder
    lean = count_lean_steps(monkeypatch)
    load(folder, repairs=False)
    assert not lean


def test_another_model_of_the_class_stays_as_it_is(
    loaded: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = loaded("mamba2")
    make_lean(fresh(it))
    lean = count_lean_steps(monkeypatch)
    decode(fresh(it), 2)
    assert not lean


def test_half_precision_and_gradients_are_left_to_transformers(
    loaded: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = fresh(loaded("mamba2"))
    make_lean(network)
    lean = count_lean_steps(monkeypatch)
    with torch.enable_grad():
        start = network(torch.tensor([[1, 2, 3]]), use_cache=True).cache_params
        network(torch.tensor([[4]]), cache_params=copy.copy(start))
    decode(network.to(torch.bfloat16), 2)
    assert not lean


def test_twice_is_once(loaded: Load) -> None:
    network = fresh(loaded("mamba2"))
    assert make_lean(network)
    before = [module.__dict__.get("forward") for module in network.modules()]
    step = getattr(home_of(network), STEP)
    assert make_lean(network)
    assert [module.__dict__.get("forward") for module in network.modules()] == before
    assert getattr(home_of(network), STEP) is step


def test_a_model_of_another_family_has_no_lean_step(loaded: Load) -> None:
    assert not make_lean(fresh(loaded("mamba")))


def takes_otherwise(*inputs: Any, **named: Any) -> Tensor:
    return lean_step(*inputs, **named)


@functools.wraps(lean_step)
def computes_otherwise(*inputs: Any, **named: Any) -> Tensor:
    return 2 * lean_step(*inputs, **named)


@functools.wraps(lean_step)
def keeps_otherwise(state: Tensor, *inputs: Any, **named: Any) -> Tensor:
    return lean_step(state.clone(), *inputs, **named)


@functools.wraps(lean_step)
def fails_here(*_: Any, **__: Any) -> Tensor:
    raise RuntimeError("0 active drivers ([]). There should only be one.")


@pytest.mark.parametrize("step", [takes_otherwise, computes_otherwise, keeps_otherwise, fails_here])
def test_a_step_that_is_another_than_the_known_one_is_left_alone(
    step: Callable[..., Tensor], loaded: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = fresh(loaded("mamba2"))
    monkeypatch.setattr(home_of(network), STEP, step)
    assert not make_lean(network)
    assert getattr(home_of(network), STEP) is step
    assert not any("forward" in module.__dict__ for module in network.modules())
