"""Bind an address, or say in a line why not.

Owns the socket that a server of ours listens on and the words of what can go wrong. Knows no server.
"""

import errno
import socket

from agentflow.errors import AgentflowError


class ServingError(AgentflowError):
    """Something cannot be served where it should be."""

    def __init__(self, *, host: str, port: int, problem: str) -> None:
        self.host, self.port, self.problem = host, port, problem
        super().__init__(f"cannot serve at {host}:{port}: {problem}")


def listening(host: str, port: int, *, backlog: int, free_port: str) -> socket.socket:
    """Return a socket that listens; `free_port` is what `--port` takes for any that is free.

    Raises:
        ServingError: The port is taken, or the host is none of this machine.
    """
    if not host:  # which would mean every address of this machine
        raise ServingError(host=host, port=port, problem="the host is empty")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=backlog)
    except OSError as error:
        raise ServingError(host=host, port=port, problem=_problem(error, free_port)) from error


def in_address(host: str) -> str:
    """Return a host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def _problem(error: OSError, free_port: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"the port is in use; give another one with --port, or {free_port} for any that is free"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return "this port is not for every user; give one above 1023 with --port"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return "this machine has no such address; --host takes one of its own, or 0.0.0.0 for all"
    return error.strerror or type(error).__name__
