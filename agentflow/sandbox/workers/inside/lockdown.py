"""Take rights away from this process, for good.

Owns the calls into the kernel: privileges, capabilities, Landlock, seccomp, limits. Needs no
privileges and no packages. Every function raises OSError when the kernel refuses: whoever called it
must then not run any code.
"""

import ctypes
import errno
import os
import resource
import signal
import stat
import struct
from collections.abc import Iterable

from agentflow.sandbox.workers.inside.syscalls import (
    LANDLOCK_ADD,
    LANDLOCK_CREATE,
    LANDLOCK_RESTRICT,
)

_PDEATHSIG, _DUMPABLE, _SECCOMP, _NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_EXECUTE, _READ_FILE, _READ_FOLDER = 1, 4, 8
_FILE_RIGHTS = (1 << 13) - 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))


class Filter:
    """A seccomp program, ready to be applied in any child."""

    def __init__(self, program: bytes) -> None:
        self._steps = ctypes.create_string_buffer(program, len(program))
        pointer = ctypes.cast(self._steps, ctypes.c_void_p)
        self._program = _Program(len(program) // 8, pointer)

    def apply(self) -> None:
        """Hold this process to the program."""
        _prctl("seccomp", _SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(self._program))


def give_up_privileges() -> None:
    """Drop every capability, for this process and all it starts, and hide its memory from others."""
    _prctl("no_new_privs", _NO_NEW_PRIVS, 1)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _check(_LIBC.capset(header, bytes(24)), "capset")
    _prctl("dumpable", _DUMPABLE, 0)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _prctl("pdeathsig", _PDEATHSIG, int(signal.SIGKILL))


def write_nothing() -> None:
    """Set the limits that hold for everything in a jail: no files written, no core, few files open."""
    for kind, most in (
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(kind, (most, most))


def limit(memory_bytes: int, cpu_s: int) -> None:
    """Set the memory and processor time that this process may use."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))


def allow_reading_only(paths: Iterable[str], listed: Iterable[str]) -> None:
    """Have Landlock refuse every file but those at and below `paths`; `listed` may have their names read.

    Raises:
        OSError: The kernel has no Landlock, or refuses.
    """
    version = _landlock_version()
    rights, network, scope = _handled(version)
    attributes = struct.pack("=QQQ", rights, network, scope)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = _syscall("landlock", LANDLOCK_CREATE, attributes, ctypes.c_size_t(size), _zero())
    try:
        for path in paths:
            _allow(rules, path, _EXECUTE | _READ_FILE | _READ_FOLDER)
        for path in listed:
            _allow(rules, path, _READ_FOLDER)
        _syscall("landlock", LANDLOCK_RESTRICT, ctypes.c_int(rules), _zero())
    finally:
        os.close(rules)


def _landlock_version() -> int:
    version = _LIBC.syscall(
        ctypes.c_long(LANDLOCK_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint32(1)
    )
    if version < 1:
        raise OSError(ctypes.get_errno() or errno.ENOSYS, "Landlock is not there")
    return int(version)


def _handled(version: int) -> tuple[int, int, int]:
    """Return everything that a version of Landlock can refuse: on files, TCP, outside the jail."""
    files = _FILE_RIGHTS
    for since, right in ((2, 13), (3, 14), (5, 15)):  # refer, truncate, ioctl on devices
        if version >= since:
            files |= 1 << right
    return files, 3 if version >= 4 else 0, 3 if version >= 6 else 0


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _EXECUTE | _READ_FILE
        rule = struct.pack("=Qi", rights, place)
        _syscall("landlock", LANDLOCK_ADD, ctypes.c_int(rules), ctypes.c_int(1), rule, _zero())
    finally:
        os.close(place)


def _zero() -> ctypes.c_uint32:
    return ctypes.c_uint32(0)


def _prctl(what: str, option: int, *arguments: object) -> None:
    _check(_LIBC.prctl(option, *arguments, *[0] * (4 - len(arguments))), what)


def _syscall(what: str, number: int, *arguments: object) -> int:
    return _check(_LIBC.syscall(ctypes.c_long(number), *arguments), what)


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result
