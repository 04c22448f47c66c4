"""What a trained model may write: Python that always parses, or one call.

Owns the grammars (GBNF). A program is of statements, `if` and `for` with one level of lines below them, calls, lists,
picks from lists, tuples, strings, whole numbers and sums of them; no name in it is a keyword. Its strings may be held to
given phrases. Whether it is of any use is up to the model.
"""

import keyword
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
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
term ::= call | name | number | string | list | picked | tuple
call ::= name "(" values? ")"
list ::= "[" values? "]"
picked ::= "[" name " for " name " in " term " if " test "]"
tuple ::= "(" value ", " values ")"
"""
_NUMBER = r'''number ::= [1-9] [0-9]{0,8} | "0"'''
_ANY_STRING = r'''string ::= "\"" [^"\\\n\r]{0,120} "\""'''


class Phrases(dict[str, "Phrases"]):
    """Phrases, by their first words: what may follow each word, and whether a phrase may end with it."""

    may_end = False

    def after(self, word: str) -> "Phrases":
        """Return what may follow a word here."""
        return self.setdefault(word, Phrases())

    def rule(self) -> str:
        """Return the phrases that begin here; nothing if none of them comes to an end."""
        rests = {word: rest._rest() for word, rest in self.items()}
        return " | ".join(f'"{word}"{rest}' for word, rest in rests.items() if rest is not None)

    def _rest(self) -> str | None:
        rule = self.rule()
        if not rule:
            return "" if self.may_end else None
        return f' (" " ({rule}))' + "?" * self.may_end


@dataclass(frozen=True)
class Sight:
    """What strings are made of: a verb, a phrase and perhaps a further phrase, with a word that joins the two."""

    verbs: Collection[str]
    phrases: Phrases
    joints: Collection[str]

    def rules(self) -> str:
        """Return the rules of a string."""
        ways = ['phrase (" " joined)?', '" " joined']
        ways += ['verb " "?', f'verb " " {ways[0]}'] if self.verbs else []
        lines = [
            rf'string ::= "\"" ({" | ".join(ways)})? "\""',
            f'joined ::= ({_any(self.joints)}) " " phrase',
            f"phrase ::= {self.phrases.rule()}",
        ]
        return "\n".join([*lines, f"verb ::= {_any(self.verbs)}"] if self.verbs else lines)


def program(sight: Sight | None = None) -> str:
    """Return the grammar of a function's body."""
    return "\n".join((_PROGRAM, _program_names(), _NUMBER, _string(sight), ""))


def call_of(tools: Iterable[str], done: str, sight: Sight | None = None) -> str:
    """Return the grammar of one call of a tool with texts and numbers, or the word that ends an episode."""
    names = " | ".join(f'"{name}"' for name in tools)
    calls = f' | ({names}) "(" (term (", " term)*)? ")"' if names else ""
    term = "term ::= number | string"
    return "\n".join((f'root ::= "{done}"{calls}', term, _NUMBER, _string(sight), ""))


def _string(sight: Sight | None) -> str:
    return _ANY_STRING if sight is None else sight.rules()


def _any(words: Iterable[str]) -> str:
    return " | ".join(f'"{word}"' for word in words)


@cache
def _program_names() -> str:
    return "\n".join(_names([word for word in keyword.kwlist if word.islower()]))


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
