"""PostgreSQL servers for the tests: Debian's own, in a temporary folder, on a socket of its own.

Starting one takes seconds, so a run has one (``postgresql_server``), and who
wants a database to itself makes it there. Who stops and kills servers, or wants
TLS and passwords, has one made (``server_made``).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

from psycopg.errors import ObjectInUse
from sqlalchemy.exc import OperationalError

from kiln.service.engines import postgresql as engine
from kiln.service.engines.programs import EngineAbsent, of_postgresql
from kiln.store.conninfo import Server
from kiln.store.database import open_postgresql
from tests.ports import reserved_port
from tests.tools import lacks
from tests.waiting import wait_for

_NUMBERS = count(1)
_KEPT = ExitStack()

#: Durability is PostgreSQL's business; here only the statements are on trial.
_HASTY = {"fsync": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0"}


def binary(name: str) -> Path:
    """A program of PostgreSQL's server; the newest one is taken."""
    try:
        return of_postgresql(name)
    except EngineAbsent:
        lacks("postgresql")


@dataclass
class OwnServer(engine.Server):
    """A server of a test's own."""

    def initialise(self) -> None:
        """Make what it keeps of what was made once: ``initdb`` takes a second of a processor, and a copy a tenth."""
        copied = ["cp", "-a", _initialised(self.superuser), self.data]
        subprocess.run(copied, check=True)

    def promote(self) -> None:
        self.control("-w", "promote")

    def reload(self) -> None:
        self.control("reload")

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


@cache
def _initialised(superuser: str) -> Path:
    """What a server keeps that was never started."""
    server = engine.Server(_KEPT.enter_context(engine.private_folder()), superuser=superuser)
    server.initialise()
    return server.data


def forget() -> None:
    """Remove what was kept for all servers of this process."""
    _KEPT.close()
    _initialised.cache_clear()


@contextmanager
def server_made(
    settings: Mapping[str, str] = _HASTY,
    *,
    listens: bool = False,
    of: OwnServer | None = None,
    superuser: str = "kiln",
) -> Iterator[OwnServer]:
    """A server that is not started; it is stopped, where it runs, at the end. With *of* it is a standby of that."""
    binary("postgres")
    with engine.private_folder() as folder, reserved_port() if listens else nullcontext(0) as port:
        server = OwnServer(folder, port, dict(settings), superuser)
        if of is None:
            server.initialise()
        else:
            source = ["-h", of.folder, "-p", str(of.port or 5432), "-U", of.superuser]
            server.run("pg_basebackup", *source, "-D", server.data, "--no-sync", "-R", "-c", "fast")
        with engine.ended_at_last(server):
            yield server


@contextmanager
def start_postgresql() -> Iterator[str]:
    """Yields the address of an empty server's ``postgres`` database."""
    with server_made() as server:
        server.start()
        yield server.address


@contextmanager
def make_database(server: str, like: str = "template1") -> Iterator[str]:
    """Yields the address of a database of its own on the *server* of that address: empty, or a copy of *like*."""
    name = f"kiln_{os.getpid()}_{next(_NUMBERS)}"  # Several processes may share the server.
    _insist(server, f"CREATE DATABASE {name} TEMPLATE {like}")
    try:
        yield server.replace("/postgres?", f"/{name}?")
    finally:
        _insist(server, f"DROP DATABASE {name} WITH (FORCE)")


def name_of(address: str) -> str:
    """The name of the database of an address that ``make_database`` has given."""
    return address.partition("@/")[2].partition("?")[0]


def _insist(server: str, statement: str) -> None:
    """Say it until nobody is in the way.

    PostgreSQL gives those whom it has told to leave, such as its own vacuum, five seconds, in which a process need not
    have its turn on a machine that does much else.
    """

    def is_done() -> bool:
        try:
            _say(server, statement)
        except OperationalError as error:
            if not isinstance(error.orig, ObjectInUse):
                raise
            return False
        return True

    wait_for(is_done)


def _say(server: str, statement: str) -> None:
    unhurried = Server(address=server, connect_s=300, statement_s=300, lock_s=300)
    with closing(open_postgresql(unhurried)) as opened, opened.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(statement)
