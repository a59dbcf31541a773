"""PostgreSQL servers for the tests: Debian's own, in a temporary folder, on a socket of its own.

Starting one takes seconds, so a run has one (``postgresql_server``), and who
wants a database to itself makes it there. Who stops and kills servers, or wants
TLS and passwords, has one made (``server_made``).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from kiln.store.database import open_postgresql
from tests.tools import lacks
from tests.waiting import wait_for

_NUMBERS = count(1)

#: Durability is PostgreSQL's business; here only the statements are on trial.
_HASTY = {"fsync": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0"}


def binary(name: str) -> Path:
    """Debian keeps the server's programs off the PATH, by version; the newest one is taken."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[-3]))
    if not found:
        lacks("postgresql")
    return found[-1]


@dataclass
class OwnServer:
    """A server of a test's own. It listens on a socket in its folder, and with a *port* on 127.0.0.1, too."""

    folder: Path
    port: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    superuser: str = "kiln"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def address(self) -> str:
        """The address of its ``postgres`` database, by the socket."""
        port = f"&port={self.port}" if self.port else ""
        return f"postgresql://{self.superuser}@/postgres?host={self.folder}{port}"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def run(self, program: str, *words: str | Path, **more: object) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs, as the user that its server runs as."""
        # PostgreSQL refuses to run as root; Debian's package brings the user that it runs as instead.
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        command = [*user, str(binary(program)), *map(str, words)]
        return subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **more)  # type: ignore[call-overload,no-any-return]

    def start(self) -> None:
        hosts = "127.0.0.1" if self.port else ""
        settings = {"listen_addresses": f"'{hosts}'", "max_connections": "80", **self.settings}
        options = f"-k {self.folder}" + (f" -p {self.port}" if self.port else "")
        options += "".join(f" -c {name}={value}" for name, value in settings.items())
        self._control("-w", "-l", self.log, "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._control("-w", "-m", mode, "stop")

    def promote(self) -> None:
        self._control("-w", "promote")

    def reload(self) -> None:
        self._control("reload")

    def kill9(self) -> None:
        """End it as the death of its host would."""
        processes = self.processes
        for process in processes:
            os.kill(process, signal.SIGKILL)
        wait_for(lambda: not any(Path(f"/proc/{process}").exists() for process in processes))
        (self.data / "postmaster.pid").unlink()

    @property
    def processes(self) -> list[int]:
        """All of it; the first is the one that begins the others."""
        first = int((self.data / "postmaster.pid").read_text().partition("\n")[0])
        return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]

    def certify(self) -> Path:
        """Have it speak TLS from its next start on, as ``localhost``; returns the certificate that clients trust."""
        made = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
        key, certificate = self.data / "server.key", self.data / "server.crt"
        words = ["openssl", *made.split(), "-keyout", key, "-out", certificate]
        subprocess.run(words, check=True, capture_output=True)
        key.chmod(0o600)
        if os.geteuid() == 0:
            for path in (key, certificate):
                shutil.chown(path, "postgres", "postgres")
        self.settings["ssl"] = "on"
        return certificate

    def say(self, *statements: str, address: str = "") -> None:
        """Have statements carried out, each by itself."""
        for statement in statements:
            _say(address or self.address, statement)

    def _control(self, *words: str | Path) -> None:
        self.run("pg_ctl", "-D", self.data, *words, stderr=subprocess.DEVNULL)


@contextmanager
def server_made(
    settings: Mapping[str, str] = _HASTY,
    *,
    listens: bool = False,
    of: OwnServer | None = None,
    superuser: str = "kiln",
) -> Iterator[OwnServer]:
    """A server that is not started; it is stopped, where it runs, at the end. With *of* it is a standby of that."""
    folder = Path(tempfile.mkdtemp(prefix="kiln-pg-", dir="/tmp"))
    server = OwnServer(folder, _free_port() if listens else 0, dict(settings), superuser)
    try:
        if os.geteuid() == 0:
            binary("postgres")
            shutil.chown(folder, "postgres", "postgres")
        if of is None:
            server.run("initdb", "-D", server.data, *["-A", "trust", "-U", superuser, "-E", "UTF8", "--no-sync"])
        else:
            source = ["-h", of.folder, "-p", str(of.port or 5432), "-U", of.superuser]
            server.run("pg_basebackup", *source, "-D", server.data, "--no-sync", "-R", "-c", "fast")
        yield server
    finally:
        if (server.data / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def start_postgresql() -> Iterator[str]:
    """Yields the address of an empty server's ``postgres`` database."""
    with server_made() as server:
        server.start()
        yield server.address


@contextmanager
def make_database(server: str) -> Iterator[str]:
    """Yields the address of an empty database of its own on the *server* of that address."""
    name = f"kiln_{next(_NUMBERS)}"
    _say(server, f"CREATE DATABASE {name}")
    yield server.replace("/postgres?", f"/{name}?")
    _say(server, f"DROP DATABASE {name} WITH (FORCE)")


def _say(server: str, statement: str) -> None:
    with closing(open_postgresql(server)) as opened, opened.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(statement)
