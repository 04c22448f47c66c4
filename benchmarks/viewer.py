"""What does looking at a run cost, and how soon is it there?

    python -m benchmarks.viewer
    python -m benchmarks.viewer --only live --rate 1000 --seconds 10
    python -m benchmarks.viewer --only opening --steps 100000

`live`: one process writes a run; the same without and with a viewer open on it, at a pace and at full speed.
`turns`: the latter, with a viewer that is halted and goes on every second.
`opening`: a long run in the page, from the click to the last step; scrolling, scrubbing, idleness; the bytes
against a plain list of row objects. `sharing`: the same run as one exported file.
"""

import argparse
import os
import statistics
from collections.abc import Sequence

from playwright.sync_api import Browser
from rich.console import Console
from rich.table import Table

from benchmarks.viewer_live import Phase, live_phases, quantiles
from benchmarks.viewer_opening import long_run, measure_opening, measure_sharing
from benchmarks.viewer_page import chromium
from benchmarks.viewer_turns import Turn, rate_of, ratios_of, step_us_of, turns_of

PARTS = ("live", "turns", "opening", "sharing")


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=PARTS, action="append", help="repeat it for more")
    parser.add_argument("--rate", type=float, default=1000, help="steps a second of the paced run")
    parser.add_argument("--seconds", type=float, default=10, help="how long each phase writes")
    parser.add_argument(
        "--rounds", type=int, default=2, help="of four phases: without, with x 2, without"
    )
    parser.add_argument("--turn", type=float, default=1, help="seconds of a turn at full speed")
    parser.add_argument("--steps", type=int, default=100_000, help="of the run that is opened")
    parser.add_argument("--repeats", type=int, default=3, help="how often it is opened")
    parser.add_argument("--poll", action="store_true", help="follow without a browser")
    given = parser.parse_args()
    console, parts = Console(width=100), given.only or PARTS
    with chromium() as found:
        browser = None if given.poll else found
        if browser is None:
            console.print("no browser: a client that polls as the page does; pages are left out")
        if "live" in parts:
            for rate in (given.rate, 0):
                phases = live_phases(browser, rate=rate, seconds=given.seconds, rounds=given.rounds)
                print_live(console, browser, rate, list(phases))
        if browser and "turns" in parts:
            print_turns(console, browser, given.seconds, given.turn, given.rounds)
        if browser and {"opening", "sharing"} & set(parts):
            with long_run(given.steps) as long:
                if "opening" in parts:
                    measure_opening(console, browser, long, given.repeats)
                if "sharing" in parts:
                    measure_sharing(console, browser, long)


def print_live(
    console: Console, browser: Browser | None, rate: float, phases: Sequence[Phase]
) -> None:
    """Print the phases and what follows from them."""
    pace = f"{rate:,.0f} steps a second" if rate else "full speed"
    how = "page" if browser else "polling client"
    table = Table(title=f"live, {pace}, {how}; load {os.getloadavg()[0]:.1f}")
    for name in ("viewer", "steps", "steps/s", "writer us", "server %", "page %", "delay s"):
        table.add_column(name, justify="right")
    for phase in phases:
        delay = (
            "{:.2f} · {:.2f} · {:.2f}".format(*quantiles([*phase.delays])) if phase.delays else ""
        )
        table.add_row(
            "with" if phase.is_viewed else "without",
            f"{phase.steps:,}",
            f"{phase.rate:,.0f}",
            f"{phase.step_us:.0f}",
            f"{100 * phase.server_s / phase.wall_s:.0f}" if phase.is_viewed else "",
            f"{100 * phase.page_s / phase.wall_s:.0f}" if phase.is_viewed else "",
            delay,
        )
    console.print(table)
    with_, without = (
        [phase for phase in phases if phase.is_viewed is is_viewed] for is_viewed in (True, False)
    )
    rates = [statistics.median(phase.rate for phase in some) for some in (with_, without)]
    costs = [statistics.median(phase.step_us for phase in some) for some in (with_, without)]
    delays = quantiles([delay for phase in with_ for delay in phase.delays])
    console.print(
        f"throughput with / without: {rates[0] / rates[1]:.3f}; processor time of the writer for a step: "
        f"{costs[0] / costs[1]:.3f}; delay, median · 95 % · most: "
        + " · ".join(f"{delay:.2f} s" for delay in delays)
    )


def print_turns(
    console: Console, browser: Browser, seconds: float, turn_s: float, rounds: int
) -> None:
    """Print how a writer at full speed fares while the viewer is halted, and while it goes on."""
    turns: list[Turn] = []
    ratios: list[float] = []
    for _run in range(rounds):
        some = turns_of(browser, seconds=2 * seconds, turn_s=turn_s)
        turns += some
        ratios += ratios_of(some)
    low, middle, high = statistics.quantiles(ratios, n=4)
    rates = [rate_of(turns, is_viewed=is_viewed) for is_viewed in (True, False)]
    costs = [step_us_of(turns, is_viewed=is_viewed) for is_viewed in (True, False)]
    console.print(
        f"full speed in turns of {turn_s:g} s: {rates[0]:,.0f} steps a second with a viewer, "
        f"{rates[1]:,.0f} without, {rates[0] / rates[1]:.3f}; of {len(ratios)} rounds the middle half "
        f"{low:.2f} to {high:.2f}, median {middle:.3f}; processor time of the writer for a step "
        f"{costs[0]:.0f} us with, {costs[1]:.0f} without, {costs[0] / costs[1]:.3f}; "
        f"load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
