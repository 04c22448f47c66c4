"""Reports as a Parquet file, with pyarrow.

Owns the types of the columns: a column that holds nothing but unknowns has its type all the same, so that
files of several evaluations can be read together.
"""

import io
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from agentflow.errors import MissingExtraError
from agentflow_evals.reports.delimited import Line, Plain

_TEXT = "evaluation suite planner model group baseline test sample run status reason answer target"
_WHOLE = """planned counted missing errors refused samples solved common_samples left_out wins losses repeat
    steps reused_calls input_tokens output_tokens cached_tokens spent_tokens depth breadth"""
TEXT, WHOLE, TRUTH = frozenset(_TEXT.split()), frozenset(_WHOLE.split()), frozenset({"passed"})
MEANS = frozenset({"calls", "tokens", "expansions"})  # whole numbers of a run, means of a row


def parquet_bytes(lines: Sequence[Line]) -> bytes:
    """Return lines as a Parquet file.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtraError(feature="Parquet reports", extra="parquet") from error
    columns = {
        name: _column(arrow, name, [line[name] for line in lines])
        for name in (lines[0] if lines else ())
    }
    file = io.BytesIO()
    parquet.write_table(arrow.table(columns), file)
    return file.getvalue()


def _column(arrow: Any, name: str, values: Sequence[Plain]) -> Any:
    if name in TEXT:
        return arrow.array([_text(value) for value in values], arrow.string())
    if name in TRUTH:
        return arrow.array(values, arrow.bool_())
    whole = name in WHOLE or (name in MEANS and all(type(value) is int for value in values))
    return arrow.array(values, arrow.int64() if whole else arrow.float64())


def _text(value: Plain) -> str | None:
    """Return text without what is no Unicode character; a model's answer may hold halves of one."""
    return None if value is None else str(value).encode("utf-8", "replace").decode()
