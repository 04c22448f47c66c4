"""What of a run, a page, a step may stand in a file: without secrets, and without contents if asked so.

Owns where texts are in the shapes of the API; words of the API itself are left alone. A content is cleaned
whole and cut afterwards, so that nothing hides in a cut. Whether texts are worth a second look is for
`findings.py`.
"""

import json
from collections.abc import Sequence
from typing import Any

from agentflow.redaction import Redactor
from agentflow_web.reading.contents import SHOWN_BYTES
from agentflow_web.sharing.findings import Findings

LEFT_OUT = "(left out of this file)"
_KEPT_SETTINGS = ("budget", "labels")
_MODEL_NAME = ("provider", "name")
Data = dict[str, Any]


def named(redact: Sequence[str]) -> dict[str, str]:
    """Return regular expressions by the names that stand where they have matched."""
    return {f"rule-{place}": text for place, text in enumerate(redact, 1) if text}


class Cleaner:
    """Makes what may be written from what was read.

    Args:
        redact: Regular expressions; what they match is replaced, as is what looks like a key.
        contents: Whether texts of the run go along, or names and figures only.
        findings: Where to tell what was found, if anybody wants to know.

    Raises:
        RedactionError: An expression of `redact` cannot be used.
    """

    def __init__(
        self, redact: Sequence[str], *, contents: bool, findings: Findings | None = None
    ) -> None:
        self._redactor = Redactor(named(redact))
        self.has_contents = contents
        self._findings = findings

    def run(self, run: Data, *, framed: bool) -> Data:
        """Return a `Run`, its contents uncut; `framed`: without contents, since it stands above a branch."""
        bare = framed or not self.has_contents
        settings = {name: fact for name, fact in run["settings"].items() if name != "redact"}
        if bare:
            settings = _figures(settings)
        texts = {
            "id": self._told(run["id"]),
            "flow": self._told(run["flow"]),
            "target": "" if bare else self._told(run["target"]),
            "parent": self._data(0, run["parent"]),
            "labels": self._data(0, run["labels"]),
            "settings": self._data(0, settings),
            "input": self._content_of_run(run["input"], framed),
            "output": run["output"] and self._content_of_run(run["output"], framed),
            "error": self._error(0, run["error"], bare=bare),
            "questions": self._questions(run["questions"]),
        }
        return run | texts | {"is_live": False, "cwd_ok": False}

    def page(self, page: Data, above: frozenset[int]) -> Data:
        """Return a `Page`; of steps in `above` the errors lose what is said in them."""
        errors = {
            step: self._clean(text) if self.has_contents and step not in above else _kind(text)
            for step, text in page["errors"].items()
        }
        names = [[self._clean(name), kind] for name, kind in page["names"]]
        models = [self._clean(name) for name in page["model"]["names"]]
        return page | {
            "names": names,
            "errors": errors,
            "model": page["model"] | {"names": models},
        }

    def step(self, step: Data, number: int, *, framed: bool) -> Data:
        """Return a `Step` but for its contents.

        Args:
            step: As read.
            number: Its number in the run, for what is found.
            framed: It stands above a branch: without contents.
        """
        bare = framed or not self.has_contents
        return step | {
            "key": "" if bare else step["key"],  # who guesses an input can tell by it
            "name": self._text(number, step["name"]),
            "model": self._data(number, step["model"]),
            "error": self._error(number, step["error"], bare=bare),
            "parameters": {} if bare else self._data(number, step["parameters"]),
            "origin": self._data(number, step["origin"]),
            "details": {} if bare else self._data(number, step["details"]),
            "notes": [self._note(number, note, bare=bare) for note in step["notes"]],
        }

    def annotation(self, annotation: Data, *, is_told: bool) -> Data:
        """Return an `Annotation`; `is_told`: what is found in it counts."""
        look = self._text if is_told else lambda _number, text: self._clean(text)
        words = {word: look(annotation["step"] or 0, annotation[word]) for word in ("text", "tag")}
        return annotation | words

    def content(
        self, number: int, content: Data, text: str, *, framed: bool
    ) -> tuple[Data, str | None]:
        """Return a `Content`, and all of its text where that is longer than what is shown.

        Args:
            number: The step's number in the run.
            content: As read.
            text: All of its text.
            framed: Leave it out, since it stands above a branch.
        """
        if framed or not self.has_contents:
            return content | {"text": LEFT_OUT, "cut": False, "is_json": False}, None
        clean = self._content(number, text, is_json=content["is_json"])
        size = len(clean.encode("utf-8", "replace")) if clean != text else content["bytes"]
        if size <= SHOWN_BYTES:
            return content | {"text": clean, "bytes": size, "cut": False}, None
        shown = clean.encode("utf-8", "replace")[:SHOWN_BYTES].decode("utf-8", "ignore")
        return content | {"text": shown, "bytes": size, "cut": True}, clean

    def title(self, flow: str, run: str) -> str:
        """Return the title of the file."""
        return f"{self._clean(flow) or 'run'} {self._clean(run)} · AgentFlow"

    def _content_of_run(self, content: Data, framed: bool) -> Data:
        return self.content(0, content, content["text"], framed=framed)[0]

    def _questions(self, questions: Sequence[Data]) -> list[Data]:
        if not self.has_contents:
            return []
        return [
            one
            | {name: self._data(one["step"], one[name]) for name in ("text", "choices", "schema")}
            for one in questions
        ]

    def _error(self, number: int, error: Data | None, *, bare: bool) -> Data | None:
        if error is None:
            return None
        type_ = self._text(number, error["type"])
        if bare:
            return {"type": type_, "message": "", "trace": "", "facts": {}}
        told = {name: self._text(number, error[name]) for name in ("message", "trace")}
        return {"type": type_, **told, "facts": self._data(number, error["facts"])}

    def _note(self, number: int, note: Data, *, bare: bool) -> Data:
        if bare:
            return note | {"text": LEFT_OUT, "details": {}}
        details = self._data(number, note["details"])
        return note | {"text": self._text(number, note["text"]), "details": details}

    def _content(self, number: int, text: str, *, is_json: bool) -> str:
        """Return a recorded text; what stands in a string of JSON is looked at without its escapes too."""
        clean = text
        if is_json and "\\" in text:
            clean = self._unescaped(text)
        clean = self._clean(clean)
        self._look(number, text, clean)
        return clean

    def _unescaped(self, text: str) -> str:
        try:
            value = json.loads(text)
            clean = self._all(value)
            if clean == value:
                return text
            return json.dumps(clean, ensure_ascii=False, separators=(",", ":"))
        except (ValueError, RecursionError):  # no JSON after all: it is looked at as it is
            return text

    def _told(self, text: str) -> str:
        return self._text(0, text)

    def _text(self, number: int, text: str) -> str:
        clean = self._clean(text)
        self._look(number, text, clean)
        return clean

    def _data(self, number: int, value: Any) -> Any:
        """Return plain data, its texts clean."""
        if isinstance(value, str):
            return self._text(number, value)
        if isinstance(value, dict):
            return {
                self._text(number, name): self._data(number, item) for name, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._data(number, item) for item in value]
        return value

    def _all(self, value: Any) -> Any:
        """Return plain data, its texts clean; nobody is told."""
        if isinstance(value, str):
            return self._clean(value)
        if isinstance(value, dict):
            return {self._clean(name): self._all(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._all(item) for item in value]
        return value

    def _clean(self, text: str) -> str:
        return self._redactor.text(text)

    def _look(self, number: int, before: str, after: str) -> None:
        if self._findings is None:
            return
        if before != after:
            self._findings.note_replaced(number, before, after)
        self._findings.look(number, after)


def _figures(settings: Data) -> Data:
    """Return what settings say in names and numbers."""
    kept = {name: settings[name] for name in _KEPT_SETTINGS if name in settings}
    model = settings.get("model")
    if isinstance(model, dict):
        kept["model"] = {name: model[name] for name in _MODEL_NAME if name in model}
    return kept


def _kind(error: str) -> str:
    """Return the type that a short error begins with."""
    return error.partition(":")[0]
