"""Suites whose data is a file in an installed package, found without running the package's code.

Owns the way to the file and the proof that it is the one that was published. Knows no benchmark.
"""

from abc import abstractmethod
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import ClassVar

from agentflow.errors import MissingExtraError, SuiteError
from agentflow_evals.suite import Origin, Sample, Suite
from agentflow_evals.suites.files import Record, read_records, sha256_of

SUITES = "suites"  # the extra that installs most of the packages
EXTRAS = {"fanoutqa": "fanoutqa", "reasoning-gym": "puzzles"}  # of packages with much behind them


class PackagedFile:
    """One data file of a package: `inside` is its path there, `sha256` what it must have."""

    def __init__(self, package: str, inside: str, sha256: str, licence: str) -> None:
        self.package, self.inside, self.sha256, self.licence = package, inside, sha256, licence

    def verified(self, suite: str) -> Path:
        """Return the file's path.

        Raises:
            MissingExtraError: The package is not installed.
            SuiteError: The file is not there, or not the published one.
        """
        path = Path(str(self._distribution(suite).locate_file(self.inside)))
        if not path.is_file():
            problem = f"{self.package} {self._version(suite)} does not hold it"
            raise SuiteError(suite=suite, problem=problem, place=self.inside)
        if (found := sha256_of(path)) != self.sha256:
            problem = (
                f"its sha256 is {found[:12]}..., not {self.sha256[:12]}...; install the published "
                f"{self.package} again"
            )
            raise SuiteError(suite=suite, problem=problem, place=self.inside)
        return path

    def origin(self, suite: str) -> Origin:
        """Return where the data is from.

        Raises:
            MissingExtraError: The package is not installed.
        """
        return Origin(
            source=f"{self.package}: {self.inside}",
            version=self._version(suite),
            sha256=self.sha256,
            licence=self.licence,
        )

    def _version(self, suite: str) -> str:
        return self._distribution(suite).version

    def _distribution(self, suite: str) -> metadata.Distribution:
        return distribution(self.package, suite)


class PackagedSuite(Suite):
    """Base of suites whose samples are the records of such a file, in its order.

    A subclass says its `NAME`, its `FILE` and how many samples it has, and makes them.
    """

    NAME: ClassVar[str]
    FILE: ClassVar[PackagedFile]
    SIZE: ClassVar[int]

    def samples(self) -> Iterable[Sample]:
        """Yield the samples in the published order."""
        for record in self.records():
            yield self.sample(record)

    def records(self) -> Iterable[Record]:
        """Return the records of the file that are samples."""
        return read_records(self.FILE.verified(self.NAME), self.NAME)

    @abstractmethod
    def sample(self, record: Record) -> Sample:
        """Return what a record says as a sample."""

    def origin(self) -> Origin:
        """Return the package and the file."""
        return self.FILE.origin(self.NAME)


def distribution(package: str, suite: str) -> metadata.Distribution:
    """Return what is installed of a package.

    Raises:
        MissingExtraError: Nothing is.
    """
    try:
        return metadata.distribution(package)
    except metadata.PackageNotFoundError as error:
        extra = EXTRAS.get(package, SUITES)
        raise MissingExtraError(feature=f"suite {suite}", extra=extra) from error
