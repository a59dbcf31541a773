"""A PostgreSQL server for the tests: Debian's own, in a temporary folder, on a socket of its own.

Starting one takes seconds, so a run has one (``postgresql_server``), and who
wants a database to itself makes it there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from kiln.store.database import open_postgresql
from tests.tools import lacks

_NUMBERS = count(1)


def _binary(name: str) -> Path | None:
    """Debian keeps the server's programs off the PATH, by version; the newest one is taken."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[-3]))
    return found[-1] if found else None


@contextmanager
def start_postgresql() -> Iterator[str]:
    """Yields the address of an empty server's ``postgres`` database."""
    initdb, server, control = _binary("initdb"), _binary("postgres"), _binary("pg_ctl")
    if not (initdb and server and control):
        lacks("postgresql")
    # PostgreSQL refuses to run as root; Debian's package brings the user that it runs as instead.
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="kiln-pg-", dir="/tmp"))
    try:
        if user:
            shutil.chown(folder, "postgres", "postgres")
        data = folder / "data"
        run = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(
            [*user, initdb, "-D", data, "-A", "trust", "-U", "kiln", "-E", "UTF8", "--no-sync"], check=True, **run
        )
        # Durability is PostgreSQL's business; here only the statements are on trial.
        options = f"-k {folder} -c listen_addresses='' -c max_connections=80"
        options += " -c fsync=off -c full_page_writes=off -c wal_level=minimal -c max_wal_senders=0"
        subprocess.run(
            [*user, control, "-D", data, "-w", "-l", folder / "log", "-o", options, "start"], check=True, **run
        )
        try:
            yield f"postgresql://kiln@/postgres?host={folder}"
        finally:
            subprocess.run([*user, control, "-D", data, "-w", "-m", "immediate", "stop"], check=True, **run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def make_database(server: str) -> Iterator[str]:
    """Yields the address of an empty database of its own on the *server* of that address."""
    name = f"kiln_{next(_NUMBERS)}"
    _say(server, f"CREATE DATABASE {name}")
    yield server.replace("/postgres?", f"/{name}?")
    _say(server, f"DROP DATABASE {name} WITH (FORCE)")


def _say(server: str, statement: str) -> None:
    opened = open_postgresql(server)
    with opened.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)
    opened.close()
