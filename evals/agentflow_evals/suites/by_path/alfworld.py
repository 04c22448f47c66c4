"""ALFWorld by path: the games that `alfworld-download` fetches, one sample a game.

Owns which games are used and what counts as solved. As in ALFWorld's own loader, games with movable
receptacles or slicing and those known to be unsolvable are left out.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from agentflow import Task
from agentflow.errors import SuiteError
from agentflow.solving import Named
from agentflow_evals.suite import Origin, Sample, Suite, sample_id
from agentflow_evals.suites.worlds import GOAL

Split = Literal["train", "valid_seen", "valid_unseen", ""]
GAME, TRAJECTORY = "game.tw-pddl", "traj_data.json"
LEFT_OUT = ("movable", "Sliced")
TYPES = (
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
)


class AlfworldSuite(Suite):
    """ALFWorld: household tasks as text games, solved or not, from a folder of games that you bring.

    `path` is that folder, usually `$ALFWORLD_DATA`; `split` a folder in its `json_2.1.1`, or empty for
    all games below `path`. `types` are kinds of tasks, empty for all six.
    """

    def __init__(
        self,
        path: str = "",
        split: Split = "valid_unseen",
        types: Sequence[str] = (),
        step_limit: int = 50,
    ) -> None:
        given = path or os.environ.get("ALFWORLD_DATA", "")
        if not given:
            problem = (
                "give the folder with its games as path=..., or set ALFWORLD_DATA; "
                "`alfworld-download` fetches them"
            )
            raise _wrong(problem)
        unknown = [name for name in types if name not in TYPES]
        if unknown:
            raise _wrong(f"there is no type {unknown[0]!r}; there are {', '.join(TYPES)}")
        self._root = _folder(Path(given).expanduser(), split)
        self._split, self._types = split, tuple(types) or TYPES
        self._step_limit = step_limit

    def samples(self) -> Iterator[Sample]:
        """Yield the games in the order of their paths."""
        for path, kind in self._games:
            yield self._sample(path, kind)

    def origin(self) -> Origin:
        """Return where the games are from, and a sum of all their files."""
        found = hashlib.sha256()
        for path, _kind in self._games:
            found.update(path.relative_to(self._root).as_posix().encode() + b"\0")
            found.update(hashlib.sha256(path.read_bytes()).digest())
        source = "github.com/alfworld/alfworld"
        return Origin(source=source, sha256=found.hexdigest(), licence="MIT")

    @cached_property
    def _games(self) -> list[tuple[Path, str]]:
        found = sorted(self._root.rglob(GAME))
        usable = [
            path
            for path in found
            if not any(word in str(path.relative_to(self._root)) for word in LEFT_OUT)
        ]
        typed = [(path, _kind(path)) for path in usable]
        games = [(path, kind) for path, kind in typed if kind in self._types and _is_solvable(path)]
        if not games:
            raise _wrong(f"there is no solvable game ({GAME}) of these types", self._root)
        return games

    def _sample(self, path: Path, kind: str) -> Sample:
        place = path.parent.relative_to(self._root).as_posix()
        options: dict[str, Any] = {"game": str(path.resolve()), "step_limit": self._step_limit}
        return Sample(
            id=sample_id(place),
            task=Task(goal=GOAL),
            checks=(Named(name="reward", options={"environment": "world", "full": 1}),),
            environments={"world": Named(name="alfworld", options=options)},
            group=kind,
            metadata={"split": self._split},
        )


def _folder(path: Path, split: Split) -> Path:
    """Return the folder with the games of a split, wherever in the download `path` points to."""
    candidates = [path / "json_2.1.1" / split, path / split] if split else [path]
    for found in candidates:
        if found.is_dir():
            return found
    raise _wrong(f"there is no folder {' or '.join(map(str, candidates))}")


def _kind(path: Path) -> str:
    return str(_json(path.with_name(TRAJECTORY)).get("task_type", ""))


def _is_solvable(path: Path) -> bool:
    return _json(path).get("solvable") is True


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _wrong(f"it cannot be read: {error.strerror or error}", path) from error
    except ValueError as error:
        raise _wrong("it is no JSON", path) from error
    if not isinstance(data, dict):
        raise _wrong("it holds no object", path)
    return data


def _wrong(problem: str, place: Path | None = None) -> SuiteError:
    return SuiteError(suite="alfworld", problem=problem, place=str(place or ""))
