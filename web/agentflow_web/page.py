"""One run as a static page.

Owns the HTML. The page is one file without scripts, opens from disk and shows the tree of steps with
their inputs and outputs. Everything that came from a model, a file or a tool is escaped, and the
page's own policy forbids scripts and network.
"""

import html
import json

from agentflow.journal.records import RunRecord, StepRecord

MAX_SHOWN_CHARS = 20_000

STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #888; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
details { border-left: 1px solid var(--line); padding-left: .8rem; margin: .15rem 0; }
summary { cursor: pointer; } .facts { color: var(--dim); margin-left: .6rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #8881; padding: .6rem; margin: .3rem 0; }
h4 { margin: .6rem 0 0; font-weight: 600; font-size: .85rem; color: var(--dim); }
.failed, .refused { color: #c33; } .succeeded { color: #2a2; } .cancelled { color: var(--dim); }
"""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>{style}</style></head>
<body><h1>{title}</h1><p>{summary}</p>{tree}</body></html>
"""

MARKS = {"succeeded": "✓", "failed": "✗", "refused": "⊘", "cancelled": "-", "running": "•"}


def page(record: RunRecord) -> str:
    """Return a run as one HTML document."""
    cost = "unknown" if record.cost_usd is None else f"${record.cost_usd:.4f}"
    time = "unfinished" if record.seconds is None else f"{record.seconds:.1f} s"
    summary = (
        f"{record.status or 'unfinished'} · {len(record.steps)} steps · "
        f"{record.usage.total_tokens:,} tokens · {cost} · {time}"
    )
    roots = [step for step in record.steps.values() if step.parent is None]
    return PAGE.format(
        title=html.escape(f"{record.flow} {record.id}"),
        style=STYLE,
        summary=html.escape(summary),
        tree="".join(_step(step, is_open=True) for step in roots),
    )


def _step(step: StepRecord, *, is_open: bool = False) -> str:
    children = "".join(_step(child, is_open=len(step.children) < 20) for child in step.children)
    mark = f'<span class="{step.status}">{MARKS[step.status]}</span>'
    facts = html.escape(" · ".join(_facts(step)))
    head = f"{mark} <b>{html.escape(step.name)}</b><span class=facts>{facts}</span>"
    parts = f"<details><summary>content</summary>{_content(step)}</details>"
    return (
        f"<details{' open' if is_open else ''}><summary>{head}</summary>{parts}{children}</details>"
    )


def _facts(step: StepRecord) -> list[str]:
    facts: list[str] = [step.kind]
    if step.seconds is not None:
        facts.append(f"{step.seconds:.2f} s")
    if step.origin:
        return [*facts, step.origin]
    if step.kind == "model":
        facts += [str(step.details.get("model", "")), f"{step.usage.total_tokens:,} tokens"]
    return facts


def _content(step: StepRecord) -> str:
    blocks = [("input", _pretty(step.input))]
    blocks += [
        (f"expanded into a {item.kind}", item.content.decode("utf-8", "replace"))
        for item in step.expansions
    ]
    blocks += [("note", note.text) for note in step.notes]
    if step.output is not None:
        blocks.append(("output", _pretty(step.output)))
    if step.failure is not None:
        blocks.append(("error", f"{step.failure.name}: {step.failure.message}"))
    return "".join(_block(title, text) for title, text in blocks)


def _block(title: str, text: str) -> str:
    if len(text) > MAX_SHOWN_CHARS:
        text = f"{text[:MAX_SHOWN_CHARS]}\n(cut, {len(text):,} characters in all)"
    return f"<h4>{html.escape(title)}</h4><pre>{html.escape(text)}</pre>"


def _pretty(data: bytes) -> str:
    """Return JSON laid out to be read; line ends inside strings are shown as such."""
    return json.dumps(json.loads(data), indent=2, ensure_ascii=False).replace("\\n", "\n")
