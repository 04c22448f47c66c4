"""A model comes back from its folder bit for bit, and a damaged folder says in one line what is wrong."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from agentflow.errors import WeightsError
from agentflow.recurrent.mixers.config import MixerName
from agentflow.recurrent.mixers.folder import load, save
from tests.agentflow.recurrent.mixers.small import NAMES, model


@pytest.mark.parametrize("name", NAMES)
def test_a_model_comes_back_bit_for_bit(name: MixerName, tmp_path: Path) -> None:
    made, tokens = model(name, name, tied_embeddings=False), torch.randint(0, 29, (2, 40))
    save(made, tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.config == made.config
    assert torch.equal(made(tokens)[0], again(tokens)[0])
    assert sorted(file.name for file in (tmp_path / "model").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


def test_the_folder_says_what_it_is(tmp_path: Path) -> None:
    save(model("gru"), tmp_path)
    about = json.loads((tmp_path / "config.json").read_text())
    assert (about["model_type"], about["architectures"]) == ("agentflow_mixers", ["MixerLM"])


def test_weights_come_in_the_type_that_is_asked_for(tmp_path: Path) -> None:
    save(model("gru", "gla"), tmp_path)
    again = load(tmp_path, "cpu", torch.bfloat16)
    assert {parameter.dtype for parameter in again.parameters()} == {torch.bfloat16}
    assert not again.training


def test_loading_leaves_the_random_state_alone(tmp_path: Path) -> None:
    save(model("gru", "gla"), tmp_path)
    before = torch.get_rng_state()
    load(tmp_path)
    assert torch.equal(before, torch.get_rng_state())


def change_config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def change_weights(**changes: torch.Tensor | None) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "model.safetensors"
        tensors: dict[str, Any] = load_file(path) | changes
        save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)

    return change


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), "there is no config.json"),
    "no weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "there is no model.safetensors",
    ),
    "config is no JSON": (write("config.json", b"{"), "config.json cannot be read"),
    "config is no text": (write("config.json", b"\xff\xfe\x00"), "config.json cannot be read"),
    "config is a list": (write("config.json", b"[]"), "model_type"),
    "deep config": (write("config.json", b"[" * 100_000), "config.json cannot be read"),
    "another model": (change_config(model_type="llama"), "'llama', not 'agentflow_mixers'"),
    "unknown layer": (change_config(layers=["gru", "rnn"]), "layers.1"),
    "heads": (change_config(heads=7), "7 does not divide"),
    "wider": (change_config(d_model=48), "does not fit config.json"),
    "one layer more": (change_config(layers=["gru", "gla", "gru"]), "is missing and"),
    "one layer less": (change_config(layers=["gru"]), "not one of the model's"),
    "cut off": (
        lambda folder: write(
            "model.safetensors", (folder / "model.safetensors").read_bytes()[:-10]
        )(folder),
        "model.safetensors is damaged",
    ),
    "no safetensors": (write("model.safetensors", b"\x80\x04."), "model.safetensors is damaged"),
    "huge header": (write("model.safetensors", b"\xff" * 64), "model.safetensors is damaged"),
    "whole numbers": (
        change_weights(**{"norm.weight": torch.ones(24, dtype=torch.int64)}),
        "norm.weight holds torch.int64",
    ),
    "weight left out": (change_weights(**{"norm.weight": None}), "norm.weight is missing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_one_clear_line(damage: str, tmp_path: Path) -> None:
    save(model("gru", "gla"), tmp_path)
    harm, said = DAMAGES[damage]
    harm(tmp_path)
    with pytest.raises(WeightsError, match=re.escape(said)) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(caught.value.problem) <= 300
