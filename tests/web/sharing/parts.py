"""Runs to share, a small build of a viewer, and what a browser would make of a file."""

import base64
import gzip
import hashlib
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from agentflow_web.sharing.bundle import Options, Written, write_bundle

from agentflow.journal.store import Store
from tests.web.reading.parts import Client

INDEX = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>AgentFlow</title>
    <script type="module" crossorigin src="./app.js"></script>
    <link rel="stylesheet" crossorigin href="./app.css">
  </head>
  <body>
    <div id="app"></div>
  </body>
</html>
"""


def make_build(folder: Path, script: str = "var a = 1;", style: str = "p { color: red }") -> Path:
    """Write what a build of the viewer consists of."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "app.js").write_bytes(script.encode())
    (folder / "app.css").write_bytes(style.encode())
    return folder


@dataclass
class Element:
    """A tag with what stands in it as it is."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""


class Document(HTMLParser):
    """A page as a browser takes it apart: where a script ends is where its text says so."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.loose = ""
        self._open: Element | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))
        self._open = self.elements[-1] if tag in ("script", "style", "title") else None

    def handle_endtag(self, tag: str) -> None:
        if self._open is not None and self._open.tag == tag:
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is None:
            self.loose += data
        else:
            self._open.text += data

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]


@dataclass
class Shared:
    """A file that was written, taken apart."""

    page: str
    written: Written
    document: Document = field(init=False)
    chunks: dict[str, bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.document = Document(self.page)
        self.chunks = {
            str(element.attributes["data-chunk"]): gzip.decompress(base64.b64decode(element.text))
            for element in self.document.all("script")
            if "data-chunk" in element.attributes
        }

    def json(self, name: str) -> Any:
        return json.loads(self.chunks[name])

    @property
    def about(self) -> Any:
        return self.json("run")

    @property
    def steps(self) -> dict[int, Any]:
        """Every step, from the chunk in which the page looks for it."""
        found = {}
        for name in self.chunks:
            if name.startswith("steps:"):
                first = int(name.removeprefix("steps:")) * self.about["chunk"]
                for step in self.json(name):
                    assert first < step["number"] <= first + self.about["chunk"]
                    found[step["number"]] = step
        return found

    @property
    def client(self) -> Client:
        """The pages put together as the page in the browser does."""
        client = Client()
        for after in self.about["pages"]:
            client.apply(self.json(f"events:{after}"))
        return client

    @property
    def everything(self) -> str:
        """All that can be read in the file, packed or not."""
        texts = [self.page, *(data.decode() for data in self.chunks.values())]
        return "\n".join(texts)


def shared(store: Store, run: str, build: Path, **options: Any) -> Shared:
    """Write a run and take the file apart."""
    parts: list[bytes] = []
    written = write_bundle(parts.append, store, run, Options(**options), build=build)
    data = b"".join(parts)
    assert len(data) == written.size_bytes
    return Shared(data.decode(), written)


def policy(document: Document) -> dict[str, str]:
    """Return the directives of the page's policy."""
    metas = [meta for meta in document.all("meta") if "http-equiv" in meta.attributes]
    assert [meta.attributes["http-equiv"] for meta in metas] == ["Content-Security-Policy"]
    pairs = (part.strip().partition(" ") for part in str(metas[0].attributes["content"]).split(";"))
    return {name: value for name, _, value in pairs}


def hash_of(text: str) -> str:
    """Return how a policy names a text."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
