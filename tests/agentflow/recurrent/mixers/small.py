"""Small models, and how far two results are apart."""

from typing import Any, get_args

import torch
from torch import Tensor

from agentflow.recurrent.mixers.config import MixerConfig, MixerName
from agentflow.recurrent.mixers.kinds import MIXERS
from agentflow.recurrent.mixers.mixer import Mixer
from agentflow.recurrent.mixers.model import MixerLM

NAMES: tuple[MixerName, ...] = get_args(MixerName)


def config(*layers: MixerName, **others: Any) -> MixerConfig:
    sizes = {"vocabulary_size": 29, "d_model": 24, "heads": 3, "state_size": 8, "householders": 2}
    return MixerConfig.model_validate(sizes | {"layers": layers} | others)


def lively(module: torch.nn.Module) -> None:
    """Make weights larger than at the start of a training, so that states matter."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.5).add_(0.1 * torch.randn_like(parameter))


def model(*layers: MixerName, seed: int = 0, **others: Any) -> MixerLM:
    torch.manual_seed(seed)
    made = MixerLM(config(*layers, **others)).eval()
    lively(made)
    return made


def mixer(name: MixerName, seed: int = 0, **others: Any) -> Mixer:
    torch.manual_seed(seed)
    made = MIXERS[name](config(name, **others))
    lively(made)
    return made


def distance(found: Tensor, right: Tensor) -> float:
    """Return the largest difference in standard deviations of what is right."""
    assert found.shape == right.shape
    return float(((found - right).abs().max() / right.std().clamp_min(1e-8)).detach())
