"""What a suite is: named samples, each a task, how to check its answer, and nothing a planner may not see.

Owns the values between suites and the harness. Knows no benchmark and no planner. What is in a sample's
`task` (and what its environments show) is all that a planner gets; `target` and the checks are not.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field, field_validator

from agentflow.data import Data
from agentflow.solving import Named
from agentflow.task import Task

ID = r"[^\s,][^\n\r,]{0,199}"


class Value(BaseModel):
    """Base of the immutable values of the harness: unknown fields and infinite numbers are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Sample(Value):
    """One task of a suite.

    `id` is unique in the suite. `environments` are by name what the planner may act on: their actions
    become tools of the task (`house` gives `house_look`). `target` is the reference answer as reports
    show it, `group` a kind of task (a level, a task type) that tables may split by.
    """

    id: str = Field(pattern=f"^{ID}$")
    task: Task
    checks: tuple[Named, ...] = Field(min_length=1)
    environments: dict[str, Named] = {}
    target: Data = None
    group: str = ""
    metadata: dict[str, Data] = {}

    @field_validator("environments")
    @classmethod
    def _are_identifiers(cls, found: dict[str, Named]) -> dict[str, Named]:
        wrong = [name for name in found if not name.isidentifier()]
        if wrong:
            raise ValueError(f"the name of an environment is a Python identifier, not {wrong[0]!r}")
        return found


class Origin(Value):
    """Where a suite's data is from: `version` of the package or data set, `sha256` of its file."""

    source: str = ""
    version: str = ""
    sha256: str = Field(default="", pattern="^([0-9a-f]{64})?$")
    licence: str = ""


class Suite(ABC):
    """Base of suites: write `samples`, and a constructor if there are options.

    The constructor takes plain data by keyword (`split`, `seed`, `path` for data that a user brings). The
    first line of the class's docstring says what the suite is. `samples` gives the same samples in the
    same order each time.
    """

    def __init__(self) -> None:  # noqa: B027 - or a class without options had object's `*args`
        """Make it; it takes no options unless a subclass says so."""

    @abstractmethod
    def samples(self) -> Iterable[Sample]:
        """Yield the samples.

        Raises:
            MissingExtraError: The package with the data is not installed.
            SuiteError: The data is not there or not what was expected.
        """

    def origin(self) -> Origin:
        """Return where the data is from."""
        return Origin()

    def training_texts(self) -> Iterable[str]:
        """Yield texts that prompts, examples or training may have used; no sample may be among them."""
        return ()

    @classmethod
    def summary(cls) -> str:
        """Return what the suite is, in a line."""
        return (cls.__doc__ or "").strip().partition("\n")[0]


def sample_id(text: object) -> str:
    """Return an id made of any text: without commas and line breaks, at most 200 characters."""
    return re.sub(r"[\s,]+", "_", str(text).strip())[:200] or "_"
