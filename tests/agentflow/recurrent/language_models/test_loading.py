import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file

from agentflow.errors import ModelError, UnknownModelError, WeightsError
from agentflow.recurrent.language_models.loading import load
from tests.agentflow.recurrent.folders import weights_folder

Folders = Callable[[str], Path]

FOREIGN_KERNELS = "raise RuntimeError('0 active drivers ([]). There should only be one.')\n"
LOAD = """
import sys
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
from agentflow.recurrent.language_models.loading import load
model = load(sys.argv[2], device="cpu")
print(model.abilities.continues, model.abilities.stacks, "fla" in sys.modules)
"""


@pytest.fixture
def copy(folders: Folders, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(folders("mamba2"), folder)
    return folder


def refusal(path: str | Path, kind: type[ModelError] = WeightsError, **options: str) -> str:
    with pytest.raises(kind) as caught:
        load(path, **options)  # type: ignore[arg-type]
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "nothing")


def test_a_folder_without_configuration_is_told(tmp_path: Path) -> None:
    assert "no config.json" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"), [("{", "not JSON"), ("[]", "no model_type"), ("{}", "no model_type")]
)
def test_a_damaged_configuration_is_told(text: str, told: str, copy: Path) -> None:
    (copy / "config.json").write_text(text)
    assert told in refusal(copy)


def test_an_unknown_kind_of_model_is_told(copy: Path) -> None:
    (copy / "config.json").write_text(json.dumps({"model_type": "abacus"}))
    assert "abacus" in refusal(copy, UnknownModelError)


def test_code_in_a_folder_is_never_run(copy: Path) -> None:
    (copy / "evil.py").write_text("raise SystemExit('code of the folder was run')")
    told = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    (copy / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": told}))
    with pytest.raises(ModelError):
        load(copy)


def test_a_damaged_file_of_weights_is_told(copy: Path) -> None:
    (copy / "model.safetensors").write_bytes(b"not weights")
    refusal(copy)


def test_missing_weights_are_refused_and_not_made_up(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    lost = next(name for name in weights if name.endswith("in_proj.weight"))
    del weights[lost]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    assert lost in refusal(copy)


def test_a_model_that_cannot_read_at_all_is_told(tmp_path: Path) -> None:
    without_attention = ["linear_attention", "linear_attention"]
    told = refusal(weights_folder("qwen3_5_text", tmp_path, layer_types=without_attention))
    assert "cannot read a short text" in told
    assert "Attention layers" in told


def test_an_unknown_device_is_told(copy: Path) -> None:
    assert "use cpu, cuda or auto" in refusal(copy, device="abacus")


def test_a_name_that_is_nowhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    refusal("nobody/has-this-model")


def test_the_precision_is_the_one_asked_for(folders: Folders) -> None:
    assert load(folders("mamba2")).reader.dtype == torch.float32
    assert load(folders("mamba2"), dtype="fp16").reader.dtype == torch.float16


def test_only_attention_bounds_the_context(folders: Folders) -> None:
    assert load(folders("mamba2")).context_tokens is None
    assert load(folders("qwen3_5_text")).context_tokens == 32768


def test_an_empty_reading_is_a_mistake(folders: Folders) -> None:
    with pytest.raises(ValueError, match="no token"):
        load(folders("mamba2")).extend([], None)


@pytest.mark.slow
def test_kernels_that_need_a_gpu_are_hidden_on_the_cpu(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "fla").mkdir()
    (tmp_path / "fla" / "__init__.py").write_text(FOREIGN_KERNELS)
    command = [sys.executable, "-c", LOAD, str(tmp_path), str(folders("qwen3_next"))]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.stdout == "True True False\n", ran.stderr
