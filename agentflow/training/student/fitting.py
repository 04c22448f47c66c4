"""The second stage: train the model of a recipe, in as many sittings as it takes.

Owns the checkpoint, `training.json` and the packaged weights. What comes out is the same, bit for bit, however often
a training was interrupted on one machine with as many threads.
"""

import copy
import hashlib
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from agentflow.errors import TrainingStoppedError
from agentflow.recurrent.mixers import folder as mixers
from agentflow.recurrent.mixers.config import MixerConfig
from agentflow.recurrent.mixers.model import MixerLM
from agentflow.recurrent.mixers.training import StepReport, Training
from agentflow.training.student.batching import Batching
from agentflow.training.student.corpus import versions
from agentflow.training.student.encoding import Encoded
from agentflow.training.student.folder import CHECKPOINT, LOG, TRAINING, WEIGHTS, StudentFolder
from agentflow.training.student.log import Log, read_log
from agentflow.training.student.recipe import Precision, Recipe, Transformer
from agentflow.training.student.transformer_config import TransformerConfig

if TYPE_CHECKING:
    from agentflow.training.student.transformer import TransformerLM

CHECKPOINT_EVERY_S = 60.0
_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a training is; `tokens` and `seconds` are of all steps so far."""

    step: int
    steps: int
    loss: float
    tokens: int
    seconds: float


Hear = Callable[[Progress], None]


def fit(
    recipe: Recipe,
    folder: StudentFolder,
    encoded: Encoded,
    vocabulary: int,
    *,
    device: str = "auto",
    hear: Hear = lambda _progress: None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Train until the end, package the weights, and return the facts of it; what is done is not done again.

    Args:
        recipe: What to train.
        folder: Where checkpoint, log and weights are.
        encoded: The sequences.
        vocabulary: Entries of the tokenizer.
        device: `auto` is CUDA where there is one, else the CPU.
        hear: Hears of every step.
        is_stopped: Asked after every step.

    Raises:
        TrainingStoppedError: It was stopped; the checkpoint is written.
        TrainingError: The device is not there, or the loss is no number any more.
        WeightsError: The checkpoint is damaged.
    """
    done = folder.read(TRAINING)
    if done is not None and done["precision"] == recipe.precision:
        return done
    place = _device(folder, device)
    torch.manual_seed(recipe.seed)
    model = _built(recipe, vocabulary).to(place)
    wanted, batching = recipe.training, _batching(recipe, encoded)
    steps = wanted.steps or batching.steps_for(wanted.tokens or 0, wanted.length)
    training = Training(model, wanted.options(steps), batching)
    sitting = _Sitting(training, folder, hear, is_stopped)
    sitting.through(steps)
    _package(model, folder, recipe.precision)
    facts = _facts(recipe, folder, model, place)
    facts |= {"steps": steps, "left_out": batching.left_out}
    folder.write(TRAINING, facts)
    return facts


def _batching(recipe: Recipe, encoded: Encoded) -> Batching:
    wanted = recipe.training
    return Batching(
        encoded, batch_tokens=wanted.batch_tokens, longest=wanted.longest, seed=recipe.seed
    )


def _built(recipe: Recipe, vocabulary: int) -> "MixerLM | TransformerLM":
    if isinstance(recipe.model, Transformer):
        # Only for these recipes: importing transformers' Llama takes seconds.
        from agentflow.training.student.transformer import TransformerLM  # noqa: PLC0415

        sizes = recipe.model.transformer.model_dump()
        return TransformerLM(TransformerConfig(**sizes, vocabulary_size=vocabulary))
    return MixerLM(MixerConfig(**recipe.model.model_dump(), vocabulary_size=vocabulary))


def _device(folder: StudentFolder, name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise folder.error("there is no CUDA device here; use --device cpu or auto")
    return torch.device(name)


class _Sitting:
    """A training from its checkpoint, if there is one, until its end or until it is stopped."""

    def __init__(
        self,
        training: Training[Any],
        folder: StudentFolder,
        hear: Hear,
        is_stopped: Callable[[], bool],
    ) -> None:
        self._training, self._folder, self._hear = training, folder, hear
        self._is_stopped = is_stopped
        self._checkpoint = folder.path / CHECKPOINT
        if self._checkpoint.exists():
            training.restore(self._checkpoint)
        self._log = Log(folder.path / LOG, training.step)
        self._saved = time.monotonic()

    def through(self, steps: int) -> None:
        """Train until the last step."""
        try:
            self._training.run(partial(self._each, steps))
        except FloatingPointError as error:
            raise self._folder.error(str(error)) from error
        self._save()

    def _each(self, steps: int, report: StepReport) -> None:
        self._log.take(report)
        said = Progress(
            step=report.step,
            steps=steps,
            loss=report.loss,
            tokens=self._log.tokens,
            seconds=self._log.seconds,
        )
        self._hear(said)
        if self._is_stopped():
            self._save()
            raise TrainingStoppedError(folder=str(self._folder.path), step=report.step, steps=steps)
        if time.monotonic() - self._saved > CHECKPOINT_EVERY_S:
            self._save()

    def _save(self) -> None:
        self._log.flush()  # before the checkpoint: what it counts must be in the log
        self._training.save(self._checkpoint)
        self._saved = time.monotonic()


def _package(model: "MixerLM | TransformerLM", folder: StudentFolder, precision: Precision) -> None:
    """Write the weights as they are to be used; the checkpoint keeps the exact ones."""
    packaged = copy.deepcopy(model).to("cpu", _DTYPES[precision])
    for name, weight in packaged.named_parameters():
        if not torch.isfinite(weight).all():
            raise folder.error(f"{name} does not fit into {precision}; use precision: bf16 or fp32")
    if isinstance(packaged, MixerLM):
        mixers.save(packaged, folder.path)
        return
    from agentflow.training.student import transformer  # noqa: PLC0415 - see `_built`

    transformer.save(packaged, folder.path)


def _facts(
    recipe: Recipe, folder: StudentFolder, model: "MixerLM | TransformerLM", place: torch.device
) -> dict[str, Any]:
    last = read_log(folder.path / LOG)[-1]
    weights = folder.path / WEIGHTS
    return {
        "parameters": model.parameter_count(),
        "precision": recipe.precision,
        "bytes": weights.stat().st_size,
        "digest": _digest(weights),
        "seed": recipe.seed,
        "loss": last.loss,
        "tokens": last.tokens,
        "seconds": last.seconds,
        "hardware": _hardware(place),
        "versions": versions(),
    }


def _hardware(place: torch.device) -> str:
    if place.type == "cuda":
        return torch.cuda.get_device_name(place)
    threads = torch.get_num_threads()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.machine()} CPU, {threads} of {cores} cores"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
