"""What is in the texts of a file that its reader should perhaps not see.

Owns the rules for what looks suspicious and how a find is told: masked, with the steps it is in. What
redaction has replaced is told too. Memory does not grow with the run.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_STEPS = 20
MOST_EXAMPLES = 4
MIN_CHARS = 6
CONTEXT_CHARS = 24
EXAMPLE_CHARS = 80
_MARK = re.compile(r"\[redacted:[^\]]*\]")


@dataclass(frozen=True)
class Rule:
    """One kind of suspicious text. `sign` must stand in a text before the pattern is tried."""

    name: str
    sign: str
    pattern: re.Pattern[str]
    is_meant: Callable[[str], bool] = lambda _found: True


def _is_mixed(found: str) -> bool:
    """Whether letters of both cases and digits are mixed, as in encoded bytes and in no prose."""
    kinds = (str.isupper, str.islower, str.isdigit)
    return all(any(kind(char) for char in found) for kind in kinds)


_IPV4 = r"\d{1,3}\.\d{1,3}"
_WORDS = (
    Rule(
        "e-mail address",
        "@",
        re.compile(
            r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"
        ),
    ),
    Rule("home directory", "/home/", re.compile(r"/home/[^/\\\s\"'<>:;,()]{1,64}")),
    Rule("home directory", "/root/", re.compile(r"(?<!\w)/root/[^/\\\s\"'<>:;,()]{1,64}")),
    Rule("home directory", "/Users/", re.compile(r"/Users/[^/\\\s\"'<>:;,()]{1,64}")),
    Rule("home directory", "\\Users\\", re.compile(r"\\Users\\{1,4}[^/\\\s\"'<>:;,()]{1,64}")),
    Rule(
        "private network address",
        "10.",
        re.compile(rf"(?<![\d.])10\.\d{{1,3}}\.{_IPV4}(?!\.?\d)"),
    ),
    Rule(
        "private network address",
        "172.",
        re.compile(rf"(?<![\d.])172\.(?:1[6-9]|2\d|3[01])\.{_IPV4}(?!\.?\d)"),
    ),
    Rule("private network address", "192.168.", re.compile(rf"(?<![\d.])192\.168\.{_IPV4}(?!\.?\d)")),
    Rule("private network address", "169.254.", re.compile(rf"(?<![\d.])169\.254\.{_IPV4}(?!\.?\d)")),
    Rule(
        "private network address",
        "::",
        re.compile(r"(?<![\w:])(?:f[cd][0-9a-f]{2}|fe80):[0-9a-f:]*:[0-9a-f]{1,4}\b", re.IGNORECASE),
    ),
    *(
        Rule(
            "internal host name",
            ending,
            re.compile(rf"(?<![\w.-])(?:[A-Za-z0-9][\w-]{{0,62}}\.){{0,8}}[A-Za-z0-9][\w-]{{0,62}}"
                       rf"{re.escape(ending)}(?![\w.(=-])"),
        )
        for ending in (".internal", ".local", ".localdomain", ".lan", ".corp", ".intranet")
    ),
    Rule(
        "password in an address",
        "://",
        re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>\[]{1,64}:[^\s/@\"'<>\[]{1,128}@"),
    ),
    Rule("web token", "eyJ", re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}")),
    *(
        Rule(
            "named like a secret",
            word,
            re.compile(
                rf"[\w-]{{0,12}}{word}\w{{0,16}}\\?[\"']?\s{{0,4}}[:=]\s{{0,4}}\\?[\"']?"
                r"(?!\[redacted)(?=[0-9]*[^\s\"'\\,;(){}\[\]0-9])[^\s\"'\\,;(){}\[\]]{8,200}"
            ),
            lambda found: any(char.isdigit() for char in found),
        )
        for word in (
            "assword", "ASSWORD", "asswd", "ASSWD", "ecret", "ECRET", "oken", "OKEN",
            "pi_key", "pi-key", "PI_KEY", "piKey", "cess_key", "CESS_KEY",
        )
    ),
)  # fmt: skip
_LONG = (
    Rule(
        "long hexadecimal value",
        "",
        re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-f]{48,}|[0-9A-F]{48,})(?![0-9A-Za-z])"),
        lambda found: any(char.isdigit() for char in found),
    ),
    Rule(
        "long encoded value",
        "",
        re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{80,}={0,2}"),
        _is_mixed,
    ),
)
_BY_SIGN = [
    (sign, [rule for rule in _WORDS if rule.sign == sign])
    for sign in dict.fromkeys(rule.sign for rule in _WORDS)
]
_LONG_WORD = re.compile(r"[A-Za-z0-9+/_-]{48}")


@dataclass
class _Found:
    rule: str
    replaced: bool
    count: int = 0
    steps: list[int] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)

    def add(self, step: int, count: int, example: str) -> None:
        self.count += count
        if len(self.steps) < MOST_STEPS and step not in self.steps:
            self.steps.append(step)
        if len(self.examples) < MOST_EXAMPLES and example not in self.examples:
            self.examples.append(example)


class Findings:
    """Collects what is found in the texts of steps.

    `rules`: what is told of a redaction rule in place of its name.
    """

    def __init__(self, rules: Mapping[str, str] | None = None) -> None:
        self._rules = rules or {}
        self._found: dict[tuple[str, bool], _Found] = {}

    def note_replaced(self, step: int, before: str, after: str) -> None:
        """Take in what redaction has replaced in a text; step 0 is the run itself."""
        counts = Counter(_MARK.findall(after))
        counts.subtract(Counter(_MARK.findall(before)))
        for mark, count in counts.items():
            if count > 0:
                example = _around(after, mark)
                name = mark.removeprefix("[redacted:")[:-1]
                self._of(self._rules.get(name, name), True).add(step, count, example)

    def look(self, step: int, text: str) -> None:
        """Take in what looks suspicious in a text as it is written."""
        if len(text) < MIN_CHARS:
            return
        for sign, rules in _BY_SIGN:  # most texts hold none, and this is the hot path
            if sign in text:
                self._try(step, text, rules)
        if _LONG_WORD.search(text):
            self._try(step, text, _LONG)

    @property
    def count(self) -> int:
        """How many places look suspicious."""
        return sum(found.count for found in self._found.values() if not found.replaced)

    def told(self) -> list[dict[str, Any]]:
        """Return the findings, the suspicious ones first, each with at most `MOST_STEPS` steps.

        `replaced`: it is not in the file any more; otherwise it is in it.
        """
        order = sorted(self._found.values(), key=lambda one: (one.replaced, -one.count, one.rule))
        return [
            {
                "rule": one.rule,
                "replaced": one.replaced,
                "count": one.count,
                "steps": sorted(one.steps),
                "examples": one.examples,
            }
            for one in order
        ]

    def _try(self, step: int, text: str, rules: Sequence[Rule]) -> None:
        for rule in rules:
            for match in rule.pattern.finditer(text):
                if rule.is_meant(match[0]):
                    self._of(rule.name, False).add(step, 1, masked(match[0]))

    def _of(self, rule: str, replaced: bool) -> _Found:
        return self._found.setdefault((rule, replaced), _Found(rule, replaced))


def masked(found: str) -> str:
    """Return enough of a find to know it by, and no more than a third of it."""
    kept = min(len(found) // 6, 8)
    if len(found) < 6:
        return "…"
    return f"{found[:kept]}…{found[-kept:]} ({len(found)} characters)"


def _around(text: str, mark: str) -> str:
    """Return a replaced place with what stands before it, which other rules have looked at too."""
    place = text.find(mark)
    start = max(0, place - CONTEXT_CHARS)
    before = " ".join(text[start:place].split())
    return f"{'…' if start else ''}{before}{mark}"[-EXAMPLE_CHARS:]
