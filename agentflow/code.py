"""Which code a flow or tool is.

Owns the hash by which a resume notices that a function has changed. It covers what the compiler made
of the function itself (so comments and layout do not count) and nothing that the function calls;
`version=` says more. Codes of different Pythons cannot be compared and are marked with theirs.
"""

import hashlib
import sys
from collections.abc import Callable
from types import CodeType
from typing import Any


def target_of(function: Callable[..., Any]) -> str:
    """Return where a function can be imported from, as `module:name`."""
    return f"{function.__module__}:{function.__qualname__}"


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
