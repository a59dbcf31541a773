"""What PostgreSQL itself takes for what Kiln has it do: a row that is on the disk, and a question there and back."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager

import psycopg

#: What is asked of a server of the bench: its commits are on the disk, and it has connections for six processes.
SETTINGS = {"max_connections": "300"}


@contextmanager
def a_database(address: str) -> Iterator[str]:
    """The address of an empty database on the server at *address*."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    _say(address, f"CREATE DATABASE {name}")
    yield address.replace("/postgres?", f"/{name}?")
    _say(address, f"DROP DATABASE {name} WITH (FORCE)")


def commit_rows(address: str, count: int, callers: int) -> float:
    """Rows a second, each in a commit that is on the disk, by so many connections at once; the table is left."""
    _say(address, "CREATE TABLE IF NOT EXISTS floor (id text PRIMARY KEY, text text)")
    with ExitStack() as held, ThreadPoolExecutor(callers) as several:
        lines = [held.enter_context(closing(psycopg.connect(address, autocommit=True))) for _ in range(callers)]

        def commit(line: psycopg.Connection) -> None:
            for _ in range(count // callers):
                line.execute("INSERT INTO floor VALUES (%s, %s)", (uuid.uuid4().hex, "x" * 500))

        began = time.perf_counter()
        list(several.map(commit, lines))
        return count // callers * callers / (time.perf_counter() - began)


def ask(address: str, count: int) -> list[float]:
    """Seconds that each of *count* questions takes of which the server looks at nothing."""
    with closing(psycopg.connect(address, autocommit=True)) as line:
        return [_time(line) for _ in range(count)]


def _time(line: psycopg.Connection) -> float:
    began = time.perf_counter()
    line.execute("SELECT 1").fetchone()
    return time.perf_counter() - began


def _say(address: str, statement: str) -> None:
    with closing(psycopg.connect(address, autocommit=True)) as line:
        line.execute(statement)
