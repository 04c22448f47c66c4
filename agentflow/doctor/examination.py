"""Look at everything at once, so that what does not answer costs its time only once.

Owns the order of the findings, which is that of their areas.
"""

from collections.abc import Callable
from functools import partial

import anyio
import anyio.to_thread

from agentflow.doctor import machine, models, packages
from agentflow.doctor.findings import Finding


async def examine_machine(journal: str | None = None) -> list[Finding]:
    """Return all findings; `journal` is a path or database URL instead of the user's own."""
    found: dict[int, list[Finding]] = {}

    async def look(place: int, at: Callable[[], list[Finding]]) -> None:
        found[place] = await anyio.to_thread.run_sync(at)

    async with anyio.create_task_group() as group:
        looks: list[Callable[[], list[Finding]]] = [
            packages.package_findings,
            models.key_findings,
            *(partial(_one, hosted) for hosted in models.HOSTED),
            models.local_findings,
            lambda: [models.embedded_finding()],
            machine.program_findings,
            partial(machine.journal_findings, journal),
        ]
        for place, at in enumerate(looks):
            group.start_soon(look, 2 * place, at)
        found[2 * len(looks) - 5] = [await models.choice_finding()]
        found[2 * len(looks) - 3] = [await machine.sandbox_finding()]
    return [finding for place in sorted(found) for finding in found[place]]


def _one(hosted: models.Hosted) -> list[Finding]:
    return [models.hosted_finding(hosted)]
