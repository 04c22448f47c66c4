"""Read with a causal language model of transformers, whichever way it wants its state handed in.

Owns the differences between these models: the name of the state, and what else their `forward` takes. Knows no
architecture by name; the signature of `forward` tells. Models of flash-linear-attention (GLA, DeltaNet, Gated DeltaNet,
DeltaProduct, RWKV-7) register with transformers and come through here too, on CUDA only; that has not been tried here.
"""

import inspect
from typing import Any

import torch
from torch import Tensor

from agentflow.errors import WeightsError
from agentflow.recurrent.states import walk

_STATES = ("past_key_values", "cache_params", "state")
_RECURRENT = ("recurrent_state", "rnn_state", "linear_cache")


class TransformersReader:
    """A `Reader` over a causal language model of transformers."""

    def __init__(self, network: Any, name: str) -> None:
        """Take a model in evaluation mode.

        Raises:
            WeightsError: The model takes no state, so it could only be read from the beginning each time.
        """
        self._network = network
        self.name = name
        weight = next(network.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        taken = inspect.signature(network.forward).parameters
        found = next((kind for kind in _STATES if kind in taken), None)
        if found is None:
            raise WeightsError(model=name, problem=f"{type(network).__name__} takes no state")
        self._state = found
        self._takes = frozenset(taken)
        self.takes_mask = "attention_mask" in taken
        self.vocabulary_size = int(network.get_input_embeddings().weight.shape[0])
        self.widens = self.dtype in (torch.bfloat16, torch.float16)

    @torch.no_grad()
    def read(
        self,
        tokens: Tensor,
        cache: Any,
        *,
        positions: Tensor,
        mask: Tensor | None = None,
        only_last: bool = False,
    ) -> tuple[Tensor, Any]:
        """Read tokens from a cache; see `Reader.read`."""
        named: dict[str, Any] = {self._state: cache, "use_cache": True, "return_dict": True}
        if "position_ids" in self._takes:
            named["position_ids"] = positions
        if mask is not None and self.takes_mask:
            named["attention_mask"] = mask
        if only_last and "logits_to_keep" in self._takes:
            named["logits_to_keep"] = 1
        output = self._network(input_ids=tokens, **named)
        after = getattr(output, self._state, None)
        if after is None:
            problem = (
                f"{type(self._network).__name__} hands no state back: it keeps it inside its layers, "
                "so it cannot be forked"
            )
            raise WeightsError(model=self.name, problem=problem)
        return output.logits, self._widened(after) if cache is None else after

    def _widened(self, cache: Any) -> Any:
        """Keep the recurrent part of a new state in float32: sums over a long text lose their end in half of it."""
        if not self.widens:
            return cache
        return walk.mapped(cache, _wide)


def _wide(path: str, tensor: Tensor) -> Tensor:
    is_recurrent = tensor.is_floating_point() and any(part in path for part in _RECURRENT)
    return tensor.float() if is_recurrent else tensor
