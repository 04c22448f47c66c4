"""Load a language model from a folder or by name, repaired where needed and tried before it is handed out.

Owns the choice of device and precision and the words of what can go wrong. Knows no architecture. A model that comes
out of here was probed: what it cannot do is in its abilities.
"""

import contextlib
import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentflow.errors import MissingExtraError, UnknownModelError, WeightsError

try:
    import torch

    from agentflow.recurrent.quiet import quiet_transformers
except ImportError as error:
    raise MissingExtraError(feature="a recurrent model", extra="recurrent") from error

from agentflow.recurrent.language_models.lean_mamba2 import make_lean
from agentflow.recurrent.language_models.patches import repair
from agentflow.recurrent.language_models.probe import Findings, probe
from agentflow.recurrent.language_models.reader import Reader
from agentflow.recurrent.language_models.reading_model import ReadingModel
from agentflow.recurrent.language_models.transformers_model import TransformersReader
from agentflow.recurrent.options import Precision

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
_OURS = "agentflow_mixers"


def load(
    path: str | Path, *, dtype: Precision = "auto", device: str = "auto", repairs: bool = True
) -> ReadingModel:
    """Load a Hugging Face folder, one of our own, or a name known to the local cache or the hub.

    Args:
        path: The folder or name.
        dtype: "auto" is the checkpoint's on CUDA and float32 elsewhere. The recurrent state stays in float32.
        device: "auto" is CUDA where there is one, else the CPU.
        repairs: Without, transformers is left as it is; what is wrong in it is only worked around.

    Raises:
        UnknownModelError: No loaded library knows this kind of model.
        WeightsError: There is nothing there, it is damaged, or it cannot be read from a state rightly.
        MissingExtraError: transformers is not installed.
    """
    name = str(path)
    place = _device(name, device)
    with _without_kernels(place), quiet_transformers():
        if _kind_in_folder(name) == _OURS:
            return _mixers(name, place, dtype)
        return _from_transformers(name, place, dtype, repairs)


def _device(name: str, device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        problem = f"there is no device {device!r} here; use cpu, cuda or auto"
        raise WeightsError(model=name, problem=problem) from error
    return place


def _kind_in_folder(name: str) -> str | None:
    """Return the kind that a folder says it holds; None for what is to be looked up by name."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
            raise WeightsError(model=name, problem="there is no such folder")
        return None
    file = folder / "config.json"
    try:
        found = json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise WeightsError(model=name, problem="there is no config.json in the folder") from error
    except (OSError, ValueError) as error:
        raise WeightsError(model=name, problem=f"config.json is not JSON: {error}") from error
    kind = found.get("model_type") if isinstance(found, dict) else None
    if not isinstance(kind, str):
        raise WeightsError(model=name, problem="config.json names no model_type")
    return kind


# Our own -----------------------------------------------------------------------------------


def _mixers(name: str, device: torch.device, dtype: Precision) -> ReadingModel:
    # Only imported for these folders: most models have no use for it.
    from agentflow.recurrent.language_models.mixer_model import MixerReader  # noqa: PLC0415
    from agentflow.recurrent.mixers import folder  # noqa: PLC0415

    chosen = _DTYPES.get(dtype, None if device.type == "cuda" else torch.float32)
    network = folder.load(Path(name).expanduser(), device=device, dtype=chosen)
    return _probed(MixerReader(network, name), ())


# transformers ------------------------------------------------------------------------------


def _from_transformers(
    name: str, device: torch.device, dtype: Precision, repairs: bool
) -> ReadingModel:
    network = _network(name, device, dtype)
    notes = repair(network) if repairs else ()
    if repairs and device.type == "cpu":
        make_lean(network)
    reader = TransformersReader(network, name)
    context = getattr(network.config, "max_position_embeddings", None)
    try:
        return _probed(reader, notes, context)
    except WeightsError:
        if not reader.widens:
            raise
    reader.widens = False  # some models cannot compute with a state more precise than their weights
    return _probed(reader, (*notes, "the state is kept in the precision of the weights"), context)


def _network(name: str, device: torch.device, dtype: Precision) -> Any:
    transformers = importlib.import_module("transformers")  # here, when fla is hidden or not
    if device.type == "cuda" and importlib.util.find_spec("fla") is not None:
        importlib.import_module("fla")  # it registers its own architectures
    chosen = _DTYPES.get(dtype, "auto" if device.type == "cuda" else torch.float32)
    with _told_in_a_line(name):
        network, found = transformers.AutoModelForCausalLM.from_pretrained(
            str(Path(name).expanduser()) if Path(name).expanduser().is_dir() else name,
            dtype=chosen,
            trust_remote_code=False,
            output_loading_info=True,
        )
        _check_complete(name, found)
        return network.to(device).eval()


def _check_complete(name: str, found: Any) -> None:
    """Refuse what transformers fills with random numbers and only warns of."""
    missing = sorted(map(str, [*found["missing_keys"], *found["mismatched_keys"]]))
    if missing:
        problem = f"{len(missing)} weights are missing or of another shape, {missing[0]} for one"
        raise WeightsError(model=name, problem=problem)


@contextlib.contextmanager
def _told_in_a_line(name: str) -> Iterator[None]:
    try:
        yield
    except WeightsError:
        raise
    except torch.OutOfMemoryError as error:
        problem = "it does not fit into the device's memory; use a smaller dtype or --device cpu"
        raise WeightsError(model=name, problem=problem) from error
    except Exception as error:
        line = (str(error).splitlines() or [type(error).__name__])[0][:300]
        if isinstance(error, ValueError | KeyError) and "does not recognize" in str(error):
            raise UnknownModelError(model=name, problem=line) from error
        raise WeightsError(model=name, problem=line) from error


def _probed(reader: Reader, notes: tuple[str, ...], context: int | None = None) -> ReadingModel:
    with _told_in_a_line(reader.name):
        found: Findings = probe(reader)
    abilities = replace(found.abilities, notes=(*notes, *found.abilities.notes))
    return ReadingModel(
        reader,
        abilities,
        vocabulary_size=found.vocabulary_size,
        growing=found.growing,
        context_tokens=context if abilities.attends else None,
    )


@contextlib.contextmanager
def _without_kernels(device: torch.device) -> Iterator[None]:
    """Hide flash-linear-attention while a model is loaded for another device than CUDA: its kernels fail there.

    transformers decides when it imports the code of an architecture, once in a process; so after loading on the CPU,
    the same architecture runs without these kernels on CUDA too.
    """
    if device.type == "cuda":
        yield
        return
    hidden = object()
    before: Any = sys.modules.get("fla", hidden)
    sys.modules["fla"] = None  # type: ignore[assignment] # what the import system takes for "not there"
    try:
        yield
    finally:
        if before is hidden:
            del sys.modules["fla"]
        else:
            sys.modules["fla"] = before
