"""What a power cut leaves: only what was synchronised. Whatever a flow has seen is in it."""

import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentflow import Journal, Runner, flow, parallel, tool
from agentflow.journal.commits import Committer

pytestmark = pytest.mark.anyio


class Disk:
    """Knows how much of the write-ahead log has been synchronised, and can lose the rest."""

    def __init__(self, journal: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._journal, self._log = Path(journal), Path(f"{journal}-wal")
        self._synced = 0
        real = Committer.commit

        def commit(committer: Committer, batch: Any, *, must_sync: bool, wait: bool = True) -> None:
            real(committer, batch, must_sync=must_sync, wait=wait)
            if must_sync and self._log.exists():
                self._synced = self._log.stat().st_size

        monkeypatch.setattr(Committer, "commit", commit)

    def after_a_power_cut(self, folder: Path) -> str:
        """Return a copy of the journal as the disk holds it for certain."""
        folder.mkdir()
        shutil.copy(self._journal, folder / "j.db")
        (folder / "j.db-wal").write_bytes(self._log.read_bytes()[: self._synced])
        return str(folder / "j.db")


async def test_every_result_a_flow_has_seen_survives_a_power_cut(
    sqlite_journal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(sqlite_journal, monkeypatch)
    seen: list[int] = []
    called: list[int] = []
    copies: list[tuple[str, list[int]]] = []
    is_live = [True]

    @tool
    async def work(x: int) -> int:
        called.append(x)
        await anyio.sleep(0.001 * (x % 3))
        return x

    @flow
    async def branch(start: int) -> int:
        total = 0
        for x in range(start, start + 3):
            total += await work(x)
            if is_live[0]:
                seen.append(x)
                folder = tmp_path / f"copy{len(copies)}"
                copies.append((disk.after_a_power_cut(folder), list(seen)))
        return total

    @flow
    async def whole() -> int:
        return sum(await parallel(branch(start) for start in (0, 10, 20)))

    result = await Runner(journal=sqlite_journal).run_as("cut", whole)
    is_live[0] = False
    assert len(copies) == 9
    for copy, seen_then in copies:
        with Journal(copy) as journal:
            record = journal.run("cut")
        finished = {step.input for step in record.steps.values() if step.status == "succeeded"}
        assert {f'{{"x":{x}}}'.encode() for x in seen_then} <= finished
        called.clear()
        assert (await Runner(journal=copy).resume(whole, "cut")).output == result.output
        assert not set(called) & set(seen_then), "nothing that was seen is done again"


async def test_an_effect_has_its_intent_on_disk_before_it_starts(
    sqlite_journal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(sqlite_journal, monkeypatch)
    copies: list[str] = []

    @tool(effect=True)
    async def pay() -> str:
        copies.append(disk.after_a_power_cut(tmp_path / "copy"))
        return "paid"

    @flow
    async def shop() -> str:
        return await pay()

    await Runner(journal=sqlite_journal, durability="behind").run_as("shop", shop)
    with Journal(copies[0]) as journal:
        record = journal.run("shop")
    assert [(step.name, step.status) for step in record.steps.values()] == [
        ("shop", "running"),
        ("pay", "running"),
    ]
