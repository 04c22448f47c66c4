"""A model of mixers as a folder: `config.json` and `model.safetensors`.

Owns the two files; a tokenizer's files beside them are the caller's. A file is replaced whole or not at all, and
nothing in one is ever executed. A folder that cannot be read is a `WeightsError` in one line.
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from agentflow.errors import WeightsError
from agentflow.recurrent.mixers.config import MixerConfig
from agentflow.recurrent.mixers.model import MixerLM

MODEL_TYPE = "agentflow_mixers"
CONFIG, WEIGHTS = "config.json", "model.safetensors"


def save(model: MixerLM, folder: str | Path) -> None:
    """Write a model to a folder, which is made if there is none."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    write_tensors(folder / WEIGHTS, tensors, {"format": "pt"})
    about = {"model_type": MODEL_TYPE, "architectures": [MixerLM.__name__]}
    text = json.dumps(about | model.config.model_dump(mode="json"), indent=2)
    partial = folder / f"{CONFIG}.partial"
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(folder / CONFIG)


def load(
    folder: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> MixerLM:
    """Return the model of a folder, ready to read tokens (not to be trained: call `train()` for that).

    Args:
        folder: What `save` has written.
        device: Where the weights go.
        dtype: Their type; None for that of the file. States are float32 whatever it is.

    Raises:
        WeightsError: A file is missing or damaged, or the two do not fit each other.
    """
    folder = Path(folder)
    config = _config(folder)
    tensors = read_tensors(folder / WEIGHTS, folder)
    with torch.device("meta"):
        model = MixerLM(config)
    _match(folder, {name: tensor.shape for name, tensor in model.state_dict().items()}, tensors)
    model.load_state_dict(tensors, assign=True)
    return model.to(device=device, dtype=dtype).eval()


def write_tensors(path: Path, tensors: dict[str, Tensor], about: dict[str, str]) -> None:
    """Write tensors and words about them, in place of what was there."""
    partial = path.with_name(f"{path.name}.partial")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial, about)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def read_tensors(path: Path, model: Path) -> dict[str, Tensor]:
    """Return the tensors of a file; `model` names it in errors."""
    if not path.is_file():
        raise _unusable(model, f"there is no {path.name}")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise _unusable(model, f"{path.name} is damaged: {error}") from error


def _config(folder: Path) -> MixerConfig:
    try:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _unusable(folder, f"there is no {CONFIG}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(folder, f"{CONFIG} cannot be read: {error}") from error
    kind = values.pop("model_type", None) if isinstance(values, dict) else None
    if kind != MODEL_TYPE:
        raise _unusable(folder, f"model_type in {CONFIG} is {kind!r}, not {MODEL_TYPE!r}")
    values.pop("architectures", None)
    try:
        return MixerConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "sizes"
        raise _unusable(folder, f"{CONFIG}: {place}: {first['msg']}") from error


def _match(folder: Path, asked: dict[str, torch.Size], found: dict[str, Tensor]) -> None:
    """Refuse weights other than those the configuration asks for."""
    wrong: list[str] = [f"{name} is missing" for name in asked if name not in found]
    wrong += [f"{name} is not one of the model's" for name in found if name not in asked]
    for name in (name for name in asked if name in found):
        if asked[name] != found[name].shape:
            wrong.append(f"{name} is {list(found[name].shape)}, not {list(asked[name])}")
        elif not found[name].is_floating_point():
            wrong.append(f"{name} holds {found[name].dtype}, not real numbers")
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise _unusable(folder, f"{WEIGHTS} does not fit {CONFIG}: {wrong[0]}{more}")


def _unusable(folder: Path, problem: Any) -> WeightsError:
    return WeightsError(model=str(folder), problem=" ".join(str(problem).split())[:300])
