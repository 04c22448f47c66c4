"""Read records from files that a user brings: JSON, JSON lines, CSV, Parquet, gzipped or in a ZIP archive.

Owns the way from bytes to records, each with its place, so that a wrong one can be named by file and
line. Knows no benchmark. What is read is hostile: sizes are bounded while it is unpacked, a name inside
an archive is only ever looked up in it, and nothing read is run.
"""

import csv
import gzip
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from agentflow.errors import MissingExtraError, SuiteError

MOST_BYTES = 8 << 30  # of one file, unpacked
MOST_LINE_BYTES = 512 << 20  # of one line; and of a file that is one JSON text
_PIECE_BYTES = 1 << 20
_LFS = b"version https://git-lfs"
_KINDS = (".json", ".jsonl", ".ndjson", ".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class Record:
    """One item of a data file; `place` is its file and line (or number), for errors."""

    suite: str
    place: str
    data: dict[str, Any]

    def wrong(self, problem: str) -> SuiteError:
        """Return the error that this record is not what was expected."""
        return SuiteError(suite=self.suite, problem=problem, place=self.place)

    def get(self, *names: str) -> Any:
        """Return the first of these fields that is there.

        Raises:
            SuiteError: None is.
        """
        for name in names:
            if name in self.data:
                return self.data[name]
        raise self.wrong(f"the field {' or '.join(map(repr, names))} is missing")

    def text(self, *names: str, empty: bool = False) -> str:
        """Return a field that is text.

        Raises:
            SuiteError: It is missing, empty or no text.
        """
        found: str = self._a(str, "text", names, empty=empty)
        return found

    def whole(self, *names: str) -> int:
        """Return a field that is a whole number, also one written as text.

        Raises:
            SuiteError: It is missing or something else.
        """
        found = self.get(*names)
        if isinstance(found, str) and found.strip().isdecimal() and len(found) < 20:
            return int(found)
        if isinstance(found, bool) or not isinstance(found, int):
            raise self.wrong(f"the field {_named(names, self.data)!r} is no whole number")
        return found

    def items(self, *names: str, empty: bool = False) -> list[Any]:
        """Return a field that is a list.

        Raises:
            SuiteError: It is missing, empty or no list.
        """
        return list(self._a(list, "a list", names, empty=empty))

    def texts(self, *names: str, empty: bool = False) -> list[str]:
        """Return a field that is a list of texts.

        Raises:
            SuiteError: It is something else.
        """
        found = self.items(*names, empty=empty)
        for index, item in enumerate(found):
            if not isinstance(item, str):
                raise self.wrong(f"item {index} of {_named(names, self.data)!r} is no text")
        return found

    def _a(self, kind: type, words: str, names: tuple[str, ...], *, empty: bool) -> Any:
        found = self.get(*names)
        if not isinstance(found, kind):
            name = _named(names, self.data)
            raise self.wrong(f"the field {name!r} is not {words} but {type(found).__name__}")
        if not found and not empty:
            raise self.wrong(f"the field {_named(names, self.data)!r} is empty")
        return found


def _named(names: tuple[str, ...], data: dict[str, Any]) -> str:
    return next(name for name in names if name in data)


def read_records(path: Path, suite: str) -> Iterator[Record]:
    """Yield the records of a file; its name's end says how it is written (`.gz` is unpacked).

    `archive.zip` is read if it holds one data file, `archive.zip/inside.jsonl` names one of several.

    Raises:
        SuiteError: It is not there, too large, or not what its name says.
        MissingExtraError: It is Parquet, and pyarrow is not installed.
    """
    name = path.name.removesuffix(".gz")
    with ExitStack() as stack:
        stream, shown = _opened(path, suite, stack)
        kind = Path(shown.removesuffix(".gz")).suffix.lower()
        if kind in (".jsonl", ".ndjson"):
            yield from _of_lines(stream, shown, suite)
        elif kind == ".json":
            yield from _of_json(_json(_bounded(stream, shown, suite), shown, suite), shown, suite)
        elif kind == ".csv":
            yield from _of_csv(stream, shown, suite)
        elif kind == ".parquet":
            yield from _of_parquet(stream, shown, suite)
        else:
            problem = f"{name!r} is none of: {', '.join(_KINDS)} (or these with .gz, or in a .zip)"
            raise SuiteError(suite=suite, problem=problem, place=str(path))


def read_json(path: Path, suite: str) -> Any:
    """Return what a JSON file says.

    Raises:
        SuiteError: It is not there, too large, or no JSON.
    """
    with ExitStack() as stack:
        stream, shown = _opened(path, suite, stack)
        return _json(_bounded(stream, shown, suite), shown, suite)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder, that of the sums and relative names of its files."""
    if path.is_dir():
        total = hashlib.sha256()
        for file in sorted(item for item in path.rglob("*") if item.is_file()):
            total.update(f"{sha256_of(file)}  {file.relative_to(path).as_posix()}\n".encode())
        return total.hexdigest()
    with (_archive(path) or path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _opened(path: Path, suite: str, stack: ExitStack) -> tuple[IO[bytes], str]:
    """Return a stream of the file's bytes, unpacked, and its name for errors."""
    archive = _archive(path)
    try:
        if archive is None:
            stream: IO[bytes] = stack.enter_context(path.open("rb"))
            shown = path.name
        else:
            stream, shown = _member(archive, path, suite, stack)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        problem = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise SuiteError(suite=suite, problem=problem, place=str(path)) from error
    if shown.endswith(".gz"):
        unpacked = gzip.GzipFile(fileobj=stream, mode="rb")
        stack.callback(unpacked.close)
        return cast("IO[bytes]", unpacked), shown
    return stream, shown


def _archive(path: Path) -> Path | None:
    """Return the ZIP archive that a path is or leads into."""
    return next(
        (one for one in (path, *path.parents) if one.suffix.lower() == ".zip" and one.is_file()),
        None,
    )


def _member(archive: Path, path: Path, suite: str, stack: ExitStack) -> tuple[IO[bytes], str]:
    package = stack.enter_context(zipfile.ZipFile(archive))
    inside = path.relative_to(archive).as_posix()
    names = [
        name
        for name in package.namelist()
        if name.removesuffix(".gz").endswith(_KINDS) and not name.startswith("__MACOSX/")
    ]
    if inside == "." and len(names) != 1:
        problem = f"it holds {len(names)} data files; name one: {archive.name}/NAME"
        raise SuiteError(suite=suite, problem=problem, place=str(archive))
    chosen = names[0] if inside == "." else inside
    if chosen not in package.namelist():
        raise SuiteError(suite=suite, problem=f"it holds no {chosen!r}", place=str(archive))
    if package.getinfo(chosen).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        problem = (
            f"{chosen!r} is compressed in an uncommon way; pack it again"  # and without a bound
        )
        raise SuiteError(suite=suite, problem=problem, place=str(archive))
    try:
        return stack.enter_context(package.open(chosen)), f"{archive.name}/{chosen}"
    except RuntimeError as error:  # it wants a password
        raise SuiteError(suite=suite, problem=str(error), place=str(archive)) from error


def _pieces(stream: IO[bytes], shown: str, suite: str, size: int) -> bytes:
    try:
        return stream.readline(size) if size else stream.read(_PIECE_BYTES)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise SuiteError(suite=suite, problem=f"it is damaged: {error}", place=shown) from error


def _bounded(stream: IO[bytes], shown: str, suite: str, most: int = MOST_LINE_BYTES) -> bytes:
    data = bytearray()
    while piece := _pieces(stream, shown, suite, 0):
        data += piece
        if len(data) > most:
            raise SuiteError(suite=suite, problem=f"it has over {most:,} bytes", place=shown)
    return bytes(data)


def _lines(stream: IO[bytes], shown: str, suite: str) -> Iterator[tuple[int, bytes]]:
    total = number = 0
    while line := _pieces(stream, shown, suite, MOST_LINE_BYTES + 1):
        number += 1
        total += len(line)
        if len(line) > MOST_LINE_BYTES or total > MOST_BYTES:
            place = f"{shown}:{number}"
            raise SuiteError(suite=suite, problem="it is too large to be read", place=place)
        yield number, line


def _of_lines(stream: IO[bytes], shown: str, suite: str) -> Iterator[Record]:
    for number, line in _lines(stream, shown, suite):
        if line.strip():
            place = f"{shown}:{number}"
            yield _record(_json(line, place, suite), place, suite)


def _json(data: bytes, place: str, suite: str) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        problem = f"it is not UTF-8 (byte {error.start})"
        raise SuiteError(suite=suite, problem=problem, place=place) from error
    except json.JSONDecodeError as error:
        if data.startswith(_LFS):
            problem = "a Git LFS pointer, not the data: run `git lfs pull` in its repository"
            raise SuiteError(suite=suite, problem=problem, place=place) from error
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        problem = f"no JSON: {error.msg} ({line}column {error.colno})"
        raise SuiteError(suite=suite, problem=problem, place=place) from error
    except (RecursionError, ValueError) as error:  # nested, or a number, beyond what Python reads
        problem = f"JSON that cannot be read: {str(error)[:120]}"
        raise SuiteError(suite=suite, problem=problem, place=place) from error


def _of_json(data: Any, shown: str, suite: str) -> Iterator[Record]:
    """Yield the items of a list, or those of the only list in an object, or the object itself."""
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        if not (len(data) == 1 and lists):
            yield _record(data, shown, suite)
            return
        data = lists[0]
    if not isinstance(data, list):
        raise SuiteError(suite=suite, problem="neither a list nor an object", place=shown)
    for number, item in enumerate(data, 1):
        place = f"{shown}: item {number}"
        yield _record(item, place, suite)


def _record(data: Any, place: str, suite: str) -> Record:
    if not isinstance(data, dict):
        problem = f"an object is expected, not {type(data).__name__}"
        raise SuiteError(suite=suite, problem=problem, place=place)
    return Record(suite, place, data)


def _of_csv(stream: IO[bytes], shown: str, suite: str) -> Iterator[Record]:
    try:
        text = io.StringIO(_bounded(stream, shown, suite).decode("utf-8-sig"), newline="")
        reader = csv.DictReader(text, strict=True)
        for row in reader:
            place = f"{shown}:{reader.line_num}"
            if None in row or None in row.values():
                count = len(reader.fieldnames or ())
                problem = f"the row does not have the {count} fields of the first line"
                raise SuiteError(suite=suite, problem=problem, place=place)
            yield Record(suite, place, dict(row))
    except (csv.Error, UnicodeDecodeError) as error:
        raise SuiteError(suite=suite, problem=f"no CSV: {error}", place=shown) from error


def _of_parquet(stream: IO[bytes], shown: str, suite: str) -> Iterator[Record]:
    try:
        from pyarrow import ArrowException, BufferReader  # noqa: PLC0415 - an optional dependency
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(feature="reading Parquet", extra="parquet") from error
    number = 0
    try:
        file = ParquetFile(BufferReader(_bounded(stream, shown, suite)))
        for batch in file.iter_batches(batch_size=256):
            for row in batch.to_pylist():
                number += 1
                yield Record(suite, f"{shown}: row {number}", row)
    except (ArrowException, OSError) as error:
        raise SuiteError(suite=suite, problem=f"no Parquet: {error}", place=shown) from error
