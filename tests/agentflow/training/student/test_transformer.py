"""A transformer to compare with learns like a model of mixers and is served like any model of Hugging Face's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from transformers import AutoModelForCausalLM

from agentflow.models.protocol import Message, Request
from agentflow.models.registry import open_model, parse_spec
from agentflow.recurrent import provider
from agentflow.recurrent.mixers.folder import read_tensors, write_tensors
from agentflow.recurrent.text.prompts import Prompts
from agentflow.recurrent.text.tokenizer import Tokenizer
from agentflow.training.student.transformer import TransformerConfig, TransformerLM, save
from tests.agentflow.recurrent.folders import VOCABULARY, small_tokenizer

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _engines_end() -> Iterator[None]:
    yield
    provider.close_engines()


def config(**changes: object) -> TransformerConfig:
    sizes = {"vocabulary_size": VOCABULARY, "d_model": 32, "layers": 2, "heads": 2, "context": 256}
    return TransformerConfig.model_validate(sizes | changes)


def network(**changes: object) -> TransformerLM:
    """Return one whose weights are large enough for what it has read to matter."""
    torch.manual_seed(0)
    made = TransformerLM(config(**changes)).eval()
    with torch.no_grad():
        for weight in made.parameters():
            if weight.dim() == 2:
                weight.normal_(std=weight.shape[-1] ** -0.5)
    return made


def some(rows: int, tokens: int) -> Tensor:
    return torch.randint(0, VOCABULARY, (rows, tokens), generator=torch.Generator().manual_seed(1))


async def test_a_written_folder_says_through_the_engine_what_the_network_finds_likeliest(
    tmp_path: Path,
) -> None:
    model = network()
    save(model, small_tokenizer(tmp_path))
    tokenizer = Tokenizer.load(tmp_path)
    prompt = Prompts(tokenizer).build([{"role": "user", "content": "Say something."}])
    read = list(prompt.tokens)
    with torch.inference_mode():
        for _token in range(12):
            read.append(int(model(torch.tensor([read]))[0, -1].argmax()))
    reply = read[len(prompt.tokens) :]
    assert not tokenizer.end_tokens.intersection(reply)
    assert len(set(reply)) > 3
    asked = Request(messages=(Message(role="user", text="Say something."),), max_tokens=12)
    opened = open_model(parse_spec(f"recurrent:{tmp_path}"))
    told = await opened.complete(asked, lambda _text: None)
    assert (told.text, told.usage.output_tokens) == (tokenizer.decode(reply), 12)


@pytest.mark.parametrize("is_tied", [True, False])
def test_transformers_reads_the_same_llama_from_the_folder(tmp_path: Path, is_tied: bool) -> None:
    model = network(tied_embeddings=is_tied)
    save(model, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert type(theirs).__name__ == "LlamaForCausalLM"
    assert theirs.num_parameters() == model.parameter_count()
    with torch.inference_mode():
        torch.testing.assert_close(model(some(2, 20)), theirs(some(2, 20)).logits)


def test_half_precision_is_kept_in_the_folder(tmp_path: Path) -> None:
    save(network().half(), tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto")
    assert theirs.dtype == torch.float16


def test_targets_say_what_follows_and_which_count() -> None:
    model, tokens = network(), some(2, 9)
    following = tokens[:, 1:].clone()
    torch.testing.assert_close(model.loss(tokens[:, :-1], following), model.loss(tokens))
    following[:, 5:] = -100
    torch.testing.assert_close(model.loss(tokens[:, :-1], following), model.loss(tokens[:, :6]))


def test_padding_on_the_right_is_seen_by_no_token() -> None:
    model, tokens = network(), some(1, 12)
    other = tokens.clone()
    other[:, 7:] = 0
    with torch.inference_mode():
        torch.testing.assert_close(model(tokens)[:, :7], model(other)[:, :7])


def test_it_begins_small_and_learns_by_heart() -> None:
    torch.manual_seed(0)
    model = TransformerLM(config())
    deviations = [weight.std().item() for weight in model.parameters() if weight.dim() == 2]
    assert deviations == pytest.approx([0.02] * len(deviations), rel=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    before = model.loss(some(2, 16)).item()
    for _step in range(40):
        optimizer.zero_grad()
        model.loss(some(2, 16)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert model.loss(some(2, 16)).item() < before / 10


def test_a_checkpoint_holds_each_weight_once(tmp_path: Path) -> None:
    model = network()
    write_tensors(tmp_path / "checkpoint.safetensors", dict(model.state_dict()), {})
    kept = read_tensors(tmp_path / "checkpoint.safetensors", tmp_path)
    assert sum(tensor.numel() for tensor in kept.values()) == model.parameter_count()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"heads": 3}, "heads: 3 does not divide d_model 32"),
        ({"heads": 32}, "into even widths"),
        ({"feed_forward": 0.01}, "feed_forward: 0.01 of d_model 32 is none"),
        ({"layers": ["gru"]}, "valid integer"),
        ({"width": 3}, "not permitted"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        config(**changes)


def test_more_tokens_than_the_context_are_refused() -> None:
    with pytest.raises(ValueError, match="9 tokens do not fit into 8"):
        network(context=8).loss(some(1, 10))
