"""The Qwen2 architecture in PyTorch, its weights read from a GGUF file.

For experiments on machines without a GPU: many sequences are decoded at once, which llama.cpp's build
in the wheel does four to five times slower on two cores. Weights are dequantised to float32, so the
model is the catalogue's, up to rounding of activations.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

SLOTS = 64
MAX_TOKENS = 1536


@dataclass(frozen=True)
class Shape:
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    epsilon: float
    rope_base: float


class Qwen2:
    """A model and the keys and values of `SLOTS` sequences."""

    def __init__(self, path: Path) -> None:
        import gguf

        reader = gguf.GGUFReader(path)
        self._weights = {
            tensor.name: torch.from_numpy(
                gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy()
            ).float()
            for tensor in reader.tensors
        }
        self.shape = _shape(reader)
        self._fuse()
        self._pack()
        shape = self.shape
        room = (shape.layers, SLOTS, shape.kv_heads, MAX_TOKENS, shape.head_size)
        self.keys, self.values = torch.zeros(room), torch.zeros(room)
        steps = torch.arange(0, shape.head_size, 2).float() / shape.head_size
        angles = torch.outer(torch.arange(MAX_TOKENS).float(), 1.0 / shape.rope_base**steps)
        self._cos = torch.cat([angles.cos(), angles.cos()], -1)
        self._sin = torch.cat([angles.sin(), angles.sin()], -1)

    def copy(self, source: int, target: int, length: int) -> None:
        """Give a slot the first `length` positions of another."""
        for store in (self.keys, self.values):
            store[:, target, :, :length] = store[:, source, :, :length]

    @torch.inference_mode()
    def prefill(self, slot: int, tokens: list[int], start: int) -> Tensor:
        """Read `tokens` at positions from `start` on in one slot; return the last one's logits."""
        end = start + len(tokens)
        positions = torch.arange(start, end)
        mask = torch.arange(end)[None, :] <= positions[:, None]

        def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            self.keys[layer, slot, :, start:end] = key.transpose(0, 1)
            self.values[layer, slot, :, start:end] = value.transpose(0, 1)
            # Heads that share keys become rows of one product.
            rows = query.view(len(query), self.shape.kv_heads, -1, self.shape.head_size)
            found = _attended(
                rows.permute(1, 2, 0, 3),
                self.keys[layer, slot, :, None, :end],
                self.values[layer, slot, :, None, :end],
                mask,
            )
            return found.permute(2, 0, 1, 3)

        return self._forward(torch.tensor(tokens), positions, attend, last_only=True)

    @torch.inference_mode()
    def step(self, slots: list[int], tokens: list[int], lengths: list[int]) -> Tensor:
        """Read one token in each of the slots, at the position `lengths`; return all logits."""
        at, positions = torch.tensor(slots), torch.tensor(lengths)
        longest = max(lengths) + 1
        mask = (torch.arange(longest)[None, :] <= positions[:, None])[:, None, None, :]

        def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            self.keys[layer, at, :, positions] = key
            self.values[layer, at, :, positions] = value
            rows = query.view(len(slots), self.shape.kv_heads, -1, self.shape.head_size)
            known = (store[layer, at, :, :longest] for store in (self.keys, self.values))
            return _attended(rows, *known, mask)

        return self._forward(torch.tensor(tokens), positions, attend, last_only=False)

    def _forward(
        self, tokens: Tensor, positions: Tensor, attend: Any, *, last_only: bool
    ) -> Tensor:
        weights, shape = self._weights, self.shape
        hidden = weights["token_embd.weight"][tokens]
        cos, sin = self._cos[positions][:, None], self._sin[positions][:, None]
        heads = [shape.heads, shape.kv_heads, shape.kv_heads]
        for layer in range(shape.layers):
            name = f"blk.{layer}."
            normal = self._norm(hidden, weights[f"{name}attn_norm.weight"])
            joined = _linear(normal, weights[f"{name}qkv"], weights[f"{name}qkv_bias"])
            parts = joined.split([count * shape.head_size for count in heads], -1)
            query, key, value = (
                part.view(len(tokens), count, shape.head_size)
                for part, count in zip(parts, heads, strict=True)
            )
            query, key = query * cos + _turned(query) * sin, key * cos + _turned(key) * sin
            seen = attend(layer, query, key, value).reshape(len(tokens), -1)
            hidden = hidden + _linear(seen, weights[f"{name}attn_output.weight"])
            normal = self._norm(hidden, weights[f"{name}ffn_norm.weight"])
            gate, up = _linear(normal, weights[f"{name}gate_up"]).chunk(2, -1)
            hidden = hidden + _linear(functional.silu(gate) * up, weights[f"{name}ffn_down.weight"])
        hidden = self._norm(hidden[-1:] if last_only else hidden, weights["output_norm.weight"])
        return _linear(hidden, weights["head"])

    def _norm(self, hidden: Tensor, weight: Tensor) -> Tensor:
        scale = hidden.pow(2).mean(-1, keepdim=True).add(self.shape.epsilon).rsqrt()
        return hidden * scale * weight

    def _fuse(self) -> None:
        weights = self._weights
        for layer in range(self.shape.layers):
            name = f"blk.{layer}."
            for kind, joined in (("weight", "qkv"), ("bias", "qkv_bias")):
                parts = [weights.pop(f"{name}attn_{part}.{kind}") for part in "qkv"]
                weights[name + joined] = torch.cat(parts)
            parts = [weights.pop(f"{name}ffn_{part}.weight") for part in ("gate", "up")]
            weights[f"{name}gate_up"] = torch.cat(parts)

    def _pack(self) -> None:
        """Lay matrices out as oneDNN wants them; for a few rows at a time that is twice as fast."""
        weights = self._weights
        weights["head"] = weights.pop("output.weight", weights["token_embd.weight"])
        for name, weight in weights.items():
            if weight.dim() == 2 and name != "token_embd.weight":
                weights[name] = torch.ops.mkldnn._reorder_linear_weight(weight)


def _attended(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    scores = query @ keys.transpose(-1, -2) / query.shape[-1] ** 0.5
    return torch.softmax(scores.masked_fill(~mask, float("-inf")), -1) @ values


def _linear(hidden: Tensor, packed: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(hidden, packed, bias, "none", [], "")


def _turned(part: Tensor) -> Tensor:
    first, second = part.chunk(2, -1)
    return torch.cat([-second, first], -1)


def _shape(reader: Any) -> Shape:
    def field(name: str) -> Any:
        found = reader.fields[f"qwen2.{name}"]
        return found.parts[found.data[0]][0].item()

    heads = field("attention.head_count")
    return Shape(
        layers=field("block_count"),
        heads=heads,
        kv_heads=field("attention.head_count_kv"),
        head_size=field("embedding_length") // heads,
        epsilon=field("attention.layer_norm_rms_epsilon"),
        rope_base=field("rope.freq_base"),
    )
