"""Capture a step on CUDA once and replay it without launching its kernels one by one.

Owns the ceremony around a CUDA graph. Knows nothing of models: the step must read and write fixed memory only.
Never run where these lines were written, for want of a GPU; the steps themselves are tested without being captured.
"""

from collections.abc import Callable

import torch

_WARM_UPS = 3  # lazy initialisation and autotuning must be over before a capture


def captured(step: Callable[[], None]) -> Callable[[], None]:
    """Return what replays the step; or the step itself when it cannot be captured.

    It is run a few times: what it changes, the caller puts back.
    """
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UPS):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            step()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # a step that asks the device something cannot be captured, only run
        torch.cuda.synchronize()
        return step
    return graph.replay
