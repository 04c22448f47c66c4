"""Start a jail: take the modules from descriptor 0 and run the zygote.

Owns how our modules come into a process that has no access to our files: this text is given on the
command line, the others come through the pipe. Each module gets a copy of the builtins, so that code
which replaces `len` replaces it for itself only.
"""

import builtins
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

PACKAGE = "agentflow.sandbox.workers.inside"


class Sent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports what the host sent."""

    def __init__(self, modules: dict[str, str]) -> None:
        self._modules = modules

    def find_spec(
        self, fullname: str, _path: object = None, _target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return how to import a module that was sent; None for any other."""
        if fullname not in self._modules:
            return None
        is_package = any(name.startswith(f"{fullname}.") for name in self._modules)
        return importlib.machinery.ModuleSpec(fullname, self, is_package=is_package)

    def create_module(self, _spec: importlib.machinery.ModuleSpec) -> None:
        """Leave the making of the module to Python."""

    def exec_module(self, module: ModuleType) -> None:
        """Run a module that was sent."""
        name = module.__name__
        vars(module)["__builtins__"] = dict(vars(builtins))
        code = compile(self._modules[name], f"<{name}>", "exec", dont_inherit=True)
        exec(code, vars(module))  # noqa: S102 - our own modules


@contextmanager
def cheap_forks() -> Iterator[None]:
    """Keep what is imported meanwhile from making forks dear.

    Modules register things to do after a fork, such as renewing locks: a process with one thread needs
    none of it, and it costs twice what the fork does. ssl, which asyncio can do without, is large.
    """
    register = os.register_at_fork
    os.register_at_fork = lambda **_hooks: None
    sys.modules["ssl"] = None  # type: ignore[assignment]
    yield
    del sys.modules["ssl"]
    os.register_at_fork = register


def _exactly(count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = os.read(0, count - len(data))
        if not chunk:
            os._exit(0)
        data += chunk
    return data


def start() -> None:
    """Take what was sent and serve."""
    sent: dict[str, Any] = json.loads(_exactly(int.from_bytes(_exactly(4), "big")))
    finder = Sent(sent["modules"])
    sys.meta_path.insert(0, finder)
    with cheap_forks():
        zygote = importlib.import_module(f"{PACKAGE}.zygote")
    sys.meta_path.remove(finder)
    zygote.main(sent["settings"])


if __name__ == "__main__":
    start()
