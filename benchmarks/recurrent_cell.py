"""Run one peer on one workload in this process and print what it took as JSON, on the last line.

Started by benchmarks.recurrent, also with another environment's Python: it imports nothing but the
standard library before the peer is chosen.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.recurrent_workloads import Peer, Workload, drive, workloads


def _ours(options: argparse.Namespace, _workload: Workload) -> Peer:
    from benchmarks.recurrent_ours import Ours

    return Ours(options.model, rows=options.rows)


def _transformers(options: argparse.Namespace, _workload: Workload, *, rows: int = 0) -> Peer:
    from benchmarks.recurrent_transformers import Transformers

    return Transformers(options.model, rows=rows or options.rows or 8, sample=options.sample)


def _one_by_one(options: argparse.Namespace, workload: Workload) -> Peer:
    return _transformers(options, workload, rows=1)


def _vllm(options: argparse.Namespace, workload: Workload, *, warms: bool = False) -> Peer:
    from benchmarks.recurrent_vllm import Vllm

    more = json.loads(options.vllm_options)
    longest = workload.longest
    return Vllm(options.model, rows=options.rows or 32, warms=warms, longest=longest, **more)


def _vllm_warmed(options: argparse.Namespace, workload: Workload) -> Peer:
    return _vllm(options, workload, warms=True)


def _vllm_dense(options: argparse.Namespace, workload: Workload, **more: int) -> Peer:
    given = json.loads(options.vllm_options)
    options.vllm_options = json.dumps({"prefix_cache_retention_interval": None} | more | given)
    return _vllm(options, workload)


def _vllm_finest(options: argparse.Namespace, workload: Workload) -> Peer:
    return _vllm_dense(options, workload, prefix_match_unit=32)


def _llama(options: argparse.Namespace, workload: Workload) -> Peer:
    from benchmarks.recurrent_llama import Llama

    return Llama(options.model, rows=options.rows or 8, longest=workload.longest)


PEERS: dict[str, Callable[[argparse.Namespace, Workload], Peer]] = {
    "agentflow": _ours,
    "transformers": _transformers,
    "transformers-one-by-one": _one_by_one,
    "vllm": _vllm,
    "vllm-warmed": _vllm_warmed,
    "vllm-dense": _vllm_dense,
    "vllm-finest": _vllm_finest,
    "llama.cpp": _llama,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("workload")
    parser.add_argument("model", type=Path)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--notes", type=Path)
    parser.add_argument("--vllm-options", default="{}")
    options = parser.parse_args()
    workload = workloads(quick=options.quick)[options.workload]
    try:
        peer = PEERS[options.peer](options, workload)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("agentflow", "benchmarks"):
            raise  # a module of ours is broken, not missing
        print(json.dumps({"missing": error.name}))
        return
    except NotImplementedError as error:
        print(json.dumps({"left_out": str(error)}))
        return
    started_s = time.perf_counter()
    about = {"peer": options.peer, "model": options.model.name, "workload": workload.name}
    told = drive(peer, workload, options.notes, about)
    told |= {"facts": peer.facts(), "cell_s": time.perf_counter() - started_s}
    print(json.dumps(told), flush=True)
    peer.close()
    sys.stdout.flush()
    os._exit(0)  # servers in this process leave threads behind


if __name__ == "__main__":
    main()
