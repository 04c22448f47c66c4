"""Put the numbers of several replicas together in one text that Prometheus reads.

Owns the label `replica`. Knows of no number what it means.
"""

from collections.abc import Mapping


def merged(texts: Mapping[str, str]) -> str:
    """Return the numbers of all replicas, each under the name of its replica."""
    families: dict[str, list[str]] = {}
    for replica, text in texts.items():
        lines: list[str] = []
        for line in text.splitlines():
            if line.startswith("#"):
                lines = families.setdefault(line, [])
            elif line:
                lines.append(_labelled(line, replica))
    return "".join(f"{line}\n" for kind, lines in families.items() for line in (kind, *lines))


def _labelled(line: str, replica: str) -> str:
    name, _, value = line.rpartition(" ")
    name, brace, labels = name.partition("{")
    rest = f",{labels}" if brace else "}"
    return f'{name}{{replica="{replica}"{rest} {value}'
