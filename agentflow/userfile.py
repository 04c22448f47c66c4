"""Import a file of the user's own Python: a suite, a source of traces.

Owns that import. The file runs as the user's own code, outside of any sandbox; what it defines is found again by name.
"""

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def module_at(path: Path, kind: str) -> ModuleType:
    """Return the module of a file that is there; `kind` becomes part of its name.

    Raises:
        ImportError: Its code raised something; the message says what.
    """
    name = f"agentflow_{kind}_{hashlib.blake2b(str(path).encode(), digest_size=6).hexdigest()}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that what it defines can be found again by name
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's own code may raise anything
        raise ImportError(f"it cannot be imported: {type(error).__name__}: {error}") from error
    return module
