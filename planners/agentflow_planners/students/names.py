"""Names are given codes before a model is asked, and the codes in its reply are given their names again.

Owns the codes. A small model copies a word of its vocabulary in one step and strays in the letters of any other; with codes
all names are of its vocabulary, whatever they are. Known words are those of text games: what they say in every house, the
commands and the places where things are cooked or kept. All others are names.

Source: Hermann et al., Teaching Machines to Read and Comprehend, arXiv:1506.03340, section 2.2 (anonymized entities).
  There the codes are drawn anew for each question; here they come of the word itself, so that a name keeps its code
  from one question to the next, and a longer conversation begins as the shorter one did.
"""

import re
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from string import ascii_lowercase
from typing import Literal

Naming = Literal["as_told", "anonymized"]
CODES = tuple(f"q{first}{second}" for first in "abcd" for second in ascii_lowercase)
LONGEST = 4  # words of a name
_CODE = re.compile(r"(?<![A-Za-z])q[a-d][a-z](?![A-Za-z])")


class Names:
    """Codes for the names in one conversation, up to 104; what is beyond them stays as it is.

    A name is a run of words that are not known, such as `red bell pepper` or `block of cheese`.

    Args:
        naming: `as_told` for no codes at all.
        salt: Another one gives other codes.
    """

    def __init__(self, naming: Naming = "anonymized", salt: int = 0) -> None:
        self._most = len(CODES) if naming == "anonymized" else 0
        self._salt = salt
        self._codes: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def hidden(self, text: str) -> str:
        """Return the text with codes for names; names that are new get theirs."""
        return _pattern().sub(lambda found: self._code(found[0]), text)

    def hidden_if_known(self, text: str) -> str:
        """Return the text with codes for the names that have one."""
        return _pattern().sub(lambda found: self._codes.get(found[0], found[0]), text)

    def shown(self, text: str) -> str:
        """Return the text with names for codes."""
        return _CODE.sub(lambda found: self._names.get(found[0], found[0]), text)

    def _code(self, name: str) -> str:
        if name not in self._codes and len(self._codes) < self._most:
            self._codes[name] = code = self._free_code(name)
            self._names[code] = name
        return self._codes.get(name, name)

    def _free_code(self, name: str) -> str:
        digest = blake2b(f"{self._salt} {name}".encode(), digest_size=8).digest()
        first = int.from_bytes(digest)
        places = (CODES[(first + step) % len(CODES)] for step in range(len(CODES)))
        return next(code for code in places if code not in self._names)


@cache
def _pattern() -> re.Pattern[str]:
    known = files(__package__).joinpath("known_words.txt").read_text(encoding="utf-8").split()
    word = rf"(?<![A-Za-z])(?!(?:{'|'.join(known)})(?![A-Za-z]))[A-Za-z]{{2,}}"
    return re.compile(rf"{word}(?:(?: of)? {word}){{0,{LONGEST - 1}}}")
