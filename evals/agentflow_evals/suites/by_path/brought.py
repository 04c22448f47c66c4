"""What suites have in common whose data the user brings.

Owns the path, the sum that the user pins it to, and the origin. Knows no benchmark. A published sum that
is known is compared and the outcome is told in the origin; only the user's own pin is enforced.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from agentflow.errors import SuiteError
from agentflow_evals.suite import Origin, Suite
from agentflow_evals.suites.files import Record, read_records, sha256_of


class BroughtSuite(Suite):
    """Base of suites with a `path`; not a suite itself."""

    NAME: ClassVar[str]
    SOURCE: ClassVar[str]
    LICENCE: ClassVar[str] = ""
    PUBLISHED: ClassVar[Mapping[str, str]] = {}  # SHA-256 of a published file to what it is

    def __init__(self, path: str, sha256: str) -> None:
        """Take note of where the data is.

        Raises:
            SuiteError: It is not there, or `sha256` is no such sum.
        """
        self.path = Path(path).expanduser()
        if not path or not self._is_there():
            problem = f"there is no {path!r}; docs/suites-by-path.md says what to download"
            raise SuiteError(suite=self.NAME, problem=problem)
        if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256.lower()):
            raise self.wrong("sha256 is 64 hexadecimal digits")
        self._pinned = sha256.lower()

    def wrong(self, problem: str) -> SuiteError:
        """Return the error that the data or the options are wrong."""
        return SuiteError(suite=self.NAME, problem=problem)

    def origin(self) -> Origin:
        """Return where the data is from, and the sum of what is there."""
        known = self.PUBLISHED.get(self.sum)
        unknown = "not a file whose published sum is known" if self.PUBLISHED else ""
        return Origin(
            source=self.SOURCE, version=known or unknown, sha256=self.sum, licence=self.LICENCE
        )

    @cached_property
    def sum(self) -> str:
        """The SHA-256 of the data."""
        return sha256_of(self.data)

    @property
    def data(self) -> Path:
        """The file or folder that is read; the path itself unless a suite looks into a folder."""
        return self.path

    def records(self, path: Path | None = None) -> Iterator[Record]:
        """Yield the records of a file, after the sum of the data has been checked.

        Raises:
            SuiteError: The data is not what was pinned, or not what was expected.
        """
        self.check_sum()
        yield from read_records(path or self.data, self.NAME)

    def check_sum(self) -> None:
        """Refuse data that is not what the user pinned.

        Raises:
            SuiteError: Its sum is another one.
        """
        if self._pinned and self.sum != self._pinned:
            problem = f"its SHA-256 is {self.sum}, not the {self._pinned} that was asked for"
            raise SuiteError(suite=self.NAME, problem=problem, place=str(self.data))

    def file_in(self, *names: str) -> Path:
        """Return the path if it is a file, else the first of these files in the folder.

        Raises:
            SuiteError: None is there.
        """
        if not self.path.is_dir():
            return self.path
        found = (self.path / name for name in names)
        file = next((item for item in found if item.is_file()), None)
        if file is None:
            wanted = ", ".join(names)
            problem = f"the folder holds none of: {wanted}"
            raise SuiteError(suite=self.NAME, problem=problem, place=str(self.path))
        return file

    def check_choice(self, option: str, given: str, choices: tuple[str, ...]) -> None:
        """Refuse an option that is none of its choices.

        Raises:
            SuiteError: It is none.
        """
        if given not in choices:
            raise self.wrong(f"{option} is one of {', '.join(choices)}, not {given!r}")

    def _is_there(self) -> bool:
        # A path may lead into a ZIP archive.
        return self.path.exists() or any(
            one.suffix.lower() == ".zip" and one.is_file() for one in self.path.parents
        )
