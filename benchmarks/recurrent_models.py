"""Write folders of models with random weights, as large as those that agents keep at hand.

Owns the configurations. A folder is one that transformers, vLLM and we load alike: configuration,
safetensors, and a byte-level tokenizer whose merges are pairs of bytes, since no token means anything.
"""

import json
from collections.abc import Callable
from itertools import islice, product
from pathlib import Path
from typing import Any

VOCABULARY = 8_192
CONTEXT = 8_192
DONE = "benchmark.json"  # written last: a folder without it is half a folder


def build(name: str, folder: Path) -> Path:
    """Write the folder of a model, unless it is there, and return it.

    Raises:
        ImportError: torch or transformers is not installed.
    """
    target = folder / name
    if (target / DONE).exists():
        return target
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    if name in MIXERS:
        model = _write_mixers(*MIXERS[name], target)
    else:
        configuration = MODELS[name](transformers)
        model = transformers.AutoModelForCausalLM.from_config(configuration, dtype=torch.float32)
        _stir(model, torch)
        model.save_pretrained(target)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=_tokenizer())
    tokenizer.save_pretrained(target)
    weights = sum(parameter.numel() for parameter in model.parameters())
    (target / DONE).write_text(json.dumps({"parameters": weights}))
    return target


def _stir(model: Any, torch: Any) -> None:
    """Make matrices large enough for the state to matter: else all logits are nearly equal."""
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if weight.ndim == 2 and "embed" not in key and "A_log" not in key:
                weight.normal_(0.0, weight.shape[1] ** -0.5)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = list(islice(product(letters, letters), VOCABULARY - len(letters)))
    words = [*letters, *(first + second for first, second in pairs)]
    bytes_ = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, pairs))
    bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_.decoder = decoders.ByteLevel()
    return bytes_


def _mamba(width: int, layers: int) -> Callable[[Any], Any]:
    return lambda transformers: transformers.MambaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=layers,
        state_size=16,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )


def _mamba2(width: int, layers: int, state: int) -> Callable[[Any], Any]:
    return lambda transformers: transformers.Mamba2Config(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=layers,
        state_size=state,
        expand=2,
        head_dim=64,
        num_heads=2 * width // 64,
        n_groups=1,
        chunk_size=64,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )


def _write_mixers(width: int, layers: int, folder: Path) -> Any:
    """Write a model of gated delta rules alone: transformers cannot run one without attention."""
    from agentflow.recurrent.mixers.config import MixerConfig
    from agentflow.recurrent.mixers.folder import save
    from agentflow.recurrent.mixers.model import MixerLM

    configuration = MixerConfig(
        vocabulary_size=VOCABULARY,
        d_model=width,
        layers=("gated_delta_net",) * layers,
        heads=width // 64,
    )
    model = MixerLM(configuration)
    save(model, folder)
    return model


def _gated_delta_net(width: int, layers: int) -> Callable[[Any], Any]:
    heads = width // 64
    kinds = (["linear_attention"] * 3 + ["full_attention"]) * (layers // 4)
    return lambda transformers: transformers.Qwen3_5TextConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=2,
        head_dim=64,
        linear_key_head_dim=64,
        linear_value_head_dim=64,
        linear_num_key_heads=heads,
        linear_num_value_heads=heads,
        layer_types=kinds,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
    )


MODELS: dict[str, Callable[[Any], Any]] = {
    "mamba2-27m": _mamba2(512, 14, 64),
    "gdn-38m": _gated_delta_net(512, 12),
    "mamba-28m": _mamba(512, 14),
    "mamba2-127m": _mamba2(768, 32, 128),
    "gdn-144m": _gated_delta_net(896, 16),
    "mamba2-1300m": _mamba2(2_048, 48, 128),
    "mamba2-tiny": _mamba2(128, 2, 32),
    "gdn-tiny": _gated_delta_net(128, 4),
}
MIXERS = {  # width and layers
    "deltanet-39m": (512, 12),
    "deltanet-149m": (896, 16),
    "deltanet-1500m": (2_048, 32),
}
