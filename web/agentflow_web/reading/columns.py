"""The events of one run as compact arrays.

Owns what is kept of an event and of a step for the pages: numbers, times and short words, never a
payload. An event is a slot of three arrays by its number, a step a slot of others by its own; slot 0
of each is unused. Slots are filled in any order and never changed afterwards; a slot of `types` is set
last and says that the event is there. About 13 bytes an event and 41 a step.
"""

from array import array
from typing import Any

from agentflow.journal.events import Details

UNSPENT = -2
"""In `cost`: the step called no model itself."""
UNKNOWN_COST = -1
"""In `cost`: nobody knows the price."""
NO_MODEL = -1
EFFECT, TAKEN = 1, 2
MICRO = 1_000_000
ERROR_CHARS = 200
_MOST_TOKENS = 2**31 - 1


class Columns:
    """What is known of the events and steps of one run; see the module for the rules."""

    def __init__(self) -> None:
        self.types = bytearray(b"-")
        self.at_us = array("q", [0])
        self.step = array("i", [0])
        self.last = 0
        self.steps = 0
        self.parent = array("i", [0])
        self.name = array("i", [0])
        self.start_event = array("i", [0])
        self.end_event = array("i", [0])
        self.tokens_in = array("i", [0])
        self.tokens_out = array("i", [0])
        self.cost = array("q", [UNSPENT])
        self.model_begun = array("i", [NO_MODEL])
        self.model_ended = array("i", [NO_MODEL])
        self.flags = bytearray(1)
        self.names: list[tuple[str, str]] = []
        self.models: list[str] = []
        self.attempts: dict[int, int] = {}
        self.errors: dict[int, str] = {}
        self.links: dict[int, tuple[int, ...]] = {}
        self.remarks: dict[int, list[int]] = {}
        """By step: the events X and N about it."""
        self.asks: list[int] = []
        self._name_numbers: dict[tuple[str, str], int] = {}
        self._model_numbers: dict[str, int] = {}

    def begin(
        self, number: int, at_us: int, step: int, parent: int, name: tuple[str, str], facts: Details
    ) -> None:
        """Take in that a step started; `name` is its name and kind, `facts` the details of the start.

        Raises:
            ValueError: It cannot have started like that.
        """
        if not 0 <= parent < step <= number:
            raise ValueError(f"event {number} starts step {step} below step {parent}")
        if step >= len(self.flags):
            self._reserve_step(step)
        self.steps = max(self.steps, step)
        if self.start_event[step]:
            raise ValueError(f"event {number} starts step {step} a second time")
        self.parent[step] = parent
        self.name[step] = self._number_of_name(name)
        self.start_event[step] = number
        if facts:
            self._begin_facts(step, facts)
        if name[1] == "ask":
            self.asks.append(step)
        self.mark("S", number, at_us, step)

    def end(self, letter: str, number: int, at_us: int, step: int, facts: Details) -> None:
        """Take in that a step ended; `facts` are the details of its end.

        Raises:
            ValueError: It has not started.
        """
        if not 0 < step <= self.steps or not self.start_event[step]:
            raise ValueError(f"event {number} ends step {step}, which has not started")
        self.end_event[step] = number
        if facts or letter == "E":
            self._end_facts(letter, step, facts)
        self.mark(letter, number, at_us, step)

    def remark(self, letter: str, number: int, at_us: int, step: int) -> None:
        """Take in an expansion of a step, or a note; `step` 0 is the run itself."""
        if step:
            self.remarks.setdefault(step, []).append(number)
        self.mark(letter, number, at_us, step)

    def mark(self, letter: str, number: int, at_us: int, step: int = 0) -> None:
        """Fill the slot of an event.

        Raises:
            ValueError: It is filled already.
        """
        if number < 1:
            raise ValueError(f"there is an event {number}")
        if number >= len(self.types):
            self._reserve_event(number)
        if self.types[number]:
            raise ValueError(f"there are two events {number}")
        self.at_us[number] = at_us
        self.step[number] = step
        self.types[number] = ord(letter)
        if number > self.last:
            self.last = number

    def complete_from(self, number: int) -> int:
        """Return the number of the last event before the first empty slot above `number`."""
        empty = self.types.find(b"\0", number + 1)
        return (len(self.types) if empty < 0 else empty) - 1

    def _begin_facts(self, step: int, facts: Details) -> None:
        if (model := facts.get("model")) is not None:
            self.model_begun[step] = self._number_of_model(model)
        if facts.get("effect"):
            self.flags[step] |= EFFECT
        if links := facts.get("links"):
            self.links[step] = tuple(int(link) for link in links)

    def _end_facts(self, letter: str, step: int, facts: Details) -> None:
        if (model := facts.get("model")) is not None:
            self.model_ended[step] = self._number_of_model(model)
        if (attempts := int(facts.get("attempts", 1))) > 1:
            self.attempts[step] = attempts
        if (failure := facts.get("failure")) is not None:
            self.errors[step] = _in_short(failure)
        if "origin" in facts:
            self.flags[step] |= TAKEN
            return
        usage = facts.get("usage")
        is_billed = letter == "E" and self.names[self.name[step]][1] == "model"
        if usage is not None or is_billed:
            self._spend(step, usage or {}, facts.get("cost_usd") if is_billed else 0)

    def _spend(self, step: int, usage: Details, cost_usd: float | None) -> None:
        self.tokens_in[step] = min(usage.get("input_tokens", 0), _MOST_TOKENS)
        self.tokens_out[step] = min(usage.get("output_tokens", 0), _MOST_TOKENS)
        self.cost[step] = UNKNOWN_COST if cost_usd is None else round(cost_usd * MICRO)

    def _reserve_event(self, number: int) -> None:
        room = number + 1 - len(self.types) + (number >> 3) + 1024
        self.types.extend(bytes(room))
        _grow(self.at_us, room, 0)
        _grow(self.step, room, 0)

    def _reserve_step(self, step: int) -> None:
        room = step + 1 - len(self.flags) + (step >> 3) + 256
        self.flags.extend(bytes(room))
        for column in (self.parent, self.name, self.start_event, self.end_event):
            _grow(column, room, 0)
        for column in (self.tokens_in, self.tokens_out):
            _grow(column, room, 0)
        _grow(self.cost, room, UNSPENT)
        _grow(self.model_begun, room, NO_MODEL)
        _grow(self.model_ended, room, NO_MODEL)

    def _number_of_name(self, name: tuple[str, str]) -> int:
        number = self._name_numbers.get(name)
        if number is None:
            number = self._name_numbers[name] = len(self.names)
            self.names.append(name)
        return number

    def _number_of_model(self, model: str) -> int:
        number = self._model_numbers.get(model)
        if number is None:
            number = self._model_numbers[model] = len(self.models)
            self.models.append(str(model))
        return number


def _grow(column: "array[int]", room: int, value: int) -> None:
    column.extend(array(column.typecode, [value]) * room)


def _in_short(failure: dict[str, Any]) -> str:
    lines = str(failure["message"]).strip().splitlines()
    text = f"{failure['name']}: {lines[0]}" if lines else str(failure["name"])
    return text if len(text) <= ERROR_CHARS else text[: ERROR_CHARS - 1] + "…"
