"""What a trained model may write: Python that always parses, or one call.

Owns the grammars (GBNF). A program is of statements, `if` and `for` with one level of lines below them, calls, lists,
tuples, strings, whole numbers and sums of them; no name in it is a keyword. Whether it is of any use is up to the model.
"""

import keyword
from collections.abc import Collection, Iterator
from functools import cache

MAX_TOKENS = 400  # of one reply
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_PROGRAM = r"""
root ::= statement ("\n" statement)*
statement ::= simple | block
block ::= ("if " condition | "for " names " in " term) ":" ("\n    " simple)+
simple ::= "return " values | name (", " name)* " = " values | call
names ::= name (", " name)*
condition ::= test (" and " test)*
test ::= term ((" not in " | " in ") term)?
values ::= value (", " value)*
value ::= term (" " sign " " term)*
sign ::= "+" | "-" | "*" | "//"
term ::= call | name | number | string | list | tuple
call ::= name "(" values? ")"
list ::= "[" values? "]"
tuple ::= "(" value ", " values ")"
number ::= [1-9] [0-9]{0,8} | "0"
string ::= "\"" [^"\\\n\r]{0,120} "\""
"""


@cache
def program() -> str:
    """Return the grammar of a function's body."""
    words = [word for word in keyword.kwlist if word.islower()]
    return _PROGRAM + "\n".join(_names(words)) + "\n"


@cache
def call_of(tools: tuple[str, ...], done: str) -> str:
    """Return the grammar of one call of a tool with texts and numbers, or the word that ends an episode."""
    names = " | ".join(f'"{name}"' for name in tools)
    calls = f'({names}) "(" (term (", " term)*)? ")"' if tools else ""
    root = f'root ::= "{done}"' + (f" | {calls}" if calls else "")
    rest = ("term ::= number | string", *_PROGRAM.strip().splitlines()[-2:])
    return "\n".join((root, *rest)) + "\n"


def _names(words: Collection[str]) -> Iterator[str]:
    """Yield rules for `name`: words of small letters, digits and `_` that are none of `words`.

    There is a rule for each beginning of a word: go on as the word does, leave it for good, or end unless it is whole.
    """
    beginnings = sorted({word[:end] for word in words for end in range(len(word) + 1)})
    for beginning in beginnings:
        following = {
            word[len(beginning)]
            for word in words
            if word.startswith(beginning) and word != beginning
        }
        letters = _LETTERS + ("_" if not beginning else "_0123456789")
        others = "".join(letter for letter in letters if letter not in following)
        ways = [
            f'"{letter}" {_rule(beginning + letter)}'
            for letter in sorted(following)
            if letter in _LETTERS
        ]
        ways.append(f"[{others}] [a-z0-9_]{{0,30}}")
        if beginning and beginning not in words:
            ways.append('""')
        yield f"{_rule(beginning)} ::= {' | '.join(ways)}"


def _rule(beginning: str) -> str:
    return f"name-{beginning}" if beginning else "name"
