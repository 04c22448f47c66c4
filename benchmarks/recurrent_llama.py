"""llama.cpp as a peer, where the architecture can be converted from our random weights.

Owns the conversion of Mamba and Mamba-2 to GGUF, in 32 bits like everyone else's weights. The server
has a slot a row, one thread, and keeps prompts in memory as far as it can; it chooses the slots.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from time import perf_counter, process_time
from typing import Any
from urllib.request import Request, urlopen

import gguf  # type: ignore[import-not-found]
import numpy as np
import xllamacpp
from safetensors.numpy import load_file

from benchmarks.recurrent_workloads import Ask, Tokens, Wave

CACHE_MB, CHECKPOINTS = 8_192, 64
PARTS = {  # of a layer, in safetensors and in GGUF
    "norm.weight": "attn_norm.weight",
    "mixer.in_proj.weight": "ssm_in.weight",
    "mixer.conv1d.weight": "ssm_conv1d.weight",
    "mixer.conv1d.bias": "ssm_conv1d.bias",
    "mixer.x_proj.weight": "ssm_x.weight",
    "mixer.dt_proj.weight": "ssm_dt.weight",
    "mixer.dt_proj.bias": "ssm_dt.bias",
    "mixer.dt_bias": "ssm_dt.bias",
    "mixer.A_log": "ssm_a",
    "mixer.D": "ssm_d",
    "mixer.norm.weight": "ssm_norm.weight",
    "mixer.out_proj.weight": "ssm_out.weight",
}
ENDS = {
    "backbone.embeddings.weight": "token_embd.weight",
    "backbone.norm_f.weight": "output_norm.weight",
}


class Llama:
    def __init__(self, folder: Path, *, rows: int, longest: int) -> None:
        self._rows = rows
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(_converted(folder))
        parameters.n_parallel = rows
        parameters.n_ctx = rows * (longest + 64)
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
        parameters.cache_prompt, parameters.cache_ram_mib = True, CACHE_MB
        parameters.n_ctx_checkpoints, parameters.checkpoint_min_step = CHECKPOINTS, 0
        parameters.verbosity = -1
        self._key = token_hex(32)
        parameters.api_keys = [self._key]
        self._server = xllamacpp.Server(parameters)

    def wave(self, asks: list[Ask], generated: int) -> Wave:
        started_s, wall_s = process_time(), perf_counter()
        with ThreadPoolExecutor(self._rows) as pool:
            told = list(pool.map(lambda ask: self._ask(ask, generated), asks))
        return Wave(
            replies=[reply for reply, _ in told],
            prefilled_tokens=sum(read for _, read in told),
            total_s=process_time() - started_s,
            wall_s=perf_counter() - wall_s,
        )

    def _ask(self, ask: Ask, generated: int) -> tuple[Tokens, int]:
        body = {
            "prompt": list(ask.tokens),
            "n_predict": generated,
            "temperature": 0,
            "ignore_eos": True,
            "cache_prompt": True,
            "return_tokens": True,
        }
        asked = Request(  # its own form: that of OpenAI tells no token ids
            f"{self._server.listening_address}/completion",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        with urlopen(asked) as answer:
            told = json.load(answer)
        return tuple(told["tokens"]), told["timings"]["prompt_n"]

    def facts(self) -> dict[str, Any]:
        return {"version": version("xllamacpp"), "rows": self._rows, "cache_mb": CACHE_MB}

    def close(self) -> None:
        """It ends with the process."""


def _converted(folder: Path) -> Path:
    """Write the model as GGUF, unless it is there.

    Raises:
        NotImplementedError: There is no conversion for the architecture here.
    """
    configuration = json.loads((folder / "config.json").read_text())
    architecture = configuration["model_type"]
    if architecture not in ("mamba", "mamba2"):
        raise NotImplementedError(f"{architecture} is not converted to GGUF here")
    target = folder / "model.gguf"
    if not target.exists():
        writer = gguf.GGUFWriter(target.with_suffix(".part"), architecture)
        _write_shape(writer, configuration)
        _write_tokenizer(writer, folder)
        for name, weights in load_file(folder / "model.safetensors").items():
            writer.add_tensor(*_tensor(name, weights, configuration))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        target.with_suffix(".part").rename(target)
    return target


def _write_shape(writer: Any, configuration: dict[str, Any]) -> None:
    inner = configuration["expand"] * configuration["hidden_size"]
    ranks = {"mamba": "time_step_rank", "mamba2": "num_heads"}
    writer.add_context_length(2**20)
    writer.add_embedding_length(configuration["hidden_size"])
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_block_count(configuration["num_hidden_layers"])
    writer.add_ssm_conv_kernel(configuration["conv_kernel"])
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(configuration["state_size"])
    writer.add_ssm_time_step_rank(configuration[ranks[configuration["model_type"]]])
    if "n_groups" in configuration:
        writer.add_ssm_group_count(configuration["n_groups"])
    writer.add_layer_norm_rms_eps(configuration["layer_norm_epsilon"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def _write_tokenizer(writer: Any, folder: Path) -> None:
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    words = sorted(model["vocab"], key=model["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(words)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(words))
    pairs = (pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"])
    writer.add_token_merges(list(pairs))
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)


def _tensor(name: str, weights: Any, configuration: dict[str, Any]) -> tuple[str, Any]:
    """Return the name and the values that GGUF has for a tensor of transformers'."""
    weights = weights.astype(np.float32)
    if name in ENDS:
        return ENDS[name], weights
    _, _, layer, part = name.split(".", 3)
    if part == "mixer.A_log":
        weights = -np.exp(weights)
    if part == "mixer.conv1d.weight":
        weights = weights[:, 0, :]
    if configuration["model_type"] == "mamba2":
        if part in ("mixer.A_log", "mixer.D"):
            weights = weights[:, None]
        if part == "mixer.norm.weight":
            weights = weights.reshape(configuration["n_groups"], -1)
    return f"blk.{layer}.{PARTS[part]}", np.ascontiguousarray(weights)
