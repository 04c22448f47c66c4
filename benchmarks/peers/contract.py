"""What a peer's module offers to the benchmark.

    opened(configuration, folder, workload)

An async context manager: on entry everything is set up that can be set up once (store, tables,
compiled graph); it yields `Once`, which runs the workload one time and returns its result. What the
engine keeps lies in `folder`. A module imports its engine at the top: the command never imports it.
"""

from collections.abc import Awaitable, Callable

Once = Callable[[], Awaitable[int]]
