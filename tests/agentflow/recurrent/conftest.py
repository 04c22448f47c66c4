"""Engines on real small models with random weights."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from agentflow.recurrent.engine import Engine
from agentflow.recurrent.options import EngineOptions
from tests.agentflow.recurrent.folders import model_folder

OpenEngine = Callable[..., Engine]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small models are slower with several threads, and tests run beside each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a model of some architecture, made once for all tests of a process."""
    made: dict[str, Path] = {}

    def folder(architecture: str) -> Path:
        if architecture not in made:
            made[architecture] = tmp_path_factory.mktemp(architecture)
            model_folder(architecture, made[architecture])
        return made[architecture]

    return folder


@pytest.fixture
def open_engine(folders: Callable[[str], Path]) -> Iterator[OpenEngine]:
    """Open engines that are closed after the test."""
    with ExitStack() as stack:

        def opened(architecture: str = "mamba2", **options: object) -> Engine:
            given = EngineOptions(**options)
            return stack.enter_context(Engine.open(folders(architecture), given))

        yield opened
