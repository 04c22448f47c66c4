"""Write folders of small random language models, as Hugging Face's are laid out.

Owns one small configuration per architecture and a tokenizer trained on the spot. The weights are large enough that
what a model has read changes its logits by whole standard deviations: with weights as initialised, a lost state
would hardly show.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY = 512
START, END, END_OF_TEXT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Kept beside the tests: with other tokens a model of random weights says other things.
PROSE = Path(__file__).with_name("prose.txt").read_text("utf-8").split("\f")

_SSM = {"vocab_size": VOCABULARY, "hidden_size": 64, "state_size": 16, "conv_kernel": 4}
_ATTENTION = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
_MAMBA2 = {
    **_ATTENTION,
    "mamba_d_state": 16,
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "mamba_n_heads": 8,
    "mamba_d_head": 16,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 8,
}
_LINEAR_THEN_FULL = ["linear_attention", "full_attention"]
_QWEN = {
    **_ATTENTION,
    "num_hidden_layers": 2,
    "head_dim": 16,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "layer_types": _LINEAR_THEN_FULL,
}
_EXPERTS = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
}

_CONFIGS: dict[str, Callable[[], Any]] = {
    "mamba": lambda: transformers.MambaConfig(**_SSM, num_hidden_layers=2),
    "falcon_mamba": lambda: transformers.FalconMambaConfig(**_SSM, num_hidden_layers=2),
    "mamba2": lambda: transformers.Mamba2Config(
        **_SSM,
        num_hidden_layers=2,
        expand=2,
        num_heads=8,
        head_dim=16,
        n_groups=2,
        chunk_size=8,
    ),
    "rwkv": lambda: transformers.RwkvConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        attention_hidden_size=64,
        num_hidden_layers=2,
        context_length=256,
        rescale_every=0,
    ),
    "xlstm": lambda: transformers.xLSTMConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        num_hidden_layers=2,
        num_blocks=2,
        num_heads=4,
        chunk_size=16,
        qk_dim_factor=0.5,
        v_dim_factor=1.0,
        mode="inference",
        chunkwise_kernel="chunkwise--native_autograd",
        sequence_kernel="native_sequence__native",
        step_kernel="native",
    ),
    "jamba": lambda: transformers.JambaConfig(
        **_ATTENTION,
        num_hidden_layers=2,
        num_experts=2,
        num_experts_per_tok=1,
        attn_layer_period=2,
        attn_layer_offset=1,
        expert_layer_period=2,
        expert_layer_offset=1,
        mamba_d_state=16,
        mamba_dt_rank=4,
    ),
    "zamba": lambda: transformers.ZambaConfig(
        **{**_ATTENTION, "num_key_value_heads": 4},
        num_hidden_layers=6,  # two shared blocks at least: their weights are tied
        n_mamba_heads=2,
        attn_layer_period=3,
        attn_layer_offset=2,
        mamba_d_state=16,
        mamba_dt_rank=4,
    ),
    "zamba2": lambda: transformers.Zamba2Config(
        **{**_ATTENTION, "num_key_value_heads": 4},
        num_hidden_layers=3,
        layers_block_type=["mamba", "mamba", "hybrid"],
        mamba_d_state=16,
        n_mamba_heads=8,
        mamba_headdim=16,
        mamba_ngroups=1,
        chunk_size=8,
        num_mem_blocks=1,
        adapter_rank=8,
    ),
    "bamba": lambda: transformers.BambaConfig(
        **_MAMBA2, num_hidden_layers=2, attn_layer_indices=[1]
    ),
    "falcon_h1": lambda: transformers.FalconH1Config(
        **_MAMBA2, num_hidden_layers=2, mamba_d_ssm=128
    ),
    "granitemoehybrid": lambda: transformers.GraniteMoeHybridConfig(
        **_MAMBA2,
        num_hidden_layers=2,
        layer_types=["mamba", "attention"],
        num_local_experts=4,
        num_experts_per_tok=2,
        shared_intermediate_size=64,
        position_embedding_type="nope",
    ),
    "lfm2": lambda: transformers.Lfm2Config(
        **_ATTENTION, num_hidden_layers=2, layer_types=["conv", "full_attention"]
    ),
    "qwen3_next": lambda: transformers.Qwen3NextConfig(**_QWEN, **_EXPERTS),
    "qwen3_5_text": lambda: transformers.Qwen3_5TextConfig(**_QWEN),
    "nemotron_h": lambda: transformers.NemotronHConfig(
        **_ATTENTION,
        layers_block_type=["mamba", "mlp", "attention"],
        head_dim=16,
        ssm_state_size=16,
        mamba_num_heads=8,
        mamba_head_dim=16,
        n_groups=2,
        chunk_size=8,
        conv_kernel=4,
    ),
    "olmo_hybrid": lambda: transformers.OlmoHybridConfig(
        **{**_ATTENTION, "num_key_value_heads": 4},
        num_hidden_layers=2,
        linear_num_key_heads=4,
        linear_num_value_heads=4,
        linear_key_head_dim=16,
        linear_value_head_dim=16,
        layer_types=_LINEAR_THEN_FULL,
        pad_token_id=None,
        eos_token_id=None,
    ),
    "kimi_linear": lambda: transformers.KimiLinearConfig(
        **{**_ATTENTION, "num_key_value_heads": 4},
        moe_intermediate_size=32,
        num_hidden_layers=2,
        kv_lora_rank=16,
        qk_rope_head_dim=8,
        v_head_dim=16,
        qk_nope_head_dim=16,
        num_local_experts=4,
        num_experts_per_tok=2,
        linear_head_dim=16,
        linear_num_heads=4,
        layer_types=_LINEAR_THEN_FULL,
        mlp_layer_types=["dense", "sparse"],
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    ),
    "minimax": lambda: transformers.MiniMaxConfig(
        **_ATTENTION,
        num_hidden_layers=2,
        head_dim=16,
        num_local_experts=4,
        num_experts_per_tok=2,
        block_size=16,
        layer_types=_LINEAR_THEN_FULL,
    ),
    "recurrent_gemma": lambda: transformers.RecurrentGemmaConfig(
        **{**_ATTENTION, "num_key_value_heads": 1},
        num_hidden_layers=3,
        lru_width=64,
        attention_window_size=64,
        head_dim=16,
        block_types=["recurrent", "recurrent", "attention"],
    ),
    "mistral_window": lambda: transformers.MistralConfig(
        **_ATTENTION, num_hidden_layers=2, sliding_window=6
    ),
}

ARCHITECTURES = tuple(
    name for name in _CONFIGS if name not in ("recurrent_gemma", "mistral_window")
)
"""The recurrent ones and hybrids that can be served from states."""


def model_folder(architecture: str, folder: Path, *, seed: int = 0) -> Path:
    """Write a model of random weights with its tokenizer; return the folder."""
    weights_folder(architecture, folder, seed=seed)
    small_tokenizer(folder)
    return folder


def weights_folder(architecture: str, folder: Path, *, seed: int = 0, **changes: object) -> Path:
    """Write config.json and model.safetensors; `changes` are set on the configuration."""
    transformers.utils.logging.disable_progress_bar()
    config = _CONFIGS[architecture]()
    for name, value in changes.items():
        setattr(config, name, value)
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    _enlarge(model, seed)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    return folder


def _enlarge(model: torch.nn.Module, seed: int) -> None:
    random = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim < 2 or "A_log" in name or "time_mix" in name:
                continue
            scale = 0.5 if "conv" in name else weight.shape[-1] ** -0.5
            weight.copy_(torch.randn(weight.shape, generator=random) * scale)


def small_tokenizer(folder: Path, *, template: bool = True) -> Path:
    """Train a byte-level tokenizer of at most `VOCABULARY` entries and write its files; return the folder."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(PROSE, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    described: dict[str, object] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": END,
        "pad_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1_000_000,
    }
    if template:
        described["chat_template"] = TEMPLATE
    (folder / "tokenizer_config.json").write_text(json.dumps(described), "utf-8")
    return folder
