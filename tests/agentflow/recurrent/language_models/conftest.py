"""Models that tests share: one of each architecture, loaded once, and what it says to a whole text."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

from agentflow.recurrent.language_models.loading import load
from agentflow.recurrent.language_models.reading_model import ReadingModel
from tests.agentflow.recurrent.folders import VOCABULARY


@dataclass(frozen=True)
class Loaded:
    """A model as we load it, and the same weights as transformers alone reads them."""

    folder: Path
    model: ReadingModel
    _network: torch.nn.Module

    def whole(self, text: list[int]) -> Tensor:
        """Return the logits after each token when the text is read from its beginning."""
        with torch.no_grad():
            logits: Tensor = self._network(torch.tensor([text])).logits[0]
        return logits.float()


@pytest.fixture(scope="session")
def loaded(folders: Callable[[str], Path]) -> Callable[[str], Loaded]:
    known: dict[str, Loaded] = {}

    def get(architecture: str) -> Loaded:
        if architecture not in known:
            folder = folders(architecture)
            network = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
            known[architecture] = Loaded(folder, load(folder), network)
        return known[architecture]

    return get


def texts(count: int, length: int, seed: int = 7) -> list[list[int]]:
    random = torch.Generator().manual_seed(seed)
    found: list[list[int]] = torch.randint(
        0, VOCABULARY, (count, length), generator=random
    ).tolist()
    return found


def error(got: Tensor, want: Tensor) -> float:
    """Return the largest difference in standard deviations of what is right."""
    return float((got - want).abs().max() / want.std())
