"""Which Kilns work with a PostgreSQL database: locks on a connection that is kept for nothing else.

    8787, 1   shared: of every process that serves; exclusive: of whoever needs the database alone
    8787, 2   the door: of who begins, until it has found out whether it is the first
    8787, 3   the duties that one process does for all
    8787, 4   within a transaction: giving back what silent processes have leased
    8788, h   the host whose name has the hash h: of the one process that carries out tasks there

A lock lasts as long as the connection. When that breaks nobody can say who has
the locks, so whoever held them writes nothing until it has all of them again, with
the generation that it had: then nobody has served alone meanwhile. A change of the
generation, which every write looks for, tells it before the next look at the
connection does, and ends it for good.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, NullPool, create_engine, select, text
from sqlalchemy.exc import SQLAlchemyError

from kiln.ground.journal import Journal
from kiln.store import deployment
from kiln.store.conninfo import Server, connect
from kiln.store.database import Database, Transaction
from kiln.store.deployment import Deployment, deployments
from kiln.store.errors import DatabaseBusy, DatabaseDown, DatabaseFull
from kiln.store.faults import outage_said, words_of
from kiln.store.hosts import LOCK
from kiln.store.workers import SEEN

# Migrations use another, of one number.
_ALONE, _BESIDE = "SELECT pg_try_advisory_lock(8787, 1)", "SELECT pg_try_advisory_lock_shared(8787, 1)"
_ALONE_NO_MORE = "SELECT pg_advisory_unlock(8787, 1)"
_DOOR, _DOOR_OPEN = "SELECT pg_try_advisory_lock(8787, 2)", "SELECT pg_advisory_unlock(8787, 2)"
_DUTIES = "SELECT pg_try_advisory_lock(8787, 3)"
_HOST = f"SELECT pg_try_advisory_lock({LOCK}, hashtext(:host))"

# Whether somebody has the lock of _ALONE or of _BESIDE. The view lists those of all databases, and 2 says that a lock
# is named by two numbers (PostgreSQL, pg_locks).
_ANYBODY = """
SELECT EXISTS (
    SELECT 1 FROM pg_locks
    WHERE locktype = 'advisory' AND (classid, objid, objsubid) = (8787, 1, 2) AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
"""

_LOOK_S = 1.0

#: Whoever begins first may have tables to migrate, and the others wait behind it for no longer than that.
_DOOR_WITHIN_S = 120.0
_KNOCK_S = 0.1

#: A server may take some seconds to notice that the connection which had the locks is gone. Who has them after that is
#: another process, and this one ends.
_GIVE_UP_S = 60.0

log = Journal("kiln.store")


class HoldRefused(Exception):
    """Another session holds the database, and lets nobody work beside it."""


class HoldLost(DatabaseDown):
    """The database is another Kiln's by now; nothing was written."""


def is_worked_with(tx: Transaction) -> bool:
    """Whether a process serves with the database, or has it alone; nobody is kept from it by the question."""
    return bool(tx.execute(text(_ANYBODY)).scalar())


class Hold:
    """The locks on the database of *server*: it alone, or with *is_beside* among others who serve.

    Raises HoldRefused, DatabaseDown.
    """

    def __init__(self, server: Server, *, is_beside: bool = False) -> None:
        self._engine = create_engine(
            "postgresql+psycopg://", creator=lambda: connect(server), poolclass=NullPool
        ).execution_options(isolation_level="AUTOCOMMIT")
        self._lost = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._away = ""  # Why the locks are not held just now.
        self._away_since = 0.0
        self._using = threading.Lock()
        self._look: Callable[[], None] = lambda: None
        self._is_beside = is_beside
        self._more: dict[str, Mapping[str, Any]] = {}  # Locks that are held beside the first, with their parameters.
        self._connection: Connection | None = self._connected()
        is_held = False
        try:
            is_held = self._take()
        except SQLAlchemyError as error:
            raise DatabaseDown(words_of(error)) from error
        finally:
            if not is_held:
                self._let_go()
        if not is_held:
            raise HoldRefused

    def _connected(self) -> Connection:
        try:
            return self._engine.connect()
        except SQLAlchemyError as error:
            raise DatabaseDown(words_of(error)) from error

    def _take(self) -> bool:
        if self._is_beside and not self._wait_for_door():
            return False
        #: Whether nobody else works with the database: nothing that was left in it is anybody's.
        self.is_first = bool(self._ask(_ALONE))
        return self.is_first or (self._is_beside and bool(self._ask(_BESIDE)))

    def _wait_for_door(self) -> bool:
        deadline = time.monotonic() + _DOOR_WITHIN_S
        while not self._ask(_DOOR):
            if time.monotonic() > deadline:
                return False
            time.sleep(_KNOCK_S)
        return True

    @property
    def is_lost(self) -> bool:
        """Whether another has the database, since it was taken here."""
        return self._lost.is_set()

    def open_door(self) -> None:
        """Let others work beside this one, since what the first has to do alone is done. Raises DatabaseDown."""
        if self.is_first:
            self._say(_BESIDE)
            self._say(_ALONE_NO_MORE)
        self._say(_DOOR_OPEN)

    def take_host(self, host: str) -> bool:
        """Be the one who carries out what is bound to *host*; False where another process is. Raises DatabaseDown."""
        return self._take_more(_HOST, host=host)

    def take_duties(self) -> bool:
        """Be the one who does what one does for all; False where another process does. Raises DatabaseDown."""
        return self._take_more(_DUTIES)

    def be_seen(self, member: str) -> bool:
        """Note in the row of that ID that its process is alive, by the database's clock; False where it has none.

        Raises DatabaseDown.
        """
        return self._say(SEEN, id=member) is not None

    def guard(self, database: Database, mine: Deployment, on_loss: Callable[[], None]) -> None:
        """Let *database* be written only while the locks are held and the generation is *mine*.

        While the connection is broken every write raises DatabaseDown. When the generation is another's, or others
        have taken the locks, *on_loss* is called once, and from then on every write raises HoldLost.
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

    def attend(self, look: Callable[[], None]) -> None:
        """Have *look* called now, and every second as long as the locks are held. Raises what it raises now."""
        look()
        self._look = look

    def release(self) -> None:
        """Give the database to whoever wants it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._let_go()
        self._engine.dispose()

    def _let_go(self) -> None:
        with self._using:
            if self._connection is not None:
                _close(self._connection)
            self._connection = None

    def _ask(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Any:
        with self._using:
            if self._connection is None:
                raise DatabaseDown(self._away)
            return _scalar(self._connection, statement, parameters)

    def _say(self, statement: str, **parameters: Any) -> Any:
        try:
            return self._ask(statement, parameters)
        except SQLAlchemyError as error:
            raise DatabaseDown(words_of(error)) from error

    def _take_more(self, statement: str, **parameters: Any) -> bool:
        is_taken = bool(self._say(statement, **parameters))
        if is_taken:
            self._more[statement] = parameters
        return is_taken

    def _watch(self, mine: Deployment, on_loss: Callable[[], None]) -> None:
        while not self._stopping.wait(_LOOK_S) and not self.is_lost:
            try:
                if self._connection is not None:
                    self._ask("SELECT 1")
                    self._attend()
                    continue
            except SQLAlchemyError as error:
                self._away = f"the connection that keeps the database for this Kiln is broken: {words_of(error)}"
                self._away_since = time.monotonic()
                log.warning("database_away", reason=words_of(error))
                self._let_go()
            # Where the connection alone was ended, the locks are had again before anybody notices.
            self._return(mine, on_loss)

    def _attend(self) -> None:
        try:
            self._look()
        except DatabaseDown as error:
            log.warning("not_seen", reason=str(error))  # The next look tells whether the connection is broken.
        except Exception:
            log.exception("look_failed")

    def _return(self, mine: Deployment, on_loss: Callable[[], None]) -> None:
        """Take the locks again, if that can be; and go on, if nobody has served alone meanwhile."""
        try:
            connection = self._connected()
            is_held, row = self._asked_again(connection)
        except Exception as error:
            # Whatever it is, the next look may find the server better; without looks nothing was written any more.
            self._away = f"the connection that keeps the database for this Kiln is broken: {words_of(error)}"
            if not isinstance(error, DatabaseDown | DatabaseBusy | DatabaseFull):
                log.exception("database_not_back")
            return
        if row is None or deployments.read(row) != mine:
            _close(connection)
            self._lose("another Kiln has begun its generation", on_loss)
        elif is_held:
            with self._using:
                self._connection = connection
            self._away = ""
            log.warning("database_back")
        else:
            _close(connection)
            self._away = "another session holds the database, since the connection that held it is broken"
            if self._more and time.monotonic() > self._away_since + _GIVE_UP_S:
                self._lose("another process does what this one did", on_loss)

    def _asked_again(self, connection: Connection) -> tuple[bool, Any]:
        """Whether the locks are had on *connection*, and the row of the deployment; where that fails it is closed."""
        try:
            with outage_said():
                return self._take_again(connection), connection.execute(select(deployments.table)).first()
        except BaseException:
            _close(connection)
            raise

    def _take_again(self, connection: Connection) -> bool:
        first = _BESIDE if self._is_beside else _ALONE
        return all(_scalar(connection, *one) for one in ((first, None), *self._more.items()))

    def _lose(self, reason: str, on_loss: Callable[[], None]) -> None:
        if not self._lost.is_set():
            self._lost.set()
            log.error("database_lost", reason=reason)
            on_loss()


def _close(connection: Connection) -> None:
    with suppress(SQLAlchemyError):  # It is broken.
        connection.close()


def _scalar(connection: Connection, statement: str, parameters: Mapping[str, Any] | None = None) -> Any:
    found = connection.execute(text(statement), parameters or {})
    return found.scalar() if found.returns_rows else None
