"""Where a server is and what it is given: a command or an address, and names of variables.

Owns the options of a server and their rules. A secret is only ever named: its value is read from the
environment when a connection is made, and is no part of any option, record or message.
"""

import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict

from agentflow.errors import InputError, McpServerError
from agentflow.interop.mcp.words import Secrets, one_line

# What a server of ours gets of the environment without being named: no key of anybody is among it.
INHERITED = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "USER")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_SECRET = re.compile(
    r"(.*[_-])?(api_?key|key|token|secret|password|passwd|auth|sig|signature)", re.I
)
_OURS = frozenset({"host", "content-length", "content-type", "accept", "accept-encoding"})


class FromEnvironment(BaseModel):
    """The value of an environment variable, by its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    env: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """A server: `command` to start, or `url` to speak to."""

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    env: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()  # a header's name, a variable's name
    api_key_env: str = ""
    timeout_s: float
    connect_timeout_s: float

    @classmethod
    def of(cls, name: str, options: dict[str, Any]) -> "Place":
        """Return the place that options of an environment mean.

        Raises:
            InputError: They contradict each other, or hold what should be a variable's name.
        """
        headers: dict[str, FromEnvironment] = options["headers"] or {}
        place = cls(
            name=name,
            command=tuple(options["command"] or ()),
            url=options["url"] or "",
            env=tuple(options["env"]),
            headers=tuple((header, value.env) for header, value in headers.items()),
            api_key_env=options["api_key_env"] or "",
            timeout_s=options["timeout_s"],
            connect_timeout_s=options["connect_timeout_s"],
        )
        problem = place._problem()
        if problem:
            raise InputError(step=name, problem=problem)
        return place

    @property
    def shown(self) -> str:
        """What it is called in messages."""
        what = self.url or (self.command[0] if self.command else "")
        return f"{self.name} ({one_line(what, 100)})"

    @property
    def variables(self) -> dict[str, str]:
        """What the server is given, by the name of its variable.

        Raises:
            McpServerError: A variable is not set.
        """
        named = [*self.env, *(name for _header, name in self.headers)]
        named += [self.api_key_env] if self.api_key_env else []
        missing = [name for name in named if not os.environ.get(name)]
        if missing:
            problem = f"the environment variable {missing[0]} is not set"
            raise McpServerError(server=self.shown, problem=problem)
        return {name: os.environ[name] for name in named}

    @property
    def secrets(self) -> Secrets:
        """What nothing from the server may repeat."""
        return Secrets(self.variables)

    def process_environment(self) -> dict[str, str]:
        """Return the whole environment of the server's process."""
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return inherited | {name: self.variables[name] for name in self.env}

    def sent_headers(self) -> dict[str, str]:
        """Return the headers that every request carries.

        Raises:
            McpServerError: A variable is not set, or holds what no header can.
        """
        given = self.variables
        headers = {header: given[name] for header, name in self.headers}
        if self.api_key_env:
            headers["Authorization"] = f"Bearer {given[self.api_key_env]}"
        for header, value in headers.items():
            if not value.isascii() or not value.isprintable():
                problem = (
                    f"the value for the header {header} has characters that no header may have"
                )
                raise McpServerError(server=self.shown, problem=problem)
        return headers

    def _problem(self) -> str:
        if bool(self.command) == bool(self.url):
            return "give either `command`, a list of words that starts a server, or `url`"
        if self.timeout_s <= 0 or self.connect_timeout_s <= 0:
            return "`timeout_s` and `connect_timeout_s` are seconds, more than 0"
        for name in (*self.env, *(name for _header, name in self.headers), self.api_key_env or "_"):
            if not _VARIABLE.fullmatch(name):  # it may be a secret itself: never shown
                return "`env`, `headers` and `api_key_env` take names of environment variables"
        return self._problem_of_url() if self.url else self._problem_of_command()

    def _problem_of_command(self) -> str:
        if self.headers or self.api_key_env:
            return "`headers` and `api_key_env` are for a `url`; a `command` is given variables by `env`"
        return (
            "" if all("\0" not in word for word in self.command) else "`command` holds a zero byte"
        )

    def _problem_of_url(self) -> str:
        if self.env:
            return "`env` is for a `command`; an address is given secrets by `api_key_env` or `headers`"
        try:
            parts = urlsplit(self.url)
            host = parts.hostname or ""
        except ValueError:
            return "`url` is no address"
        if parts.scheme not in ("http", "https") or not host:
            return "`url` is the address of the server, such as https://example.com/mcp"
        if parts.username or parts.password:
            return "`url` holds a login; put it in a variable and name it under `headers`"
        if any(_SECRET.fullmatch(name) for name, _value in parse_qsl(parts.query)):
            return "`url` holds what looks like a secret; name its variable under `headers`"
        if (self.headers or self.api_key_env) and parts.scheme == "http" and not _is_local(host):
            return "secrets go to other machines by https only"
        wrong = [name for name, _value in self.headers if not _may_be_sent(name)]
        return f"`headers`: {one_line(wrong[0], 40)!r} cannot be set" if wrong else ""


def _may_be_sent(header: str) -> bool:
    name = header.lower()
    is_ours = name in _OURS or name.startswith("mcp-")
    return bool(_HEADER.fullmatch(header)) and not is_ours


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
