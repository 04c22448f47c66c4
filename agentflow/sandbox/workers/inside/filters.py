"""Write the seccomp filters: a list of allowed system calls for the jail, a shorter one for the code in it.

Owns the two BPF programs. The jail's is inherited by every child; a child adds its own on top, and the
kernel obeys the stricter answer. What is not allowed fails with EPERM, a call of another machine's or
the x32 ABI kills.
"""

import errno
import platform
import struct

from agentflow.sandbox.workers.inside.syscalls import (
    CLONE,
    CLONE3,
    IOCTL,
    MACHINES,
    ZYGOTE_ONLY,
    Machine,
)

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _AUDIT, _FIRST_ARGUMENT, _SECOND_ARGUMENT = 0, 4, 16, 24
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_X32_BIT = 0x40000000
_CLONE_THREAD = 0x10000
_TERMINAL_QUESTIONS = (0x5401, 0x5413, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONCLEX, FIOCLEX


def machine() -> Machine:
    """Return this machine's tables.

    Raises:
        OSError: There are none.
    """
    name = platform.machine()
    if name not in MACHINES:
        raise OSError(errno.ENOTSUP, f"no table of system calls for {name}")
    return MACHINES[name]


def jail_filter() -> bytes:
    """Return the filter of the whole jail: an allow-list for computing and for making children."""
    here = machine()
    program = _start(here)
    program += _refuse(here.numbers[CLONE3], errno.ENOSYS)  # the C library then uses clone
    program += _only_questions(here.numbers[IOCTL])
    for name, number in here.numbers.items():
        if name not in (CLONE3, IOCTL):
            program += [_step(_EQUAL, 0, 1, number), _step(_RETURN, 0, 0, _ALLOW)]
    return b"".join([*program, _step(_RETURN, 0, 0, _ERROR | errno.EPERM)])


def child_filter() -> bytes:
    """Return what a child adds before it loads any code: no processes but threads, no signals, no changes."""
    here = machine()
    program = _start(here)
    program += [
        _step(_EQUAL, 0, 4, here.numbers[CLONE]),
        _step(_LOAD, 0, 0, _FIRST_ARGUMENT),
        _step(_ANY_BIT, 0, 1, _CLONE_THREAD),
        _step(_RETURN, 0, 0, _ALLOW),
        _step(_RETURN, 0, 0, _ERROR | errno.EPERM),
    ]
    for name in ZYGOTE_ONLY:
        if name in here.numbers:
            program += _refuse(here.numbers[name], errno.EPERM)
    return b"".join([*program, _step(_RETURN, 0, 0, _ALLOW)])


def _start(here: Machine) -> list[bytes]:
    program = [
        _step(_LOAD, 0, 0, _AUDIT),
        _step(_EQUAL, 1, 0, here.audit),
        _step(_RETURN, 0, 0, _KILL),
        _step(_LOAD, 0, 0, _NUMBER),
    ]
    if here.has_x32:
        program += [_step(_AT_LEAST, 0, 1, _X32_BIT), _step(_RETURN, 0, 0, _KILL)]
    return program


def _refuse(number: int, error: int) -> list[bytes]:
    return [_step(_EQUAL, 0, 1, number), _step(_RETURN, 0, 0, _ERROR | error)]


def _only_questions(ioctl: int) -> list[bytes]:
    """Return the steps that let ioctl ask about a terminal and close files, nothing else."""
    checks: list[bytes] = []
    for request in _TERMINAL_QUESTIONS:
        checks += [_step(_EQUAL, 0, 1, request), _step(_RETURN, 0, 0, _ALLOW)]
    body = [
        _step(_LOAD, 0, 0, _SECOND_ARGUMENT),
        *checks,
        _step(_RETURN, 0, 0, _ERROR | errno.ENOTTY),
    ]
    return [_step(_EQUAL, 0, len(body), ioctl), *body]


def _step(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
