"""A suite of one's own: a folder with `suite.yaml` and data files beside it.

Owns how a record of the data becomes a sample. Data files lie in the folder, links out of it are
refused: who writes a suite for others decides what a model is shown, not what of the reader's files.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agentflow.errors import SuiteError
from agentflow.solving import Named
from agentflow.task import Task
from agentflow.taskschema import SHORT_OUTPUTS
from agentflow_evals.suite import Origin, Sample, Suite, sample_id
from agentflow_evals.suites.files import Record, read_records, sha256_of
from agentflow_evals.suites.suitefile import DataFile, SuiteFile
from agentflow_evals.suites.template import TemplateError, fill, written

FILE = "suite.yaml"


class FolderSuite(Suite):
    """A suite of one's own, in a folder."""

    def __init__(self, path: str) -> None:
        self._folder = Path(path).expanduser()
        self._file = SuiteFile(self._folder / FILE)
        self._document = self._file.document

    def samples(self) -> Iterable[Sample]:
        """Yield a sample a record, file by file."""
        for number, record in enumerate(self._records("data"), 1):
            yield self._sample(number, record)

    def origin(self) -> Origin:
        """Return what the file says, and the sum of the data file, if there is one file."""
        sums = [sha256_of(self._path("data", index)) for index in range(len(self._document.data))]
        return Origin(
            source=self._document.source or self._document.name,
            version=self._document.version,
            sha256=sums[0] if len(sums) == 1 else "",
            licence=self._document.licence,
        )

    def training_texts(self) -> Iterable[str]:
        """Yield what the records of the files under `training` would ask."""
        for record in self._records("training"):
            yield self._task(record).goal

    def _records(self, key: str) -> Iterator[Record]:
        for index, file in enumerate(self._files(key)):
            path = self._path(key, index)
            if file.sha256 is not None and (found := sha256_of(path)) != file.sha256:
                problem = f"the sha256 of {file.file} is {found}"
                self._file.fail(key, index, "sha256", problem=problem)
            yield from read_records(path, self._document.name)

    def _files(self, key: str) -> list[DataFile]:
        return self._document.data if key == "data" else self._document.training

    def _path(self, key: str, index: int) -> Path:
        named = self._files(key)[index].file
        path = self._folder / named
        if not path.resolve().is_relative_to(self._folder.resolve()):
            self._file.fail(key, index, problem=f"{named} is outside the suite's folder")
        if not path.is_file():
            self._file.fail(key, index, problem=f"there is no file {named} in the suite's folder")
        return path

    def _sample(self, number: int, record: Record) -> Sample:
        template = self._document.sample
        try:
            return Sample(
                id=sample_id(self._filled(record, "id")) if template.id else str(number),
                task=self._task(record),
                checks=tuple(
                    Named(name=name, options=self._value(record, f"check {name}", options or {}))
                    for check in template.check
                    for name, options in check.items()
                ),
                environments={
                    name: Named(
                        name=chosen.use,
                        options=self._value(record, f"environments.{name}", chosen.options),
                    )
                    for name, chosen in template.environments.items()
                },
                target=self._value(record, "target", template.target),
                group=self._filled(record, "group"),
                metadata=self._value(record, "metadata", template.metadata),
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise record.wrong(f"{where}: {first['msg']}") from error

    def _task(self, record: Record) -> Task:
        template = self._document.sample
        goal = self._filled(record, "goal")
        if not goal.strip():
            raise record.wrong("`goal` is empty with this record's fields")
        output = template.output
        return Task(
            goal=goal,
            inputs=self._value(record, "inputs", template.inputs),
            tools=tuple(template.tools),
            output_schema=SHORT_OUTPUTS[output]
            if isinstance(output, str)
            else self._value(record, "output", output),
            context=self._filled(record, "context"),
        )

    def _filled(self, record: Record, key: str) -> str:
        return written(self._value(record, key, getattr(self._document.sample, key)))

    def _value(self, record: Record, key: str, template: Any) -> Any:
        try:
            return fill(template, record.data)
        except TemplateError as error:
            raise SuiteError(
                suite=record.suite, problem=f"`{key}`: {error}", place=record.place
            ) from error
