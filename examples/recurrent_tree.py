"""Train a small recurrent model in seconds, serve it in this process, and branch: nothing is read twice.

Needs `pip install "agentflow[recurrent]"`. The model learns to count up or down in letters.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from agentflow.recurrent.engine import Engine
from agentflow.recurrent.mixers.folder import save
from agentflow.recurrent.mixers.model import MixerConfig, MixerLM
from agentflow.recurrent.mixers.training import Training, TrainingOptions
from agentflow.recurrent.requests import GenerationRequest

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["<unk>", "up", "down", *LETTERS]


def batches(_from_step: int) -> Iterator[torch.Tensor]:
    """Yield 32 sequences at a time: a direction, then letters in that order."""
    while True:
        start = torch.randint(len(LETTERS), (32, 1))
        is_up = torch.randint(2, (32, 1))
        letters = (start + (2 * is_up - 1) * torch.arange(16)) % len(LETTERS)
        yield torch.cat([2 - is_up, letters + 3], 1)


def trained(folder: Path) -> Path:
    """Train a model of two layers and write it with its tokenizer."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # tensors this small gain nothing from more
    config = MixerConfig(vocabulary_size=len(WORDS), d_model=64, layers=("gated_delta_net", "gru"))
    model = MixerLM(config)
    Training(model, TrainingOptions(steps=100, warmup_steps=20), batches).run()
    save(model, folder)
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>").save_pretrained(folder)
    return folder


def main() -> None:
    """Read a beginning once, and go on from it in three ways."""
    with tempfile.TemporaryDirectory() as place, Engine.open(trained(Path(place))) as engine:
        beginning = "up a b c d e f"
        for more in ("", " g h", " x y z"):
            prompt = engine.prompts.text(beginning + more)
            outcome = engine.submit(GenerationRequest(prompt=prompt, max_tokens=5)).wait()
            reused = f"{outcome.cached_tokens} of {outcome.prompt_tokens} tokens reused"
            print(f"{beginning}{more} -> {outcome.text}  ({reused})")


if __name__ == "__main__":
    main()
