"""A PostgreSQL server in a private folder: Debian's own programs, on a socket of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path

from kiln.ground.values import dataclass
from kiln.service.engines.programs import of_postgresql

_OF_ROOT = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")


@dataclass
class Server:
    """One server, which may run. It listens on a socket in its folder, and with a *port* on 127.0.0.1, too."""

    folder: Path
    port: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    superuser: str = "kiln"

    @property
    def data(self) -> Path:
        """Where it keeps everything."""
        return self.folder / "data"

    @property
    def address(self) -> str:
        """The address of its ``postgres`` database, by the socket."""
        port = f"&port={self.port}" if self.port else ""
        return f"postgresql://{self.superuser}@/postgres?host={self.folder}{port}"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "log"

    def run(self, program: str, *words: str | Path, stderr: int | None = None) -> None:
        """Run one of PostgreSQL's programs, as the user that its server runs as.

        Raises EngineAbsent, CalledProcessError.
        """
        # PostgreSQL refuses to run as root; Debian's package brings the user that it runs as instead.
        user = _OF_ROOT if os.geteuid() == 0 else ()
        command = [*user, str(of_postgresql(program)), *map(str, words)]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=stderr)

    def initialise(self) -> None:
        """Make what it keeps, which is empty. Raises EngineAbsent, CalledProcessError."""
        self.run("initdb", "-D", self.data, "-A", "trust", "-U", self.superuser, "-E", "UTF8", "--no-sync")

    def start(self) -> None:
        """Start it, and wait until it answers; it goes on after its starter. Raises CalledProcessError."""
        hosts = "127.0.0.1" if self.port else ""
        settings = {"listen_addresses": f"'{hosts}'", "max_connections": "80", **self.settings}
        options = f"-k {self.folder}" + (f" -p {self.port}" if self.port else "")
        options += "".join(f" -c {name}={value}" for name, value in settings.items())
        self.control("-w", "-l", self.log, "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """End it. Raises CalledProcessError."""
        self.control("-w", "-m", mode, "stop")

    def control(self, *words: str | Path) -> None:
        """Have ``pg_ctl`` do something. Raises CalledProcessError."""
        self.run("pg_ctl", "-D", self.data, *words, stderr=subprocess.DEVNULL)


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for a server, which that can write; all of it is removed at the end. Raises EngineAbsent."""
    of_postgresql("postgres")  # Its package brings the user, too.
    # Its socket has a name of 108 characters at most, which a folder of somebody's own may be too long for.
    folder = Path(tempfile.mkdtemp(prefix="kiln-pg-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def ended_at_last(server: Server) -> Iterator[None]:
    """Stop the *server* at the end, where it runs by then. Raises CalledProcessError."""
    try:
        yield
    finally:
        if (server.data / "postmaster.pid").exists():
            server.stop()


@contextmanager
def started_postgresql(settings: Mapping[str, str]) -> Iterator[Server]:
    """A server that runs, with these settings beside its defaults. Raises EngineAbsent, CalledProcessError."""
    with private_folder() as folder:
        server = Server(folder, settings=dict(settings))
        server.initialise()
        with ended_at_last(server):
            server.start()
            yield server
