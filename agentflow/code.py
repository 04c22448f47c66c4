"""Which code a flow or tool is.

Owns the hash by which a resume notices that a function has changed. It covers what the compiler made
of the function itself (so comments and layout do not count) and nothing that the function calls;
`version=` says more. Codes of different Pythons cannot be compared and are marked with theirs.
"""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any


def target_of(function: Callable[..., Any]) -> str:
    """Return where a function can be imported from, as `module:name`.

    What a script defines is named by the script's file, so that other processes can import it.
    """
    module = function.__module__
    return f"{_script() if module == '__main__' else module}:{function.__qualname__}"


def loaded(module: str) -> ModuleType | None:
    """Return a module of that name if it is loaded, also as the script that is running."""
    if module == _script():
        return sys.modules["__main__"]
    return sys.modules.get(module)


def _script() -> str:
    """Return the name under which the running script could be imported; `__main__` without a file."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:  # python -m
        return str(spec.name)
    file = getattr(main, "__file__", None)
    return "__main__" if file is None else Path(file).stem


def code_hash(function: Callable[..., Any]) -> str:
    """Return the Python's version and a hash of the function's code, such as `3.11:9f2c...`."""
    code = getattr(function, "__code__", None)
    return text_hash(function.__qualname__ if code is None else _described(code))


def text_hash(text: str) -> str:
    """Return the same for a description of something that is no function."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"{python}:{hashlib.blake2b(text.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"


def _described(code: CodeType) -> str:
    constants = [_constant(value) for value in code.co_consts]
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return f"{code.co_code.hex()} {constants} {names}"


def _constant(value: object) -> str:
    if isinstance(value, CodeType):
        return _described(value)
    if isinstance(value, frozenset):  # its order differs from process to process
        return f"frozenset({sorted(map(repr, value))})"
    return repr(value)
