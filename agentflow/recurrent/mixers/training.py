"""Train a language model, and go on after an interruption as if there had been none.

Owns the loop: AdamW, a rate that warms up and then falls along a cosine, clipped gradients, a curriculum of lengths.
Knows neither the data nor what it is for. A checkpoint is one safetensors file with weights, moments, random states
and the step; on a CPU, training from it gives the same bits as training without a break, as long as the batches from
a step on are the same, which they are when they are drawn from torch's generator or made from the step.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from pydantic import BaseModel
from safetensors import safe_open
from torch import Tensor, nn

from agentflow.errors import WeightsError
from agentflow.recurrent.mixers.descent import TrainingOptions
from agentflow.recurrent.mixers.folder import read_tensors, write_tensors

__all__ = [
    "Batch",
    "Batches",
    "StepReport",
    "Trainable",
    "Training",
    "TrainingOptions",
]

Batch = Tensor | tuple[Tensor, Tensor]  # tokens, or tokens and targets (-100: does not count)
Batches = Callable[[int], Iterator[Batch]]  # batches from that step on


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What one step came to; `gradient` is its length before clipping."""

    step: int
    loss: float
    gradient: float
    rate: float
    tokens: int


class Trainable(Protocol):
    """What can be trained here: a `torch.nn.Module` with a configuration and a loss."""

    @property
    def config(self) -> BaseModel:
        """What it is built from; a checkpoint of another one is refused."""

    def loss(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return the mean cross entropy in nats; see `MixerLM.loss`."""

    def modules(self) -> Iterator[nn.Module]: ...  # noqa: D102 - torch's own, from here on
    def parameters(self) -> Iterator[nn.Parameter]: ...  # noqa: D102
    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...  # noqa: D102
    def state_dict(self) -> dict[str, Any]: ...  # noqa: D102
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...  # noqa: D102
    def train(self) -> Any: ...  # noqa: D102


Model = TypeVar("Model", bound=Trainable)


class Training(Generic[Model]):
    """A model on its way; `step` counts the batches it has seen."""

    def __init__(self, model: Model, options: TrainingOptions, batches: Batches) -> None:
        self.model, self.options = model, options
        self.step = 0
        self._batches = batches
        self._optimizer = torch.optim.AdamW(_groups(model, options), betas=options.betas)
        self._device = next(model.parameters()).device

    def run(
        self, each: Callable[[StepReport], None] | None = None, until: int | None = None
    ) -> None:
        """Train until step `until`, or to the end; tell `each` about every step.

        Raises:
            FloatingPointError: The loss or its gradient is not a number; the weights are those before that step.
            ValueError: The batches have come to an end before.
        """
        end = self.options.steps if until is None else min(until, self.options.steps)
        self.model.train()
        batches = self._batches(self.step) if self.step < end else iter(())
        while self.step < end:
            batch = next(batches, None)
            if batch is None:
                raise ValueError(f"the batches ended at step {self.step} of {end}")
            report = self._one(batch)
            if each is not None:
                each(report)

    def save(self, path: str | Path) -> None:
        """Write a checkpoint in place of what was there."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for kind, tensor in self._optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{kind}.{name}"] = tensor
        tensors["random.cpu"] = torch.get_rng_state()
        if self._device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self._device)
        tensors = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
        about = {"step": str(self.step), "options": self.options.model_dump_json()}
        about["config"] = self.model.config.model_dump_json()
        write_tensors(Path(path), tensors, about)

    def restore(self, path: str | Path) -> None:
        """Go on from a checkpoint of the same model and options; sets torch's random state.

        Raises:
            WeightsError: The file is missing or damaged, or from another model or other options.
        """
        path = Path(path)
        tensors = read_tensors(path, path.parent)
        step = self._checked_step(path)
        try:
            self._take(tensors)
        except (KeyError, RuntimeError) as error:
            raise _unfit(path, f"it lacks something of this model ({error})") from error
        self.step = step

    def _one(self, batch: Batch) -> StepReport:
        """Take one step down the gradient."""
        tokens, targets = batch if isinstance(batch, tuple) else (batch, None)
        length = self.options.length(self.step)
        tokens = tokens[:, :length].to(self._device)
        targets = None if targets is None else targets[:, :length].to(self._device)
        rate = self.options.rate(self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self.options.bf16):
            loss = self.model.loss(tokens, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        gradient = nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip).item()
        if not math.isfinite(gradient):
            self._optimizer.zero_grad()
            problem = f"loss {loss.item()}, gradient {gradient} at step {self.step}"
            raise FloatingPointError(f"{problem}: lower learning_rate or look at that batch")
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.step += 1
        return StepReport(
            step=self.step, loss=loss.item(), gradient=gradient, rate=rate, tokens=tokens.numel()
        )

    def _checked_step(self, path: Path) -> int:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
        mine = {"options": self.options.model_dump_json()}
        mine["config"] = self.model.config.model_dump_json()
        for what, text in mine.items():
            if json.loads(about.get(what, "null")) != json.loads(text):
                raise _unfit(path, f"its {what} are not those of this training")
        return int(about["step"])

    def _take(self, tensors: dict[str, Tensor]) -> None:
        """Put everything of a checkpoint in its place."""
        weights = {name: tensors[f"model.{name}"] for name in self.model.state_dict()}
        self.model.load_state_dict(weights)
        moments: dict[Tensor, dict[str, Tensor]] = {}
        for name, parameter in self.model.named_parameters():
            kinds = ("step", "exp_avg", "exp_avg_sq")
            found = {kind: tensors.get(f"optimizer.{kind}.{name}") for kind in kinds}
            kept = {kind: tensor for kind, tensor in found.items() if tensor is not None}
            on_device = {k: t if k == "step" else t.to(self._device) for k, t in kept.items()}
            if on_device:
                moments[parameter] = on_device
        self._optimizer.state.clear()
        self._optimizer.state.update(moments)
        torch.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors and self._device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"], self._device)


def _groups(model: Trainable, options: TrainingOptions) -> list[dict[str, object]]:
    """Return the parameters that decay and those that do not."""
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.RNNBase)]
    decaying = [p for layer in layers for p in layer.parameters(recurse=False) if p.dim() > 1]
    chosen = set(map(id, decaying))
    steady = [p for p in model.parameters() if id(p) not in chosen]
    return [
        {"params": decaying, "weight_decay": options.weight_decay, "lr": options.learning_rate},
        {"params": steady, "weight_decay": 0.0, "lr": options.learning_rate},
    ]


def _unfit(path: Path, problem: str) -> WeightsError:
    return WeightsError(model=str(path.parent), problem=f"checkpoint {path.name}: {problem}")
