"""Used nonces that several processes know between them, by PostgreSQL.

A row is written by a statement of its own, whose commit waits for no disk: what
waits for it is each request. The server may lose the last second of them when it
is killed itself, so what was asked before it started is of a time that nothing is
known of.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index

from kiln.ground.values import dataclass
from kiln.store.conninfo import Server, connect
from kiln.store.database import Transaction
from kiln.store.errors import DatabaseDown
from kiln.store.faults import words_of
from kiln.store.idle import Idle
from kiln.store.rows import Rows
from kiln.store.workers import NOW

_MOST_IDLE = 8  #: Connections; as many as there are threads that answer requests.

_TAKE = """
WITH quick AS (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO nonces (mark, at) SELECT %(mark)s, %(at)s FROM quick
WHERE %(at)s >= extract(epoch FROM pg_postmaster_start_time())
ON CONFLICT DO NOTHING RETURNING 1
"""
_IS_KNOWN = "SELECT 1 FROM nonces WHERE mark = %(mark)s"


@dataclass(frozen=True, kw_only=True)
class Nonce:
    """One that was used."""

    mark: str  #: A keyed digest of the key's ID and the nonce, in hexadecimal digits.
    at: float  #: The time that its request says.


nonces: Rows[Nonce] = Rows("nonces", Nonce, key=("mark",), indexes=[Index("nonces_at", "at")])


def forget(tx: Transaction, older_than_s: float) -> int:
    """Remove those of requests that are so much older than the server's time; returns how many."""
    oldest = tx.execute(NOW).scalar_one() - older_than_s
    return nonces.delete(tx, nonces.c.at < oldest)


class SharedNonces:
    """The rows, for whoever answers requests; safe to use from any thread."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._idle: Idle[Any] = Idle(_MOST_IDLE)

    def take(self, mark: str, at: float) -> bool | None:
        """Remember one; False when it is known already, None when it is of before the server's start.

        Raises DatabaseDown.
        """
        values = {"mark": mark, "at": at}
        try:
            connection = self._idle.take() or self._connect()
        except Exception as error:
            raise DatabaseDown(words_of(error)) from error
        try:
            is_new = connection.execute(_TAKE, values).fetchone() is not None
            is_known = is_new or connection.execute(_IS_KNOWN, values).fetchone() is not None
        except Exception as error:
            connection.close()
            self._idle.close_waiting()  # They may be as dead, and each would fail one request more.
            raise DatabaseDown(words_of(error)) from error
        self._idle.put_back(connection)
        return True if is_new else False if is_known else None

    def close(self) -> None:
        """Close every connection, those in use when they are given back."""
        self._idle.close()

    def _connect(self) -> Any:
        connection = connect(self._server)
        connection.autocommit = True
        return connection
