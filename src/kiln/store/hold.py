"""Having a PostgreSQL database for oneself: a lock on a connection that is kept for nothing else.

The lock lasts as long as the connection. When that breaks nobody can say who has
the lock, so whoever held it must write no more; a change of the generation, which
every write looks for, tells it before the next look at the connection does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from kiln.ground.journal import Journal
from kiln.store import deployment
from kiln.store.conninfo import Server, connect
from kiln.store.database import Database, Transaction
from kiln.store.deployment import Deployment
from kiln.store.errors import DatabaseDown
from kiln.store.faults import words_of

_LOCK = "SELECT pg_try_advisory_lock(8787, 1)"  # Migrations use another, of one number.
_LOOK_S = 1.0

log = Journal("kiln.store")


class HoldRefused(Exception):
    """Another session holds the database."""


class HoldLost(Exception):
    """The database may be another Kiln's by now; nothing was written."""


class Hold:
    """The lock on the database of *server*. Raises HoldRefused, DatabaseDown."""

    def __init__(self, server: Server) -> None:
        self._engine = create_engine(
            "postgresql+psycopg://", creator=lambda: connect(server), poolclass=NullPool
        ).execution_options(isolation_level="AUTOCOMMIT")
        self._lost = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        try:
            self._connection = self._engine.connect()
            is_held = self._connection.execute(text(_LOCK)).scalar()
        except SQLAlchemyError as error:
            raise DatabaseDown(words_of(error)) from error
        if not is_held:
            self._connection.close()
            raise HoldRefused

    @property
    def is_lost(self) -> bool:
        """Whether the lock was lost since it was taken."""
        return self._lost.is_set()

    def guard(self, database: Database, mine: Deployment, on_loss: Callable[[], None]) -> None:
        """Let *database* be written only while the lock is held and the generation is *mine*; *on_loss* is called once.

        From then on every write raises HoldLost.
        """

        def fence(tx: Transaction) -> None:
            if not self.is_lost and deployment.find(tx) != mine:
                self._lose("another Kiln has begun its generation", on_loss)
            if self.is_lost:
                raise HoldLost("the database may be another Kiln's by now")

        database.fence = fence
        self._thread = threading.Thread(target=self._watch, args=(on_loss,), name="hold")
        self._thread.start()

    def release(self) -> None:
        """Give the database to whoever wants it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._connection.close()
        self._engine.dispose()

    def _watch(self, on_loss: Callable[[], None]) -> None:
        while not self._stopping.wait(_LOOK_S):
            try:
                self._connection.execute(text("SELECT 1"))
            except SQLAlchemyError as error:
                self._lose(words_of(error), on_loss)
                return

    def _lose(self, reason: str, on_loss: Callable[[], None]) -> None:
        if not self._lost.is_set():
            self._lost.set()
            log.error("database_lost", reason=reason)
            on_loss()
