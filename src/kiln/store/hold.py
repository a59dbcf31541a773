"""Having a PostgreSQL database for oneself: a lock on a connection that is kept for nothing else.

The lock lasts as long as the connection. When that breaks nobody can say who has
the lock, so whoever held it writes nothing until it has it again, with the
generation that it had: then nobody else has served meanwhile. A change of the
generation, which every write looks for, tells it before the next look at the
connection does, and ends it for good.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import Connection, NullPool, create_engine, select, text
from sqlalchemy.exc import SQLAlchemyError

from kiln.ground.journal import Journal
from kiln.store import deployment
from kiln.store.conninfo import Server, connect
from kiln.store.database import Database, Transaction
from kiln.store.deployment import Deployment, deployments
from kiln.store.errors import DatabaseDown
from kiln.store.faults import outage_said, words_of

_LOCK = "SELECT pg_try_advisory_lock(8787, 1)"  # Migrations use another, of one number.
_LOOK_S = 1.0

log = Journal("kiln.store")


class HoldRefused(Exception):
    """Another session holds the database."""


class HoldLost(DatabaseDown):
    """The database is another Kiln's by now; nothing was written."""


class Hold:
    """The lock on the database of *server*. Raises HoldRefused, DatabaseDown."""

    def __init__(self, server: Server) -> None:
        self._engine = create_engine(
            "postgresql+psycopg://", creator=lambda: connect(server), poolclass=NullPool
        ).execution_options(isolation_level="AUTOCOMMIT")
        self._lost = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._away = ""  # Why the lock is not held just now.
        self._connection: Connection | None = self._take()

    def _take(self) -> Connection:
        try:
            connection = self._engine.connect()
            is_held = connection.execute(text(_LOCK)).scalar()
        except SQLAlchemyError as error:
            raise DatabaseDown(words_of(error)) from error
        if not is_held:
            connection.close()
            raise HoldRefused
        return connection

    @property
    def is_lost(self) -> bool:
        """Whether another has the database, since it was taken here."""
        return self._lost.is_set()

    def guard(self, database: Database, mine: Deployment, on_loss: Callable[[], None]) -> None:
        """Let *database* be written only while the lock is held and the generation is *mine*.

        While the connection is broken every write raises DatabaseDown. When the generation is another's, *on_loss* is
        called once, and from then on every write raises HoldLost.
        """

        def fence(tx: Transaction) -> None:
            if self._away:
                raise DatabaseDown(self._away)
            if not self.is_lost and deployment.find(tx) != mine:
                self._lose("another Kiln has begun its generation", on_loss)
            if self.is_lost:
                raise HoldLost("the database may be another Kiln's by now")

        database.fence = fence
        self._thread = threading.Thread(target=self._watch, args=(mine, on_loss), name="hold")
        self._thread.start()

    def release(self) -> None:
        """Give the database to whoever wants it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._let_go()
        self._engine.dispose()

    def _let_go(self) -> None:
        if self._connection is not None:
            with suppress(SQLAlchemyError):  # It is broken.
                self._connection.close()
        self._connection = None

    def _watch(self, mine: Deployment, on_loss: Callable[[], None]) -> None:
        while not self._stopping.wait(_LOOK_S) and not self.is_lost:
            try:
                if self._connection is not None:
                    self._connection.execute(text("SELECT 1"))
                    continue
            except SQLAlchemyError as error:
                self._away = f"the connection that keeps the database for this Kiln is broken: {words_of(error)}"
                log.warning("database_away", reason=words_of(error))
                self._let_go()
            # Where the connection alone was ended, the lock is had again before anybody notices.
            self._return(mine, on_loss)

    def _return(self, mine: Deployment, on_loss: Callable[[], None]) -> None:
        """Take the lock again, if that can be; and go on, if nobody has served meanwhile."""
        try:
            connection = self._take()
            with outage_said():
                row = connection.execute(select(deployments.table)).first()
        except DatabaseDown as error:
            self._away = f"the connection that keeps the database for this Kiln is broken: {error}"
            return
        except HoldRefused:
            # A server may take some seconds to notice that the connection which had it is gone.
            self._away = "another session holds the database, since the connection that held it is broken"
            return
        self._connection = connection
        if row is None or deployments.read(row) != mine:
            self._lose("another Kiln has begun its generation", on_loss)
            return
        self._away = ""
        log.warning("database_back")

    def _lose(self, reason: str, on_loss: Callable[[], None]) -> None:
        if not self._lost.is_set():
            self._lost.set()
            log.error("database_lost", reason=reason)
            on_loss()
