"""Turing machines, and what they do by definition.

Owns their tables (state, symbol: symbol to write, move, next state), a direct simulation, and the
automaton that one of them computes; and how a table is written as the memory of a stored-instruction
machine: a prompt for each state, a cell for each symbol. Knows no model.
"""

from collections.abc import Iterator, Mapping, Sequence

Rules = Mapping[str, Mapping[str, tuple[str, int, str]]]

HALT, OP = "halt", "op"
COPY = "Copy the line that begins with the symbol, nothing else."
Configuration = tuple[str, int, dict[int, str]]  # state, head, tape

# The busy beaver of four states: 107 steps, 13 ones (Brady 1983).
BEAVER: Rules = {
    "A": {"0": ("1", 1, "B"), "1": ("1", -1, "B")},
    "B": {"0": ("1", -1, "A"), "1": ("0", -1, "C")},
    "C": {"0": ("1", 1, HALT), "1": ("1", -1, "D")},
    "D": {"0": ("1", 1, "D"), "1": ("0", 1, "A")},
}

# Adds one to a binary number whose last digit the head is on.
COUNTER: Rules = {"carry": {"0": ("1", -1, HALT), "1": ("0", -1, "carry")}}

_NEXT_110 = {"111": "0", "110": "1", "101": "1", "100": "0", "011": "1", "010": "1", "001": "1"}

# Rule 110, which is universal (Cook 2004), between two marks. A pass to the right remembers two old
# cells in its state and writes the new value one cell late; the row thus moves right by one a pass.
RULE_110: Rules = {
    **{
        f"P{pair}": {
            **{
                cell: (_NEXT_110.get(f"{pair}{cell}", "0"), 1, f"P{pair[1]}{cell}") for cell in "01"
            },
            "#": (_NEXT_110.get(f"{pair}0", "0"), 1, "mark"),
        }
        for pair in ("00", "01", "10", "11")
    },
    "mark": dict.fromkeys("01#", ("#", -1, "back")),
    "back": {"0": ("0", -1, "back"), "1": ("1", -1, "back"), "#": ("#", 1, "P00")},
}


def simulated(
    rules: Rules, tape: Sequence[str], *, state: str, head: int = 0, steps: int
) -> Iterator[Configuration]:
    """Yield the configuration after each step, until it halts or for so many steps."""
    cells = dict(enumerate(tape))
    for _step in range(steps):
        if state == HALT:
            return
        written, move, state = rules[state][cells.get(head, "0")]
        cells[head] = written
        head += move
        yield state, head, dict(cells)


def rule_110(row: str) -> str:
    """Return the next row of the automaton, one cell longer on the left; outside all is 0."""
    padded = f"00{row}0"
    return "".join(_NEXT_110.get(padded[at : at + 3], "0") for at in range(len(row) + 1))


def turing_memory(
    rules: Rules, tape: Sequence[str], *, state: str, head: int = 0
) -> dict[str, str]:
    """Return a Turing machine as memory: a prompt for each state, a cell for each symbol of the tape."""
    prompts = {name: _state_prompt(row) for name, row in rules.items()}
    written = {str(place): symbol for place, symbol in enumerate(tape)}
    return prompts | written | {OP: state, "i": str(head)}


def _state_prompt(row: Mapping[str, tuple[str, int, str]]) -> str:
    moves = {1: "i += 1", -1: "i -= 1"}
    lines = "\n".join(
        f'case {symbol}: %[i] = "{written}"; {moves[move]}; {OP} = "{following}"'
        for symbol, (written, move, following) in row.items()
    )
    return f"{COPY}\n{lines}\n\nsymbol: @[@[i]]\ncase @[@[i]]:"
