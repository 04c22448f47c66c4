"""GAIA, and other files of its form: questions for an assistant with tools (arXiv:2311.12983).

Owns the published format: `metadata.jsonl` (or `.parquet`) with `Question`, `Level`, `Final answer` and
`file_name`, attached files beside it. The planner sees the question and the path of the attached file;
the answer and the annotators' notes are not in the task.
"""

from collections.abc import Iterator
from pathlib import Path

from agentflow.solving import Named
from agentflow.task import Task
from agentflow_evals.suite import Sample, sample_id
from agentflow_evals.suites.by_path.brought import BroughtSuite
from agentflow_evals.suites.files import Record

_CONTEXT = (
    "The answer is a number, a few words, or a list of these with commas between. Numbers have digits only, "
    "no thousands separators, and a unit only if one is asked for. Words have no articles and no "
    "abbreviations. End with a line `FINAL ANSWER:` and the answer."
)
_FILES = ("metadata.jsonl", "metadata.parquet")


class Gaia(BroughtSuite):
    """GAIA, or JSON lines of its form; bring the folder of a split, with metadata.jsonl and its files."""

    NAME = "gaia"
    SOURCE = "gaia-benchmark/GAIA"

    def __init__(
        self,
        *,
        path: str,
        level: int = 0,
        files: bool = True,
        tools: tuple[str, ...] = (),
        attachments: str = "",
        sha256: str = "",
    ) -> None:
        """Choose questions.

        Args:
            path: The folder of a split (2023/validation), or its metadata file.
            level: Only this one, 1 to 3; 0: all.
            files: Whether questions with an attached file are asked.
            tools: The names of the tools that a planner may use; GAIA asks for a browser and more.
            attachments: The folder of the attached files, if it is not that of the metadata.
            sha256: The sum that the metadata file must have.
        """
        super().__init__(path, sha256)
        if level not in range(4):
            raise self.wrong(f"level is 1 to 3, or 0 for all, not {level}")
        self._level, self._files, self._tools = level, files, tuple(tools)
        self._attachments = Path(attachments).expanduser() if attachments else None

    @property
    def data(self) -> Path:
        """The metadata file."""
        return self.file_in(*_FILES)

    def samples(self) -> Iterator[Sample]:
        """Yield the questions in the order of the file."""
        self._keep_answers_apart()
        for record in self.records():
            level = record.whole("Level")
            name = record.data.get("file_name") or ""
            if self._level not in (0, level) or (name and not self._files):
                continue
            answer = _answer(record)
            inputs = {"file": self._attached(record, name)} if name else {}
            yield Sample(
                id=sample_id(record.text("task_id")),
                task=Task(
                    goal=record.text("Question"), inputs=inputs, context=_CONTEXT, tools=self._tools
                ),
                checks=(Named(name="gaia", options={"answer": answer}),),
                target=answer,
                group=f"level {level}",
            )

    def _keep_answers_apart(self) -> None:
        """Refuse tools where they could read the answers: they see what lies below the working folder."""
        if self._tools and self.data.resolve().is_relative_to(Path.cwd().resolve()):
            problem = (
                "its answers lie below the working folder, where tools can read them; keep the metadata "
                "elsewhere, the files alone here, and say so: --set attachments=FOLDER"
            )
            raise self.wrong(problem)

    def _attached(self, record: Record, name: object) -> str:
        folder = (self._attachments or self.data.parent).resolve()
        file = (folder / str(name)).resolve()
        if not isinstance(name, str) or not file.is_relative_to(folder):
            raise record.wrong(f"the field 'file_name' leads out of the folder: {name!r}")
        if not file.is_file():
            raise record.wrong(
                f"its file {name!r} is not there; set `files` to false to go without"
            )
        return str(file)


def _answer(record: Record) -> str:
    found = record.get("Final answer", "final_answer")
    answer = str(found).strip() if isinstance(found, str | int | float) else ""
    if answer in ("", "?"):
        raise record.wrong("it has no 'Final answer' (those of the test set are not published)")
    return answer
