"""Flows whose runs have something of everything that the page can show.

A real module, so that a run of them can be forked and resumed by a command in the repository's folder.
"""

from agentflow import Message, ask, flow, generate, note, parallel, tool
from agentflow.engine.branches import BranchFailure

GUIDE = Message(role="system", text="You are a guide who says little.")


@tool
def look_up(place: str) -> str:
    """Look a place up."""
    if place == "Atlantis":
        raise LookupError("there is no Atlantis\non any map")
    return f"{place} opens at nine"


@tool
def weigh(item: int) -> int:
    """Return the weight of an item."""
    return item * 3


@tool(effect=True)
def book(place: str, *, nights: int = 1) -> str:
    """Book a place."""
    return f"booked {place} for {nights}"


@flow
async def visit(place: str) -> str:
    """Say what there is to see in one place."""
    note(f"on the way to {place}", by="train")
    facts = await look_up(place)
    talk = [GUIDE, Message(role="user", text=f"Tell me of {place}: {facts}.")]
    first = await generate(talk)
    talk += [Message(role="assistant", text=first.text), Message(role="user", text="And more?")]
    return (await generate(talk)).text


@flow
async def pack(items: int) -> int:
    """Weigh every item, each like the one before."""
    weights = [await weigh(item) for item in range(items)]
    return sum(weights)


@flow
async def trip(places: list[str], title: str = "A trip") -> str:
    """Visit places side by side, pack, and book the first."""
    order = await generate(f"Put these in order: {', '.join(places)}")
    told = await parallel((visit(place) for place in places), collect=True)
    kept = [text for text in told if not isinstance(text, BranchFailure)]
    await pack(20)
    await book(places[0])
    return f"{title}: {order.text} {len(kept)} of {len(told)}"


@flow
async def choose(places: list[str]) -> str:
    """Ask where to go, and book it."""
    facts = [await look_up(place) for place in places]
    chosen: str = await ask(f"Which one? {'; '.join(facts)}", choices=tuple(places))
    return await book(chosen)


@flow
async def lost(place: str) -> str:
    """Fail at a place that does not exist."""
    return await visit(place)


@flow
async def story(topic: str) -> str:
    """Have a model write."""
    return (await generate(f"Write about {topic}")).text
