"""Which engine can run which workload, in which configurations.

Owns the list of cells. Imports no engine: a cell does, in a process of its own.
"""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from benchmarks.workloads import Shape, Workload

EVERY: tuple[Shape, ...] = ("chain", "typed", "fan", "tree", "chains")
UNTYPED: tuple[Shape, ...] = ("chain", "fan", "tree", "chains")
WITHOUT_NESTING: tuple[Shape, ...] = ("chain", "typed", "fan")

RESULT = "every result"  # a step's result is stored before its caller goes on
LATER = "soon after"  # stored while the run goes on
END = "the end"  # stored when the run ends
NOTHING = "nothing"  # gone with the process


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An engine in one configuration. `stores` says when a result is in a file."""

    family: str
    configuration: str
    module: str
    stores: str
    shapes: tuple[Shape, ...] = EVERY

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.family}, {self.configuration}"

    def runs(self, workload: Workload) -> bool:
        """Tell whether there is such a cell; only our own resumption is measured."""
        if workload.resumed:
            return self is OURS
        return workload.shape in self.shapes

    def load(self) -> ModuleType:
        """Import the peer's module, and the engine with it.

        Raises:
            ImportError: The engine is not installed.
        """
        return import_module(f"benchmarks.peers.{self.module}")


def missing_peer(error: ModuleNotFoundError) -> str:
    """Return the name of what is not installed.

    Raises:
        ModuleNotFoundError: It is a module of ours: that is broken, not missing.
    """
    if error.name is None or error.name.partition(".")[0] in ("agentflow", "benchmarks"):
        raise error
    return error.name


def _engine(
    family: str, module: str, configuration: str, stores: str, shapes: tuple[Shape, ...] = EVERY
) -> Engine:
    return Engine(
        family=family, configuration=configuration, module=module, stores=stores, shapes=shapes
    )


def _langgraph(
    family: str, module: str, synced: str, sync_shapes: tuple[Shape, ...]
) -> list[Engine]:
    stores = {"sync": synced, "async": LATER, "exit": END}
    return [
        *(_engine(family, module, name, NOTHING) for name in ("none", "memory")),
        *(_engine(family, module, f"aiosqlite {mode}", when) for mode, when in stores.items()),
        *(
            _engine(family, module, f"sqlite {mode}", when, sync_shapes)
            for mode, when in stores.items()
        ),
    ]


OURS = _engine("agentflow", "agentflow_engine", "results", RESULT)

ENGINES = (
    OURS,
    _engine("agentflow", "agentflow_engine", "behind", LATER),
    _engine("agentflow", "agentflow_engine", "memory", NOTHING),
    _engine("bare", "bare", "group commit", RESULT),
    _engine("bare", "bare", "asyncio only", NOTHING),
    *_langgraph("langgraph-graph", "langgraph_graph", RESULT, (*WITHOUT_NESTING, "tree")),
    # Its tasks' results are written in the background, even with `sync`: see the docs.
    *_langgraph("langgraph-functional", "langgraph_functional", LATER, WITHOUT_NESTING),
    _engine("dbos", "dbos_engine", "sync", RESULT, ("chain", "typed")),
    _engine("dbos", "dbos_engine", "async", RESULT),
    _engine("dbos", "dbos_engine", "child workflows", RESULT, ("tree", "chains")),
    _engine("pydantic-graph", "pydantic_graph_engine", "memory", NOTHING),
    _engine("burr", "burr_engine", "none", NOTHING, UNTYPED),
    _engine("burr", "burr_engine", "sqlite", RESULT, ("chain",)),
    _engine("burr", "burr_engine", "aiosqlite", RESULT, UNTYPED),
)
FAMILIES = tuple(dict.fromkeys(engine.family for engine in ENGINES))
