"""One run as one file that any browser opens without a server.

Owns the choice of what goes in and the way from a journal to a file. The file is the viewer itself and the
run as packed data; nothing in it is fetched from anywhere. What it holds and what it is for is in
`chunks.py` and `build.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from agentflow.errors import ExportError
from agentflow.journal.annotations import read_annotations
from agentflow.journal.store import Store
from agentflow.wholefile import whole_file
from agentflow_web.reading.index import RunIndex
from agentflow_web.reading.runs import run as read_run
from agentflow_web.sharing.build import framed
from agentflow_web.sharing.chunks import Chunks
from agentflow_web.sharing.cleaning import Cleaner, Data, named
from agentflow_web.sharing.findings import Findings
from agentflow_web.sharing.selection import select


@dataclass(frozen=True, kw_only=True)
class Options:
    """What goes into a file: a step and what is below it or all, contents or not, what is replaced."""

    under: int | None = None
    contents: bool = True
    redact: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written, or would be; `findings` as the API tells them."""

    steps: int
    size_bytes: int
    suspicious: int
    findings: Sequence[Data]


def export_file(
    store: Store,
    run: str,
    target: Path,
    options: Options | None = None,
    *,
    build: Traversable | None = None,
) -> Written:
    """Write the run whose id is `run` to a file, which appears whole or not at all.

    Raises:
        ExportError: The file cannot be written; or see `write_bundle`.
        UnknownRunError, JournalError, RedactionError: See `write_bundle`.
    """

    def refusal(problem: str) -> ExportError:
        return ExportError(run=run, problem=f"{target} {problem}")

    with whole_file(target, refusal) as file:
        return write_bundle(file.write, store, run, options, build=build)


def write_bundle(
    write: Callable[[bytes], object],
    store: Store,
    run: str,
    options: Options | None = None,
    *,
    build: Traversable | None = None,
    between: Callable[[], object] = lambda: None,
) -> Written:
    """Write the run whose id is `run` as one page, as far as it has got.

    Args:
        write: Takes the page, piece by piece; `len` only looks what would be in it.
        store: The journal.
        run: The whole id.
        options: What goes in; everything by default.
        build: The viewer's build; None is the one of the package.
        between: Called between two pieces; what it raises ends the writing.

    Raises:
        UnknownRunError: There is no such run.
        JournalError: The journal cannot be read or is damaged.
        RedactionError: A rule cannot be used.
        ExportError: There is no such step, or the viewer's build is missing.
    """
    options = options or Options()
    findings = Findings(named(options.redact))
    cleaner = Cleaner(options.redact, contents=options.contents, findings=findings)
    index = RunIndex(store, run)
    about = read_run(index, whole=True)
    index.catch_up()
    index.check(index.known.last)
    selection = select(index, options.under)
    frame = framed(cleaner.title(about["flow"], run), run=run, build=build)
    chunks = Chunks(
        index=index,
        known=index.known,
        selection=selection,
        cleaner=cleaner,
        annotations=read_annotations(store, run, None),
    )
    size = _put(write, frame.before)
    for chunk in chunks.all(about, options.under):
        write(chunk)
        size += len(chunk)
        between()
    size += _put(write, frame.behind)
    return Written(
        steps=selection.size,
        size_bytes=size,
        suspicious=findings.count,
        findings=findings.told(),
    )


def _put(write: Callable[[bytes], object], text: str) -> int:
    data = text.encode("utf-8", "replace")  # a name may hold half a surrogate pair
    write(data)
    return len(data)
