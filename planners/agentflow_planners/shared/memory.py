"""Scoped and archived memory: a bounded part that every prompt shows, and an archive that is searched.

Owns the values, what an edit does, the two bounds, and retrieval by words (BM25). Knows no planner and
no model. What always holds: the working part has at most `room` characters and the archive at most
`shelf`, whatever is written; what has to leave the working part goes to the archive, oldest first.
A scope is a path such as `step 2/draft`: whoever is in it sees its notes and those of the scopes around
it. A memory is plain data, so it can be given, returned, and edited by a person in between.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from agentflow import flow
from agentflow.errors import InputError
from agentflow_planners.shared.values import Frozen

SATURATION, LENGTH_SHARE = 1.5, 0.75  # k1 and b of BM25, as usual
MAX_NAME_CHARS = 80
CUT = " (cut)"

_APART = 4  # so that notes without a text are not for free
_WORD = re.compile(r"\w+")


class Note(Frozen):
    """One thing to remember, by scope and name."""

    scope: str = ""
    name: str
    text: str

    @property
    def size(self) -> int:
        """How many characters it takes of a bound, with those that set it apart."""
        return _APART + len(self.scope) + len(self.name) + len(self.text)

    def is_seen_from(self, scope: str) -> bool:
        """Return whether it is in `scope` or in a scope around it."""
        return self.scope in ("", scope) or scope.startswith(f"{self.scope}/")


class Edit(Frozen):
    """One change: `write` or `remove` a note in either part, or `put_away` a working one."""

    action: Literal["write", "remove", "put_away"] = "write"
    part: Literal["working", "archive"] = "working"
    scope: str = ""
    name: str
    text: str = ""


class Memory(Frozen):
    """Both parts, oldest note first, and their bounds in characters."""

    working: tuple[Note, ...] = ()
    archive: tuple[Note, ...] = ()
    room: Annotated[int, Field(ge=200, le=1_000_000)] = 4_000
    shelf: Annotated[int, Field(ge=200, le=5_000_000)] = 200_000

    def text(self, name: str, *, scope: str = "") -> str:
        """Return what a working note says, the empty string without it."""
        found = (note.text for note in self.working if (note.scope, note.name) == (scope, name))
        return next(found, "")

    def seen(self, *, scope: str = "") -> str:
        """Return the working notes that are seen from a scope, one a line."""
        seen = (note for note in self.working if note.is_seen_from(scope))
        return "\n".join(f"{note.name}: {note.text}" for note in seen)

    def found(self, query: str, count: int, *, scope: str = "") -> list[Note]:
        """Return up to `count` archived notes seen from a scope that share words with `query`, best first."""
        notes = [note for note in self.archive if note.is_seen_from(scope)]
        scores = _scores(query, [note.text for note in notes])
        best = sorted(range(len(notes)), key=lambda at: (-scores[at], -at))[:count]
        return [notes[at] for at in best if scores[at] > 0]

    def after(self, edits: Sequence[Edit]) -> "Memory":
        """Return the memory with these edits made in order, within its bounds."""
        changed = self.bounded()
        for edit in edits:
            changed = changed._edited(edit).bounded()
        return changed

    def bounded(self) -> "Memory":
        """Return it with what does not fit put away, and the oldest of a full archive dropped."""
        working, archive = [], list(self.archive)
        for note in self.working:
            kept = _fitted(note, self.room)
            working.append(kept)
            archive += [note] if kept.text != note.text else []
        while sum(note.size for note in working) > self.room:
            archive.append(working.pop(0))
        kept_archive = _latest([_fitted(note, self.shelf) for note in archive], self.shelf)
        return self.model_copy(update={"working": tuple(working), "archive": kept_archive})

    def _edited(self, edit: Edit) -> "Memory":
        key = (edit.scope[:MAX_NAME_CHARS], edit.name[:MAX_NAME_CHARS])
        notes = list(self.archive if edit.part == "archive" else self.working)
        places = [at for at, note in enumerate(notes) if (note.scope, note.name) == key]
        if edit.action == "put_away":
            gone = [] if edit.part == "archive" else [notes.pop(at) for at in reversed(places)]
            return self.model_copy(update={edit.part: (*notes,), "archive": (*self.archive, *gone)})
        for at in reversed(places):
            del notes[at]
        if edit.action == "write":
            # A corrected archive entry keeps its place; a rewritten working note is the newest.
            at = places[0] if places and edit.part == "archive" else len(notes)
            notes.insert(at, Note(scope=key[0], name=key[1], text=edit.text))
        return self.model_copy(update={edit.part: tuple(notes)})


@flow
async def edit_memory(memory: Memory, edits: tuple[Edit, ...]) -> Memory:
    """Make edits as a step of the run, so that a reader of the journal sees what was remembered when."""
    return memory.after(edits)


def given_memory(inputs: Mapping[str, Any], *, step: str, room: int) -> Memory:
    """Return the memory that a task's inputs hold (`memory`, then `edits` to it), or an empty one.

    Raises:
        InputError: What they hold is no memory, or no edits.
    """
    try:
        memory = Memory.model_validate(inputs.get("memory", {"room": room}))
        edits = [Edit.model_validate(edit) for edit in inputs.get("edits") or ()]
    except (ValidationError, TypeError) as error:
        raise InputError(step=step, problem=f"inputs.memory or inputs.edits: {error}") from error
    return memory.after(edits)


def _fitted(note: Note, size: int) -> Note:
    name, scope = note.name[:MAX_NAME_CHARS], note.scope[:MAX_NAME_CHARS]
    left = size - _APART - len(name) - len(scope)
    text = note.text if len(note.text) <= left else note.text[: left - len(CUT)] + CUT
    return Note(scope=scope, name=name, text=text)


def _latest(notes: list[Note], size: int) -> tuple[Note, ...]:
    total, kept = 0, 0
    for note in reversed(notes):
        total += note.size
        if total > size:
            break
        kept += 1
    return tuple(notes[len(notes) - kept :])


def _scores(query: str, texts: Sequence[str]) -> list[float]:
    """Return the BM25 score of each text; words count without regard to case."""
    counts = [Counter(_words(text)) for text in texts]
    wanted = sorted(set(_words(query)))
    mean = sum(count.total() for count in counts) / len(counts) if counts else 0.0
    scores = [0.0] * len(texts)
    for word in wanted:
        having = sum(word in count for count in counts)
        rarity = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
        for at, count in enumerate(counts):
            length = 1 - LENGTH_SHARE + LENGTH_SHARE * count.total() / (mean or 1.0)
            often = count[word]
            scores[at] += rarity * often * (SATURATION + 1) / (often + SATURATION * length)
    return scores


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
