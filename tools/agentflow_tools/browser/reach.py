"""What a browser may reach: a folder that is served under a made-up name, and hosts that are listed.

Owns the decision and the files. Knows no browser. Nothing outside the folder is ever read, and nothing
listens on a port: who drives the browser answers its requests from here.
"""

import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from agentflow.errors import InputError

SITE = "http://site.test"  # .test is reserved: no such host can ever exist
STEP = "browser"
MAX_URL_CHARS = 2_000

_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Served:
    """What is answered to a request to the folder's site."""

    status: int
    kind: str
    body: bytes


class Reach:
    """Which addresses may be visited, and the site in a folder.

    Raises:
        InputError: The folder is none, a host is not written as one, or there is nothing to visit.
    """

    def __init__(self, folder: str, hosts: list[str]) -> None:
        self._root = Path(folder).resolve() if folder else None
        if self._root is not None and not self._root.is_dir():
            problem = (
                f"site: {folder!r} is no folder below {Path.cwd()}; give the folder of the pages"
            )
            raise InputError(step=STEP, problem=problem)
        if not folder and not hosts:
            problem = "give `site` (a folder of pages) or `hosts` (that may be visited)"
            raise InputError(step=STEP, problem=problem)
        self.hosts = frozenset(_host(host) for host in hosts)

    @property
    def start(self) -> str:
        """The first page, if none is named: that of the folder, else none."""
        return "about:blank" if self._root is None else f"{SITE}/"

    @property
    def ports(self) -> set[str]:
        """The hosts with their ports; one without a port has those of http and https."""
        plain = {host for host in self.hosts if urlsplit(f"//{host}").port is None}
        return set(self.hosts - plain) | {f"{host}:{port}" for host in plain for port in (80, 443)}

    def refusal(self, url: str) -> str:
        """Return why an address may not be visited; empty if it may."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            return "only whole addresses with http or https may be opened"
        if self.is_site(url) or parts.netloc.lower() in self.hosts:
            return ""
        known = [urlsplit(SITE).netloc] if self._root is not None else []
        may = ", ".join([*known, *sorted(self.hosts)])
        return f"the host {parts.netloc[:100]!r} may not be visited (only {may})"

    def is_site(self, url: str) -> bool:
        """Return whether the folder answers for this address."""
        return self._root is not None and url.startswith(f"{SITE}/")

    def served(self, url: str) -> Served:
        """Return what is in the folder at this address; a folder's own page is `index.html`."""
        assert self._root is not None
        wanted = self._root / unquote(urlsplit(url).path).lstrip("/").replace("\0", "")
        try:
            path = wanted.resolve()
            path = path / "index.html" if path.is_dir() else path
            if path.resolve().is_relative_to(self._root) and path.is_file():
                kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                return Served(200, kind, path.read_bytes())
        except OSError:  # a name that the file system does not take
            pass
        return Served(404, "text/html", b"<title>Not found</title><p>There is no such page.")

    def whole(self, url: str, here: str) -> str:
        """Return an address as it is meant on the page `here`."""
        base = here if urlsplit(here).scheme in ("http", "https") else self.start
        return urljoin(base, url.strip()[:MAX_URL_CHARS])


def _host(host: str) -> str:
    if not _HOST.fullmatch(host):
        problem = (
            f"hosts: {host!r} is no host; write `example.org`, or `127.0.0.1:8000` with its port"
        )
        raise InputError(step=STEP, problem=problem)
    return host.lower()
