"""Describe what agents ask of a server of recurrent models, and ask a peer for it, wave by wave.

Owns the shapes, the tokens and how many of them have to be read at least. Knows no peer and imports
nothing but the standard library: a peer may live in an environment of its own.

A wave is one level of the tree: every parent's reply is known, all children are asked at once. All
prompts of a wave are equally long, so that a peer may batch them without padding.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from operator import mul
from pathlib import Path
from typing import Any, Protocol

Tokens = tuple[int, ...]
FIRST_TOKEN, LAST_TOKEN = 300, 8_000  # plain ones in every vocabulary of `recurrent_models`


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A prefix that all share, then at each level: branch, `new` tokens of prompt, a reply."""

    name: str
    prefix: int
    branching: tuple[int, ...]
    new: int
    generated: int

    @property
    def widths(self) -> tuple[int, ...]:
        """Nodes of each level."""
        return tuple(accumulate(self.branching, mul))

    @property
    def nodes(self) -> int:
        return sum(self.widths)

    @property
    def title(self) -> str:
        shape = "·".join(map(str, self.branching))
        return (
            f"{self.name}: {self.prefix:,} shared tokens, branches {shape} ({self.nodes} nodes), "
            f"{self.new} new and {self.generated} generated tokens a node"
        )

    @property
    def least_tokens(self) -> int:
        """Prompt tokens to read if none is read twice."""
        return self.prefix + self.new * self.nodes

    @property
    def prompt_tokens(self) -> int:
        """Prompt tokens to read if nothing is kept."""
        levels = enumerate(self.widths, 1)
        return sum(width * self.prompt_length(depth) for depth, width in levels)

    @property
    def longest(self) -> int:
        """Tokens of a sequence at its end."""
        return self.prompt_length(len(self.branching)) + self.generated

    def prompt_length(self, depth: int) -> int:
        return self.prefix + depth * self.new + (depth - 1) * self.generated


def workloads(*, quick: bool) -> dict[str, Workload]:
    """Return them by name; `quick` ones only show that everything runs."""
    tree = Workload(name="tree", prefix=2_048, branching=(3, 3, 3, 3), new=32, generated=64)
    # The same, but no length is a multiple of anything: messages end where they end.
    ragged = replace(tree, name="ragged", prefix=2_041, new=37, generated=59)
    turns = (16, 1, 1, 1, 1, 1)  # sixteen conversations of six turns under one system prompt
    chat = Workload(name="chat", prefix=512, branching=turns, new=48, generated=64)
    if quick:
        tree = replace(tree, prefix=512, branching=(3, 3), new=16, generated=16)
        ragged = replace(ragged, prefix=509, branching=(3, 3), new=17, generated=13)
        chat = replace(chat, prefix=128, branching=(4, 1, 1), new=16, generated=16)
    return {each.name: each for each in (tree, ragged, chat)}


@dataclass(frozen=True)
class Ask:
    """A prompt; its first `shared` tokens are those of the parent, its reply included."""

    tokens: Tokens
    shared: int


@dataclass(kw_only=True)
class Wave:
    """What a peer answered, and what that took. Seconds are CPU seconds but for `wall_s`.

    `prefill_s` is None where the peer does not tell. `measured` is the share of the prompts that
    were really asked; seconds and tokens are then those of all, by proportion.
    """

    replies: list[Tokens]
    prefilled_tokens: int
    total_s: float
    wall_s: float
    prefill_s: float | None = None
    decode_s: float | None = None
    measured: float = 1.0


class Peer(Protocol):
    """A server in this process."""

    def wave(self, asks: list[Ask], generated: int) -> Wave:
        """Answer all with exactly so many tokens each, the likeliest."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return what else a reader should know: settings, counters."""
        ...

    def close(self) -> None: ...


def drive(
    peer: Peer, workload: Workload, notes: Path | None = None, about: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Run a workload and return what it took; each wave is noted in a file, with `about`."""
    peer.wave([Ask(tuple(_new_tokens("warm", 64)), 32)], 2)  # what the first call alone takes
    waves: list[dict[str, Any]] = []
    parents = [tuple(_new_tokens("root", workload.prefix))]
    for depth, children in enumerate(workload.branching, 1):
        asks = list(_asks(parents, children, depth, workload.new))
        wave = peer.wave(asks, workload.generated)
        assert all(len(reply) == workload.generated for reply in wave.replies)
        parents = [ask.tokens + reply for ask, reply in zip(asks, wave.replies, strict=True)]
        figures = {key: value for key, value in asdict(wave).items() if key != "replies"}
        waves.append({"depth": depth, "nodes": len(asks)} | figures)
        if notes:
            with notes.open("a") as file:
                file.write(json.dumps((about or {}) | waves[-1]) + "\n")
    told = {key: _sum(waves, key) for key in ("prefill_s", "decode_s", "total_s", "wall_s")}
    prefilled = _sum(waves, "prefilled_tokens")
    measured = min(wave["measured"] for wave in waves)
    return told | {"prefilled_tokens": prefilled, "measured": measured, "waves": waves}


def _asks(parents: list[Tokens], children: int, depth: int, new: int) -> Iterator[Ask]:
    for place, parent in enumerate(parents):
        for child in range(children):
            added = _new_tokens(f"{depth}/{place}/{child}", new)
            yield Ask(parent + tuple(added), len(parent))


def _new_tokens(place: str, count: int) -> list[int]:
    return random.Random(place).choices(range(FIRST_TOKEN, LAST_TOKEN), k=count)


def _sum(waves: list[dict[str, Any]], key: str) -> Any:
    values = [wave[key] for wave in waves]
    return None if None in values else sum(values)
