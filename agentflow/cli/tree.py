"""A run as a tree on the terminal, live or afterwards.

Owns the drawing. Shows a `RunRecord` as it is at the moment: running branches with a spinner,
finished ones with time, tokens and cost, and below a step what people have written on it. A tree that is
taller than the screen folds what is done.
"""

import time
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from agentflow.budget import Budget
from agentflow.cli.words import clean, dollars, reused_tokens, seconds, tokens
from agentflow.data import from_json
from agentflow.journal.annotations import Annotation
from agentflow.journal.records import RunRecord, StepRecord

MARKS = {
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "refused": ("⊘", "yellow"),
    "cancelled": ("-", "dim"),
    "running": ("•", "cyan"),
}
PREVIEW_CHARS, PREVIEW_BYTES = 60, 400
MOST_DECODED_BYTES = 100_000
ANNOTATION_CHARS = 200
ANNOTATION_STYLE = "magenta"


def run_tree(
    record: RunRecord,
    *,
    live: bool = False,
    max_lines: int | None = None,
    annotations: Sequence[Annotation] = (),
) -> RenderableType:
    """Return the whole run as a tree; `max_lines` folds finished parts to make it fit."""
    root = record.root
    if root is None:
        return Text("nothing has started", style="dim")
    folded = _to_fold(root, max_lines) if max_lines else set()
    tree = Tree(_label(root, live=live, is_folded=False), guide_style="dim")
    written: dict[int | None, list[Annotation]] = {}
    for one in annotations:
        written.setdefault(one.step, []).append(one)
    _grow(tree, root, folded, written, live=live)
    return tree


def annotation_line(annotation: Annotation) -> Text:
    """Return one line: tag and text."""
    tag = f"{clean(annotation.tag)}: " if annotation.tag else ""
    words = f"✎ {tag}{clean(annotation.text, ANNOTATION_CHARS)}"
    return Text(words, style=ANNOTATION_STYLE, no_wrap=True, overflow="ellipsis")


def status_line(record: RunRecord, budget: Budget, now: float | None = None) -> RenderableType:
    """Return one line: steps, tokens, cost, time and what is left of the budget."""
    usage = record.usage
    reused = f" ({tokens(usage.cached_tokens)} reused)" if usage.cached_tokens else ""
    elapsed = record.seconds or (now or time.time()) - record.started_at
    parts = [
        f"{len(record.steps)} steps",
        tokens(usage.total_tokens) + (f" of {budget.tokens:,}" if budget.tokens else "") + reused,
        dollars(record.cost_usd) + (f" of ${budget.usd:g}" if budget.usd else ""),
        seconds(elapsed) + (f" of {seconds(budget.seconds)}" if budget.seconds else ""),
    ]
    if budget.steps:
        parts[0] += f" of {budget.steps}"
    return Text("  ".join(parts), style="bold")


def live_view(record: RunRecord, budget: Budget, height: int) -> RenderableType:
    """Return tree and status line for a screen of `height` lines."""
    return Group(
        run_tree(record, live=True, max_lines=max(5, height - 4)), status_line(record, budget)
    )


def _grow(
    branch: Tree,
    step: StepRecord,
    folded: set[int],
    written: Mapping[int | None, Sequence[Annotation]],
    *,
    live: bool,
) -> None:
    for annotation in written.get(step.number, ()):
        branch.add(annotation_line(annotation))
    for child in step.children:
        is_folded = child.number in folded
        node = branch.add(_label(child, live=live, is_folded=is_folded))
        if not is_folded:
            _grow(node, child, folded, written, live=live)


def _label(step: StepRecord, *, live: bool, is_folded: bool) -> RenderableType:
    text = _words(step, is_folded=is_folded)
    if step.status != "running":
        return text
    if not live:
        return Text.assemble(("• ", "cyan"), text)
    row = Table.grid(padding=(0, 1))
    row.add_row(Spinner("dots", style="cyan"), text)
    return row


def _words(step: StepRecord, *, is_folded: bool) -> Text:
    mark, style = MARKS[step.status]
    text = Text(no_wrap=True, overflow="ellipsis")
    if step.status != "running":
        text.append(f"{mark} ", style=style)
    text.append(clean(step.name, 40), style="bold" if step.kind == "flow" else "")
    text.append(f" #{step.number}", style="dim")
    if step.kind != "flow":
        text.append(f" {step.kind}", style="dim")
    for part in _facts(step):
        text.append(f"  {part}", style="dim")
    if is_folded and step.children:
        text.append(f"  (+{sum(1 for _ in step.walk()) - 1} steps)", style="dim italic")
    note = _remark(step)
    if note:
        text.append(f"  {note}", style="red" if step.failure else "dim italic")
    return text


def _facts(step: StepRecord) -> list[str]:
    facts = []
    if step.kind == "model":
        facts.append(clean(str(step.details.get("model", "")), 40))
        if step.status == "succeeded" and "origin" not in step.details:
            facts += [tokens(step.usage.total_tokens), dollars(step.cost_usd)]
            if step.reuse is not None:
                facts.append(f"reused {reused_tokens(step.reuse)}")
    if step.details.get("attempts", 1) > 1:
        facts.append(f"{step.details['attempts']} attempts")
    if step.origin:
        facts.append(step.origin)
    elif step.seconds is not None:
        facts.append(seconds(step.seconds))
    return facts


def _remark(step: StepRecord) -> str:
    if step.failure is not None:
        return clean(step.failure.message, 100)
    if step.status == "running" and step.text:
        return clean(step.text[-PREVIEW_CHARS * 2 :], PREVIEW_CHARS)
    if step.status == "succeeded" and step.kind in ("tool", "code", "ask") and step.output:
        return "→ " + clean(_preview(step.output), PREVIEW_CHARS)
    return clean(step.notes[-1].text, 80) if step.notes else ""


def _preview(output: bytes) -> str:
    """Return the beginning of a value as JSON, or as Python where JSON has no word for a part of it."""
    if b'{"$":' in output[:PREVIEW_BYTES] and len(output) < MOST_DECODED_BYTES:
        return repr(from_json(output))
    return output[:PREVIEW_BYTES].decode("utf-8", "replace")


def _to_fold(root: StepRecord, max_lines: int) -> set[int]:
    """Return the steps to fold so that about `max_lines` remain: finished first, deepest first."""
    lines = sum(1 for _ in root.walk())
    folded: set[int] = set()
    sizes = (
        {step.number: sum(1 for _ in step.walk()) for step in root.walk()}
        if lines > max_lines
        else {}
    )
    done = [
        step
        for step in root.walk()
        if step.status != "running" and step.children and step is not root
    ]
    for step in sorted(done, key=lambda item: sizes.get(item.number, 0)):
        if lines <= max_lines:
            break
        hidden = (
            sizes[step.number]
            - 1
            - sum(sizes[child.number] - 1 for child in step.children if child.number in folded)
        )
        folded.add(step.number)
        lines -= max(hidden, 0)
    return folded
