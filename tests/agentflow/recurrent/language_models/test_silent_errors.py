"""What transformers reads wrongly without an error is found by the probe, and worked around."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from agentflow.errors import WeightsError
from agentflow.recurrent.language_models.loading import load
from agentflow.recurrent.language_models.probe import probe
from tests.agentflow.recurrent.folders import weights_folder
from tests.agentflow.recurrent.language_models.conftest import Loaded, error, texts
from tests.agentflow.recurrent.language_models.test_architectures import TOLERANCE, join_and_leave

Load = Callable[[str], Loaded]
MAMBA1 = ("mamba", "falcon_mamba", "jamba", "zamba")


@pytest.mark.parametrize("architecture", MAMBA1)
def test_mamba1_unrepaired_is_found_out_and_read_token_by_token(
    architecture: str, loaded: Load
) -> None:
    it = loaded(architecture)
    unrepaired = load(it.folder, repairs=False)
    assert (unrepaired.abilities.continues, unrepaired.abilities.stacks) == (False, True)
    assert any("one by one" in note for note in unrepaired.abilities.notes)
    (text,) = texts(1, 30)
    _, state = unrepaired.extend(text[:20], None)
    logits, _ = unrepaired.extend(text[20:], state)
    assert error(logits, it.whole(text)[-1]) < TOLERANCE


@pytest.mark.parametrize("architecture", MAMBA1)
def test_mamba1_in_half_precision_is_found_out_too(architecture: str, loaded: Load) -> None:
    folder = loaded(architecture).folder
    assert not load(folder, dtype="bf16", repairs=False).abilities.continues
    assert load(folder, dtype="bf16").abilities.continues


def test_rwkv4_unrepaired_is_found_out_and_decoded_row_by_row(loaded: Load) -> None:
    it = loaded("rwkv")
    unrepaired = load(it.folder, repairs=False)
    assert (unrepaired.abilities.continues, unrepaired.abilities.stacks) == (True, False)
    assert any("alone" in note for note in unrepaired.abilities.notes)
    assert join_and_leave(it, unrepaired.batch()) < TOLERANCE


def test_minimax_is_found_out_in_both(loaded: Load) -> None:
    abilities = loaded("minimax").model.abilities
    assert (abilities.continues, abilities.stacks) == (False, False)


def test_padding_that_changes_the_state_is_noted(loaded: Load) -> None:
    assert any("padding" in note for note in loaded("rwkv").model.abilities.notes)
    assert not loaded("mamba2").model.abilities.notes


def test_a_model_that_hides_its_state_is_refused(tmp_path: Path) -> None:
    folder = weights_folder("recurrent_gemma", tmp_path)
    with pytest.raises(WeightsError, match="keeps it inside its layers"):
        load(folder)


def test_a_sliding_window_is_never_stacked(tmp_path: Path) -> None:
    folder = weights_folder("mistral_window", tmp_path)
    model = load(folder)
    assert not model.abilities.stacks
    assert any("sliding window" in note for note in model.abilities.notes)


@pytest.mark.parametrize("architecture", ["mamba2", "qwen3_5_text", "xlstm"])
def test_half_precision_keeps_the_recurrent_state_in_float32(
    architecture: str, loaded: Load
) -> None:
    model = load(loaded(architecture).folder, dtype="bf16")
    _, state = model.extend([1, 2, 3], None)
    logits, state = model.extend([4], state)
    assert logits.dtype == torch.float32
    kept = dict(_recurrent(state.cache))
    assert kept
    assert set(kept.values()) == {torch.float32}


def _recurrent(cache: object) -> list[tuple[str, torch.dtype]]:
    from agentflow.recurrent.states.walk import tensors

    named = ("recurrent_states", "rnn_state")
    return [(path, t.dtype) for path, t in tensors(cache) if any(name in path for name in named)]


def test_a_model_that_ignores_its_state_is_not_believed(loaded: Load) -> None:
    found = probe(Forgetful(loaded("mamba2")))
    assert (found.abilities.continues, found.abilities.stacks) == (False, False)
    assert "could not tell" in found.abilities.notes[0]


def test_a_model_whose_steps_are_wrong_is_refused(loaded: Load) -> None:
    with pytest.raises(WeightsError, match="cannot be served from states"):
        probe(Drifting(loaded("mamba2")))


class Forgetful:
    """Answers from the newest token alone, so whatever is done to its state seems right."""

    takes_mask = False

    def __init__(self, it: Loaded) -> None:
        self.inner = it.model.reader
        self.name, self.vocabulary_size = self.inner.name, self.inner.vocabulary_size
        self.device, self.dtype = self.inner.device, self.inner.dtype

    def read(
        self, tokens: torch.Tensor, cache: object, *, only_last: bool = False, **_: object
    ) -> tuple[torch.Tensor, object]:
        del cache
        rows, count = tokens.shape
        each = tokens.reshape(-1, 1)
        alone, _ = self.inner.read(each, None, positions=torch.zeros_like(each))
        logits = alone.reshape(rows, count, -1)
        return (logits[:, -1:] if only_last else logits), {"s": torch.zeros(rows, 1)}


class Drifting(Forgetful):
    """Counts how often it was asked: a text in one go and token by token are not the same."""

    def read(
        self, tokens: torch.Tensor, cache: object, *, only_last: bool = False, **_: object
    ) -> tuple[torch.Tensor, object]:
        logits, after = super().read(tokens, None, only_last=only_last)
        calls = 1 + (cache["calls"] if isinstance(cache, dict) else 0)
        after = {"calls": calls, "s": torch.zeros(len(tokens), 1)}
        return logits.roll(calls, -1), after
