"""The viewer's build as the frame of one file.

Owns where the build is and how it is put into a page that brings along everything: style sheet and script
stand in the page, and its policy lets in these two, by their hashes, and nothing else. Knows nothing of
runs.
"""

import base64
import hashlib
import html
import re
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from agentflow.errors import ExportError

_SCRIPT = re.compile(r'[ \t]*<script\b[^>]*\bsrc="[^"]*app\.js"[^>]*></script>\n?')
_STYLE = re.compile(r'[ \t]*<link\b[^>]*\bhref="[^"]*app\.css"[^>]*/?>\n?')
_TITLE = re.compile(r"<title>[^<]*</title>")
_CHARSET = re.compile(r'<meta charset="utf-8"\s*/?>')
_MISSING = (
    "the viewer's build is missing or incomplete ({problem}); "
    "build it with `npm ci && npm run build` in web/frontend"
)


def build_folder() -> Traversable:
    """Return the folder of the build that came with the package."""
    return files("agentflow_web") / "static"


@dataclass(frozen=True)
class Frame:
    """What stands before the data of a page, and what behind it."""

    before: str
    behind: str


def framed(title: str, *, run: str, build: Traversable | None = None) -> Frame:
    """Return the frame of a page.

    Args:
        title: Of the page, as text.
        run: What is exported, for the error.
        build: Where `index.html`, `app.js` and `app.css` are; None is `build_folder()`.

    Raises:
        ExportError: The build is not there or not as it should be.
    """
    page, script, style = (
        _read(build or build_folder(), name, run) for name in ("index.html", "app.js", "app.css")
    )
    script, style = _inline_script(script), _inline_style(style)
    meta = f'<meta http-equiv="Content-Security-Policy" content="{_policy(script, style)}" />'
    page = _replaced(page, _SCRIPT, "", run)
    page = _replaced(page, _STYLE, "", run)
    page = _replaced(page, _TITLE, f"<title>{html.escape(title)}</title>", run)
    page = _replaced(page, _CHARSET, f'<meta charset="utf-8" />\n{meta}', run)
    head, found, body = page.partition("</head>")
    body, closed, rest = body.rpartition("</body>")
    if not found or not closed:
        raise _incomplete("index.html has no head or body", run)
    before = f"{head}<style>{style}</style>\n</head>{body}"
    return Frame(before, f'<script type="module">{script}</script>\n</body>{rest}')


def _policy(script: str, style: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "img-src data:",
            "connect-src 'none'",
            "form-action 'none'",
            "base-uri 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _inline_script(script: str) -> str:
    """Return a script that means the same and may stand in a page.

    Markup ends or begins in strings, templates and expressions only, and there `\\x3c` is `<`.
    """
    return re.sub(r"<(?=/script|script|!--)", r"\\x3c", script, flags=re.IGNORECASE)


def _inline_style(style: str) -> str:
    """Return a style sheet that means the same and may stand in a page."""
    return re.sub(r"<(?=/style)", r"\\3c ", style, flags=re.IGNORECASE)


def _read(build: Traversable, name: str, run: str) -> str:
    try:
        text = (build / name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _incomplete(f"{name}: {error}", run) from error
    if not text.strip():
        raise _incomplete(f"{name} is empty", run)
    # A browser reads line ends as \n before it hashes, and replaces zero characters.
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def _replaced(page: str, old: re.Pattern[str], new: str, run: str) -> str:
    page, count = old.subn(lambda _match: new, page)
    if count != 1:
        raise _incomplete(f"index.html has {count} times {old.pattern}", run)
    return page


def _incomplete(problem: str, run: str) -> ExportError:
    return ExportError(run=run, problem=_MISSING.format(problem=problem))
