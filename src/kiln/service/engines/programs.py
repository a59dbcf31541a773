"""Whether the programs of an engine are there; they are on no index, and Debian has some of them off the PATH."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_SYSTEMS = "/usr/sbin:/sbin"  #: Not on the PATH of everybody.


class EngineAbsent(Exception):
    """Programs of an engine are not there; the message names them."""


def require(*names: str) -> None:
    """Raise EngineAbsent unless all of these programs are on the PATH, or where root has it."""
    path = os.environ.get("PATH", "") + ":" + _SYSTEMS
    if missing := [name for name in names if shutil.which(name, path=path) is None]:
        raise EngineAbsent(f"there is no {', '.join(missing)} here")


def of_postgresql(name: str) -> Path:
    """A program of PostgreSQL's server, of the newest version. Raises EngineAbsent."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise EngineAbsent(f"there is no {name} of PostgreSQL here")
    return found[-1]
