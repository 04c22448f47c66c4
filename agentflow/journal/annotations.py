"""What people write on recorded runs: remarks on a run or on one of its steps.

Owns the table `annotations` and what may stand in it. Knows nothing of events but where a step
begins and which redaction rules a run has. Annotations stand beside the record: no run reads them, a fork
does not inherit them, and nobody needs the lease of a run to write one, so it works while the run goes on.
"""

import time
from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, insert, select

from agentflow.errors import AnnotationError, UnknownRunError
from agentflow.journal import tables
from agentflow.journal.events import RunStarted, StepStarted
from agentflow.journal.rows import TYPES, WHOLE_STEP, from_rows
from agentflow.journal.store import Store
from agentflow.redaction import Redactor

MAX_TEXT_BYTES = 64 * 1024
MAX_TAG_CHARS = 40
_MAX_NUMBER = 2**53  # far above any step or annotation, far below what a database cannot hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One remark; `step` None is the run as a whole, `at` Unix seconds, `tag` may be empty."""

    id: int
    step: int | None
    text: str
    tag: str
    at: float


def annotate(store: Store, run: str, text: str, *, step: int | None, tag: str) -> Annotation:
    """Write one annotation, without the secrets that its run must never write either.

    Raises:
        UnknownRunError: There is no such run.
        AnnotationError: The run has no such step, or text or tag cannot be written.
    """
    name, number = store.find_run(run)
    with store.errors(), store.engine.connect() as connection:
        if step is not None and not _has_step(connection, number, step):
            raise AnnotationError(run=name, problem=f"it has no step {step}")
        redactor = _redactor(connection, number, name)
    text, tag = redactor.text(text), redactor.text(tag)
    try:
        check_words(text, tag)
    except ValueError as error:
        raise AnnotationError(run=name, problem=str(error)) from error
    at = time.time()
    put = insert(tables.annotations).values(run=number, step=step, text=text, tag=tag, at=at)
    with store.errors(), store.writing() as connection:
        _hold(connection, store.name, name, number)
        (id_,) = connection.execute(put).inserted_primary_key or (0,)
    return Annotation(id=int(id_), step=step, text=text, tag=tag, at=at)


def read_annotations(store: Store, run: str, step: int | None) -> list[Annotation]:
    """Return what is written on a run, or on one step of it, in the order written.

    Raises:
        UnknownRunError: There is no such run.
    """
    number = store.find_run(run)[1]
    with store.errors(), store.engine.connect() as connection:
        found = annotations_of(connection, number)
    return [one for one in found if step is None or one.step == step]


def remove_annotation(store: Store, run: str, id_: int) -> None:
    """Take one annotation back.

    Raises:
        UnknownRunError: There is no such run.
        AnnotationError: There is no such annotation on it.
    """
    name, number = store.find_run(run)
    columns = tables.annotations.c
    gone = 0
    if 0 < id_ <= _MAX_NUMBER:
        mine = delete(tables.annotations).where(columns.run == number, columns.id == id_)
        with store.errors(), store.writing() as connection:
            gone = connection.execute(mine).rowcount
    if not gone:
        problem = f"there is no annotation {id_}; `agentflow note {name}` lists them"
        raise AnnotationError(run=name, problem=problem)


def annotations_of(connection: Connection, number: int) -> list[Annotation]:
    """Return what is written on run number `number`, in the order written."""
    columns = tables.annotations.c
    query = select(tables.annotations).where(columns.run == number).order_by(columns.id)
    return [
        Annotation(id=row.id, step=row.step, text=row.text, tag=row.tag, at=row.at)
        for row in connection.execute(query)
    ]


def check_words(
    text: str, tag: str, *, max_text_bytes: int = MAX_TEXT_BYTES, max_tag_chars: int = MAX_TAG_CHARS
) -> None:
    """Check that a text and a tag can be written.

    Raises:
        ValueError: One cannot; the message says what is wrong with it.
    """
    if not text.strip():
        raise ValueError("its text is empty")
    for name, words in (("text", text), ("tag", tag)):
        if "\0" in words:  # PostgreSQL cannot hold it
            raise ValueError(f"its {name} holds a zero character")
        if not _is_unicode(words):
            raise ValueError(f"its {name} is no Unicode text")
    size = len(text.encode())
    if size > max_text_bytes:
        raise ValueError(f"its text has {size:,} bytes; at most {max_text_bytes:,} are kept")
    if len(tag) > max_tag_chars:
        raise ValueError(f"its tag has {len(tag)} characters; at most {max_tag_chars} are kept")
    if tag and (not tag.isprintable() or any(char.isspace() for char in tag)):
        raise ValueError(f"its tag {tag!r} is not one word")


def _is_unicode(words: str) -> bool:
    try:
        words.encode()
    except UnicodeEncodeError:  # a lone surrogate, as from a command line in another encoding
        return False
    return True


def _has_step(connection: Connection, number: int, step: int) -> bool:
    if not 0 < step <= _MAX_NUMBER:
        return False
    columns = tables.events.c
    begins = columns.type.in_((TYPES[StepStarted], WHOLE_STEP))
    query = select(exists().where(columns.run == number, columns.step == step, begins))
    return bool(connection.execute(query).scalar_one())


def _redactor(connection: Connection, number: int, name: str) -> Redactor:
    """Return the rules that a run has recorded, the newest where it was resumed, and those for all."""
    columns = tables.events.c
    is_start = columns.type == TYPES[RunStarted]
    query = select(tables.events).where(columns.run == number, is_start)
    rows = connection.execute(query.order_by(columns.number.desc()).limit(1)).all()
    try:
        starts = from_rows(rows, lambda _name: b"")  # none: the run has not written anything yet
        settings = starts[0].settings if starts else {}  # type: ignore[union-attr]  # by its type
        return Redactor(settings.get("redact") or ())
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        problem = f"the redaction rules of the run are unreadable ({error})"
        raise AnnotationError(run=name, problem=problem) from error


def _hold(connection: Connection, store: str, name: str, number: int) -> None:
    """See that the run is still there, and that it stays until the transaction is over."""
    query = select(tables.runs.c.number).where(tables.runs.c.number == number)
    # SQLite ignores the lock: there, nobody else writes now.
    if connection.execute(query.with_for_update(read=True, key_share=True)).scalar() is None:
        raise UnknownRunError(store=store, problem=f"run {name} has just been removed")
