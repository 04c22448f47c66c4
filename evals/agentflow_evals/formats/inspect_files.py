"""The two files an Inspect log may be: one JSON document, or a zip archive (.eval) of several.

Owns the containers; what is in them is for `inspect_reading` and `inspect_log`. An archive may come from
anybody, so what it says of its own sizes is kept to.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agentflow.errors import EvaluationError, MissingExtraError
from agentflow.wholefile import whole_file

MAX_MEMBER_BYTES = 512 * 2**20
ZSTANDARD = (
    93  # the method's number in a zip archive; Inspect writes it, Python 3.11 does not read it
)
LOCAL_HEADER_BYTES = 30


def read_log(path: Path) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """Return a log without its samples, and its samples.

    Raises:
        EvaluationError: The file is no log of Inspect.
        MissingExtraError: It is compressed with Zstandard, and what reads that is not installed.
        OSError: It cannot be read.
    """
    if zipfile.is_zipfile(path):
        return _from_archive(path)
    data = path.read_bytes()
    log = _parsed(path, data) if data.lstrip()[:1] == b"{" else {}
    samples = log.pop("samples", None) or []
    if "eval" not in log or not isinstance(samples, list):
        problem = "is neither a log of Inspect (.json, .eval) nor an export of `agentflow eval`"
        raise EvaluationError(problem=f"{path} {problem}")
    return log, iter(samples)


def write_log(log: dict[str, Any], samples: list[dict[str, Any]], target: Path) -> None:
    """Write a log as one JSON document, or as an archive if the name ends in `.eval`.

    Raises:
        EvaluationError: The file cannot be written.
    """
    with whole_file(target, lambda why: EvaluationError(problem=f"{target} {why}")) as file:
        if target.suffix == ".eval":
            file.write(_archive(log, samples))
        else:
            file.write(_json({**log, "samples": samples}))


def _from_archive(path: Path) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
    except zipfile.BadZipFile as error:
        raise EvaluationError(problem=f"{path} is a damaged archive: {error}") from error
    name = next((name for name in ("header.json", "_journal/start.json") if name in members), None)
    if name is None:
        raise EvaluationError(problem=f"{path} is an archive, but not a log of Inspect")
    chosen = [info for at, info in members.items() if at.startswith("samples/")]
    samples = (_parsed(path, _member(path, info)) for info in chosen)
    return _parsed(path, _member(path, members[name])), samples


def _member(path: Path, info: zipfile.ZipInfo) -> bytes:
    where = f"{path}: {info.filename}"
    if info.file_size > MAX_MEMBER_BYTES:
        raise EvaluationError(problem=f"{where} is larger than {MAX_MEMBER_BYTES} bytes")
    try:
        if info.compress_type == ZSTANDARD:
            return _zstandard(path, info)
        return _stored(path, info)
    except _DAMAGE as error:
        raise EvaluationError(problem=f"{where} is damaged: {error}") from error


def _stored(path: Path, info: zipfile.ZipInfo) -> bytes:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("it is compressed in a way that Inspect does not use")
    # Not `read`, which unpacks everything before it looks at the size.
    with zipfile.ZipFile(path) as archive, archive.open(info) as member:
        found = member.read(info.file_size + 1)
    if len(found) != info.file_size:
        raise ValueError("its size is not what the archive says")
    return found


_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    NotImplementedError,
    EOFError,
    RuntimeError,  # a member that wants a password
)


def _zstandard(path: Path, info: zipfile.ZipInfo) -> bytes:
    try:
        import zstandard  # noqa: PLC0415  an optional dependency: only Inspect's archives need it
    except ImportError as error:
        feature = "reading a log that Inspect compressed with Zstandard"
        raise MissingExtraError(feature=feature, extra="inspect") from error
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(LOCAL_HEADER_BYTES)
        skipped = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        file.seek(skipped, io.SEEK_CUR)
        packed = file.read(info.compress_size)
    try:
        # One byte more than it says there is: a member that unpacks to more is found out.
        reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
        found: bytes = reader.read(info.file_size + 1)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    if len(found) != info.file_size:
        raise ValueError("its size is not what the archive says")
    return found


def _archive(log: dict[str, Any], samples: list[dict[str, Any]]) -> bytes:
    start = {"version": log["version"], "eval": log["eval"], "plan": log["plan"]}
    summaries = [_summary(sample) for sample in samples]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_journal/start.json", _json(start))
        for sample in samples:
            name = f"samples/{sample['id']}_epoch_{sample['epoch']}.json"
            archive.writestr(name, _json(sample))
        archive.writestr("summaries.json", _json(summaries))
        archive.writestr("header.json", _json(log))
    return file.getvalue()


def _summary(sample: dict[str, Any]) -> dict[str, Any]:
    kept: tuple[str, ...] = ("id", "epoch", "input", "target", "scores", "model_usage", "uuid")
    kept += ("started_at", "completed_at", "total_time", "working_time", "metadata")
    error, limit = sample.get("error") or {}, sample.get("limit") or {}
    return {
        **{name: sample[name] for name in kept if name in sample},
        "error": error.get("message"),
        "limit": limit.get("type"),
        "message_count": len(sample["messages"]),
        "completed": True,
    }


def _parsed(path: Path, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EvaluationError(problem=f"{path} is not JSON: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise EvaluationError(problem=f"{path} is not a log of Inspect")
    return found


def _json(value: Mapping[str, Any] | list[Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
