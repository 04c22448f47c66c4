"""Reports as rows of plain values, in CSV and JSON lines.

Owns the columns, their names and types; Parquet has the same. What is not known is empty, never 0. Text
that a spreadsheet would take for a formula gets an apostrophe in front, in CSV alone.
"""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence

from agentflow.data import encode
from agentflow.statistics import Interval
from agentflow_evals.analysis.comparing import Comparison
from agentflow_evals.analysis.pairing import Pair
from agentflow_evals.analysis.tables import Report, Row
from agentflow_evals.outcome import Measures, Outcome
from agentflow_evals.record import Evaluation

Plain = str | int | float | bool | None
Line = dict[str, Plain]
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

SPREADS = ("seconds", "critical_path_s", "depth", "breadth")
INTERVALS = ("rate", "score", "tokens_per_solved")


def lines_of(report: Report, evaluation: Evaluation) -> list[Line]:
    """Return a line for each row of a report, groups after all, with its test against the baseline."""
    ks = sorted({k for row in report.rows for k in row.pass_at})
    return [_line(report, row, evaluation, ks) for row in (*report.rows, *report.groups)]


def outcome_lines(evaluation: Evaluation) -> list[Line]:
    """Return a line for each outcome; the answer and the target are JSON."""
    return [_outcome_line(outcome, evaluation) for outcome in evaluation.outcomes]


def comparison_lines(found: Comparison) -> list[Line]:
    """Return a line for each planner and model of two evaluations."""
    return [
        {
            "first": found.first,
            "second": found.second,
            "planner": one.first[0],
            "model": one.first[1],
            "second_planner": one.second[0],
            "second_model": one.second[1],
            **_interval("before", one.before),
            **_interval("after", one.after),
            **_pair(one.pair),
        }
        for one in found.compared
    ]


def csv_text(lines: Sequence[Line]) -> str:
    """Return lines as CSV (RFC 4180) with a line of headings; empty if there are none."""
    if not lines:
        return ""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(lines[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in line.items()} for line in lines)
    return file.getvalue()


def json_lines(lines: Sequence[Mapping[str, object]]) -> str:
    """Return one JSON object a line."""
    return "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)


def _line(report: Report, row: Row, evaluation: Evaluation, ks: Sequence[int]) -> Line:
    found: Line = {
        "evaluation": evaluation.id,
        "suite": evaluation.plan.suite.shown,
        "planner": row.planner,
        "model": row.model,
        "group": row.group,
        "planned": row.planned,
        "counted": row.counted,
        "missing": row.missing,
        "errors": row.errors,
        "refused": row.refused,
        "samples": row.samples,
        "solved": row.solved,
    }
    for name in INTERVALS:
        found |= _interval(name, getattr(row, name))
    found |= {f"pass_at_{k}": row.pass_at.get(k) for k in ks}
    for name in ("calls", "tokens", "cost_usd", "cost_per_solved_usd", "spent_usd", "expansions"):
        found[name] = _finite(getattr(row, name))
    for name in SPREADS:
        found |= _fields(f"{name}_", getattr(row, name), ("median", "p95", "largest"))
    return found | _against(report, row)


def _against(report: Report, row: Row) -> Line:
    return {"baseline": report.baseline, **_pair(report.pair(row))}


def _pair(pair: Pair | None) -> Line:
    solved = None if pair is None else pair.solved
    score = None if pair is None else pair.score
    return {
        "common_samples": None if pair is None else pair.samples,
        **_fields("", pair, ("left_out", "wins", "losses")),
        **_interval("difference", None if solved is None else solved.interval),
        **_fields("", solved, ("test", "p", "p_holm")),
        **_interval("score_difference", None if score is None else score.interval),
        **_fields("score_", score, ("p", "p_holm")),
        **_fields("", pair, ("tokens_ratio",)),
    }


def _outcome_line(outcome: Outcome, evaluation: Evaluation) -> Line:
    line: Line = {
        "evaluation": evaluation.id,
        "suite": evaluation.plan.suite.shown,
        "planner": outcome.planner,
        "model": outcome.model,
        "sample": outcome.sample,
        "repeat": outcome.repeat,
        "group": outcome.group,
        "run": outcome.run,
        "status": outcome.status,
        "passed": outcome.passed,
        "value": outcome.value,
        "reason": outcome.reason,
        "answer": _json(outcome.answer),
        "target": _json(outcome.target),
        "tokens": outcome.measures.tokens,
    }
    return line | {name: getattr(outcome.measures, name) for name in Measures.model_fields}


def _interval(name: str, interval: Interval | None) -> Line:
    return {
        name: None if interval is None else _finite(interval.estimate),
        f"{name}_low": None if interval is None else _finite(interval.low),
        f"{name}_high": None if interval is None else _finite(interval.high),
    }


def _fields(prefix: str, value: object, names: Sequence[str]) -> Line:
    return {f"{prefix}{name}": None if value is None else getattr(value, name) for name in names}


def _finite(value: float | None) -> float | None:
    """Return the value; None for an infinite bound, which neither JSON nor a spreadsheet knows."""
    return value if value is None or math.isfinite(value) else None


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(encode(value), ensure_ascii=False)


def _cell(value: Plain) -> Plain:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
