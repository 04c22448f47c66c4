"""A transformer of the same size as a model of mixers, to compare it with: trained alike, served alike.

Owns how Llama (RoPE, SwiGLU, RMSNorm) of transformers is built from our sizes, and the Hugging Face folder it is
written to. Knows no training loop. Sequences are padded on the right only, so that no token sees padding and the
attention needs no mask but the causal one.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel
from typing_extensions import override

from agentflow.recurrent.mixers.folder import WEIGHTS, write_tensors
from agentflow.recurrent.mixers.model import IGNORED
from agentflow.training.student.transformer_config import TransformerConfig

__all__ = ["TransformerConfig", "TransformerLM", "save"]

INITIAL_STD = 0.02


class TransformerLM(nn.Module):
    """A causal language model that sees all tokens again for each one.

    It is the parts of `LlamaForCausalLM`, not the class: that holds tied embeddings twice, as a layer of its own too,
    which weight decay and checkpoints would take for two.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.body = LlamaModel(_llama(config))
        self.head: nn.Linear | None = None
        if not config.tied_embeddings:
            self.head = nn.Linear(config.d_model, config.vocabulary_size, bias=False)
            nn.init.normal_(self.head.weight, std=INITIAL_STD)

    @override
    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits for (sequences, tokens): (sequences, tokens, vocabulary) in float32."""
        return self._logits(self._read(tokens))

    def loss(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return the mean cross entropy in nats.

        Args:
            tokens: (sequences, tokens), at most `context` tokens.
            targets: What is to follow each token, of the same shape, -100 where it does not count; None for the
                next token, which takes at least two.
        """
        if targets is None:
            tokens, targets = tokens[:, :-1], tokens[:, 1:]
        if tokens.shape[1] > self.config.context:
            raise ValueError(f"{tokens.shape[1]} tokens do not fit into {self.config.context}")
        counts = targets != IGNORED
        return nn.functional.cross_entropy(
            self._logits(self._read(tokens)[counts]), targets[counts]
        )

    def parameter_count(self) -> int:
        """Return how many numbers are learnt."""
        return sum(parameter.numel() for parameter in self.parameters())

    def _read(self, tokens: Tensor) -> Tensor:
        x: Tensor = self.body(tokens, use_cache=False).last_hidden_state
        return x

    def _logits(self, x: Tensor) -> Tensor:
        weight = self.body.embed_tokens.weight if self.head is None else self.head.weight
        return nn.functional.linear(x, weight).float()


def save(model: TransformerLM, folder: str | Path) -> None:
    """Write a model as a Hugging Face folder, which is made if there is none; a tokenizer's files are the caller's."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.{name}": tensor for name, tensor in model.body.state_dict().items()}
    if model.head is not None:
        tensors["lm_head.weight"] = model.head.weight
    tensors = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
    write_tensors(folder / WEIGHTS, tensors, {"format": "pt"})
    about = _llama(model.config)
    about.architectures = ["LlamaForCausalLM"]
    about.dtype = next(model.parameters()).dtype
    about.save_pretrained(folder)


def _llama(config: TransformerConfig) -> LlamaConfig:
    about = LlamaConfig(
        vocab_size=config.vocabulary_size,
        hidden_size=config.d_model,
        intermediate_size=config.inner_width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        max_position_embeddings=config.context,
        tie_word_embeddings=config.tied_embeddings,
        attention_dropout=config.dropout,
        initializer_range=INITIAL_STD,
        # The end of a text is the tokenizer's to say.
        bos_token_id=None,
        eos_token_id=None,
        dtype=torch.float32,
    )
    about._attn_implementation = "sdpa"
    return about
