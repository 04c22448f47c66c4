"""Show that a jail confines, by trying to get out of it.

Owns the canary: code that runs where generated code will, tries the network, files, processes and
signals, and has to be refused each time. It also has to be able to work at all.
"""

import tempfile
from pathlib import Path

from agentflow.sandbox.workers.jail import Jail
from agentflow.sandbox.workers.protocol import Trial, TrialLimits
from agentflow.sandbox.workers.trialing import observe

_HERE = str(Path(__file__).resolve())  # a file that the host can read
_CANARY = """
import errno, os

REFUSED = {errno.EPERM, errno.EACCES, errno.ENOENT, errno.EROFS, errno.ENOSYS, errno.EAGAIN, errno.EFBIG}

def refused(attempt):
    try:
        attempt()
    except OSError as error:
        return error.errno in REFUSED
    return False

def fork():
    if os.fork() == 0:
        os._exit(0)

def network():
    import socket
    socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect(("127.0.0.1", 9))

def write(folder):
    path = os.path.join(folder, "agentflow-canary-%d" % os.getpid())
    open(path, "w").close()
    os.unlink(path)

def probe(file, folders):
    import wave  # the library can still be loaded
    found = []
    if not refused(network): found.append("use the network")
    if not refused(lambda: open(file).close()): found.append("read a file")
    if not refused(lambda: open("/etc/passwd").close()): found.append("read /etc/passwd")
    if not refused(fork): found.append("start a process")
    if not refused(lambda: os.execv("/bin/sh", ["sh"])): found.append("run a program")
    if not refused(lambda: os.kill(os.getppid(), 0)): found.append("signal a process")
    for folder in folders:
        if not refused(lambda: write(folder)): found.append("write in " + folder)
    return found
"""


async def prove(jail: Jail) -> None:
    """Run the canary.

    Raises:
        OSError: Something worked that must not, or nothing works.
    """
    folders = [tempfile.gettempdir(), "/tmp", "/dev/shm", "/", "."]  # noqa: S108 - not written to
    call = f"probe({_HERE!r}, {folders!r})"
    trial = Trial(source=_CANARY, calls=(call,), limits=TrialLimits(call_s=10.0))
    observed = await observe(jail.request, trial)
    if observed.failure is not None:
        raise OSError(f"the canary does not run: {observed.failure.message}")
    (seen,) = observed.observations
    if seen.outcome != "returned":
        why = "" if seen.failure is None else f": {seen.failure.message}"
        raise OSError(f"the canary does not run: {seen.outcome}{why}")
    if seen.value != {"list": []}:
        raise OSError(f"code in it could {', '.join(map(str, seen.value['list']))}")
