"""The database: SQLite in the data folder, or PostgreSQL.

Two kinds of transaction. A **read** sees one snapshot and blocks nobody. A
**write** is serialisable: what it read still holds when it commits, so an
operation may check and then record without thinking of the others. On SQLite
that is one writer at a time (queued in memory, then ``BEGIN IMMEDIATE``); on
PostgreSQL it is SERIALIZABLE, run again when the server says so.

A commit that has returned is on disk: WAL with ``synchronous=FULL`` (one fsync
a commit) on SQLite, the server's default on PostgreSQL. Writers that wait for
SQLite share one commit, as PostgreSQL's do: each has a savepoint of its own, and
is answered when all of them are durable (docs/design/0012).
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from kiln.declare.metrics import DATABASE_RETRIES, FSYNCS
from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.store.changes import Change, Hub
from kiln.store.conninfo import Server, connect, parsed, server_of
from kiln.store.errors import DatabaseBusy, DatabaseDown, DatabaseFull, DatabaseMalformed
from kiln.store.faults import (
    damage_in,
    full_said,
    given_up,
    is_busy,
    is_of_database,
    let_go,
    outage_said,
    rivalry_in,
    words_of,
)
from kiln.store.idle import Idle
from kiln.store.line import Errand, Hands, Line, Member, Sleeper
from kiln.store.patience import unhurried

log = Journal("kiln.store")

Result = TypeVar("Result")

#: Give up after so many tries of one PostgreSQL transaction; with the growing pauses that is some 3 seconds.
_TRIES = 12

_KEPT = "kiln_kept"  #: The execution option of a connection on which SQLAlchemy shall begin nothing.

_STOPPED = "nothing is written, given back or deleted any more; what can be read is answered"
_TO_DO = (
    "stop the service and keep a copy of the whole data folder; `kiln fsck` then says what is damaged, and the ways out"
)

_WRITES = "BEGIN IMMEDIATE"

_IDLE_MOST = 8  #: Kept connections that wait for work; each costs some 100 KiB.
_KEPT_MOST = 8  #: Of PostgreSQL, where each is a process of the server's; what is more is closed after use.


class Cursor(Protocol):
    """What a driver's statement gave."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """The rows that are left."""


class Transaction:
    """One transaction.

    Statements go through ``execute``, or compiled and in the driver's own
    spelling through ``driver``; ``after_commit`` runs what must follow a commit.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.dialect = connection.dialect
        self.execute: Callable[..., CursorResult[Any]] = connection.execute
        self._raw: Any = connection.connection.driver_connection
        self._error = connection.dialect.loaded_dbapi.Error
        self._after: list[Callable[[], None]] = []
        self.touched: set[tuple[str, str]] = set()  #: Kind and ID of the resources of which something changes.
        self.changes: list[Change] = []  #: What the hub is told once the transaction is durable.

    def driver(self, statement: str, parameters: Any) -> Cursor:
        """Run a statement past SQLAlchemy, which would take longer than the database. Raises as ``execute`` does."""
        try:
            cursor: Cursor = self._raw.execute(statement, parameters)
        except self._error as error:
            raise DBAPIError.instance(statement, parameters, error, self._error, dialect=self.dialect) from error
        return cursor

    def after_commit(self, action: Callable[[], None]) -> None:
        """Have *action* called once the transaction is durable; never when it is rolled back."""
        self._after.append(action)

    @property
    def is_open(self) -> bool:
        """Whether SQLite has not ended the transaction by itself, as it may after a fault; for Database alone."""
        return bool(self._raw.in_transaction)

    def another(self) -> Transaction:
        """Another's part of the same transaction; for Database alone."""
        return Transaction(self._connection)

    def unhurried(self) -> AbstractContextManager[None]:
        """Let its statements take as long as they take, within the context."""
        return unhurried(self._connection)

    def settle(self) -> None:
        """Run what ``after_commit`` was told; for Database alone."""
        for action in self._after:
            action()


#: What a write comes to: its transaction, for what is to follow the commit, and what its work returned.
_Written = tuple[Transaction, Any]


class _KeptConnections:
    """Connections to SQLite, to which BEGIN and COMMIT go past SQLAlchemy.

    Its pool, its begin and its commit take as long as five small statements.
    Safe to use from any thread; a transaction has a connection for itself.
    """

    def __init__(self, engine: Engine, found: Callable[[str], None]) -> None:
        self._engine = engine.execution_options(**{_KEPT: True})
        self._found = found  # Is told of damage that a statement met.
        self._idle: Idle[Connection] = Idle(_IDLE_MOST)

    @contextmanager
    def transaction(self, begin: str) -> Iterator[Transaction]:
        """A transaction that *begin* begins, and that ends with the context: committed, or rolled back by an error."""
        try:
            connection = self._idle.take() or self._engine.connect()
        except BaseException as error:
            self._judge(error)
            raise
        raw: Any = connection.connection.driver_connection
        try:
            raw.execute(begin)
            yield Transaction(connection)
            began = time.perf_counter()
            raw.commit()
            if begin is _WRITES:
                FSYNCS.observe(time.perf_counter() - began, "database")
        except BaseException as error:
            try:
                raw.rollback()
            finally:
                self._judge(error)
            raise
        finally:
            self._put_back(connection, is_sound=not raw.in_transaction)

    def _judge(self, error: BaseException) -> None:
        """Raise DatabaseMalformed where that is what *error* means."""
        damage = damage_in(error)
        if damage is not None:
            self._found(damage)
            raise DatabaseMalformed(damage) from error

    def close(self) -> None:
        """Close those that nobody uses now, and the others when they are given back."""
        self._idle.close()

    def _put_back(self, connection: Connection, *, is_sound: bool) -> None:
        if connection.in_transaction():
            # Only SQLAlchemy's own idea of one, from a statement through ``execute``; the driver's has ended.
            connection.rollback()
        if is_sound:
            self._idle.put_back(connection)
        else:
            connection.close()


class Database:
    """A database and how to run transactions on it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        #: Makes room on the database's disk and tells whether it did; for writes that give space back.
        self.make_room: Callable[[], bool] = lambda: False
        #: Whether that room was made and is not kept again; then nobody may begin what gives no space back.
        self.is_room_given_up: Callable[[], bool] = lambda: False
        #: Told after every commit what it changed: kind and ID of each resource. Must be quick and raise nothing.
        self.tell: Callable[[Collection[tuple[str, str]]], None] = lambda _: None
        #: Told after every commit which states changed, in the order of commits.
        self.hub = Hub()
        #: Called at the start of every write; what it raises is raised instead. For who may lose the right to write.
        self.fence: Callable[[Transaction], None] | None = None
        #: Called at the end of every write, before its commit: what it writes is part of it. For the outbox.
        self.enclose: Callable[[Transaction], None] = lambda _: None
        self.time_of_leases: Callable[[Transaction, float], float] = lambda _, now: now  #: One for all who lease.
        #: What was found of damage since it was opened; then nothing is written any more. Reads go on where they can.
        self.damage: str | None = None
        self._making_room, self._rooms_made = threading.Lock(), 0
        #: Who waits for SQLite.
        self.line: Line[_Written] = Line()
        self._kept = _KeptConnections(engine, self.found_damaged) if self.is_sqlite else None

    def read(self) -> AbstractContextManager[Transaction]:
        """A snapshot to read from."""
        if self._kept is not None:
            return self._kept.transaction("BEGIN")
        return _pooled(self.engine, isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def found_damaged(self, damage: str) -> None:
        """Have every write refused from here on, and say in the log what to do. Safe to call from any thread."""
        if self.damage is not None:
            return
        self.damage = damage
        log.error("database_damaged", reason=damage, now=_STOPPED, todo=_TO_DO)

    def probe(self, work: Callable[[Transaction], Result]) -> Result:
        """What *work* reads. Raises DatabaseDown, with the reason, for whatever the database fails with.

        So it does where the right to write is lost, or not had just now.
        """
        try:
            with self.read() as tx:
                if self.fence is not None:
                    self.fence(tx)
                return work(tx)
        except (SQLAlchemyError, sqlite3.Error, DatabaseMalformed, DatabaseBusy, DatabaseFull) as error:
            raise DatabaseDown(words_of(error)) from error

    def write(self, work: Callable[[Transaction], Result], *, gives_back: bool = False) -> Result:
        """Run *work* in a serialisable transaction and commit; *work* may be run more than once, on any thread.

        Where *gives_back* says that space will come of it, a full disk makes it
        ask ``make_room``, once. Raises whatever *work* raises, after rolling
        back, DatabaseFull, and DatabaseMalformed from the first damage on.
        """
        rooms = self._rooms_made
        try:
            written = self._write(work)
        except DatabaseFull:
            if not gives_back or not self._has_room_made(rooms):
                raise
            written = self._write(work)
        return self._follow(written)  # type: ignore[no-any-return]

    def hand_in(
        self,
        work: Callable[[Transaction], Result],
        then: Callable[[Callable[[], Result]], None],
        hands: Hands,
        *,
        gives_back: bool = False,
    ) -> None:
        """As ``write``, for who does not wait: *then*, which is quick, is given what returns the result or raises.

        It is called on this thread before this returns, or on another later.
        """
        rooms = self._rooms_made

        def finish(member: Member[_Written]) -> None:
            is_worth_another_try = False
            if gives_back and isinstance(member.error, DatabaseFull):
                try:
                    is_worth_another_try = self._has_room_made(rooms)
                except BaseException as error:  # noqa: BLE001 - whoever waits is told.
                    member.fail(error)
            if is_worth_another_try:
                self.hand_in(work, then, hands)
            else:
                then(lambda: self._follow(member.outcome()))

        wanted: Callable[..., Any] = work  # As the line knows it, what is done comes with its transaction.
        errand: Errand[_Written] = Errand(wanted, finish, lambda member: hands.start(lambda: self._lead(member)))
        if not self.is_sqlite:
            try:
                errand.succeed(self._insist(work))
            except BaseException as error:  # noqa: BLE001 - it is raised in whom it concerns.
                errand.fail(error)
            errand.tell()
        elif self.line.join(errand):
            hands.waits()
            self._lead(errand)

    def _follow(self, written: _Written) -> Any:
        """What was returned, after what follows a commit."""
        tx, result = written
        if tx.touched:
            self.tell(tx.touched)
        tx.settle()
        return result

    def _has_room_made(self, before: int) -> bool:
        """Whether room was made since there had been *before* times, by whoever needed it first too, or is made now."""
        with self._making_room:
            if self._rooms_made == before and self.make_room():
                self._rooms_made += 1
            return self._rooms_made != before

    def _write(self, work: Callable[[Transaction], Any]) -> _Written:
        if not self.is_sqlite:
            return self._insist(work)
        member: Member[_Written] = Sleeper(work)
        if self.line.join(member):
            self._lead(member)
        return member.outcome()

    def _lead(self, first: Member[_Written]) -> None:
        """Do what *first* and those who wait behind it came for, and commit once."""
        group, are_done = [first], False
        try:
            with full_said(), self._begin_writing() as tx:
                self._gather(tx, group)
                are_done = True
                reach("database.before_commit")
            reach("database.committed")
            for member in group:
                self._tell_hub(member.done)
        except BaseException as error:  # noqa: BLE001 - it is raised in whom it concerns.
            if not are_done and is_busy(error):
                # The others would wait as long anew, one after the other.
                for member in (group := [*group, *self.line.all_waiting()]):
                    member.fail(DatabaseBusy(words_of(error)))
                return
            is_all_told = len(group) == 1 or (are_done and not isinstance(error, DatabaseFull))
            for member in group:
                # What befell one has undone all, or all together have no room. Nobody was answered yet.
                member.fail(error) if is_all_told else self._do_alone(member)
        finally:
            self.line.leave(group)

    def _gather(self, tx: Transaction, group: list[Member[_Written]]) -> None:
        """Do what the one of *group* wants, and then what those want who come meanwhile; they are added to it.

        The first needs no savepoint: when it fails nobody else has done anything, and the group is over. Whoever is
        refused for what an earlier one wrote is told after the commit, and asked anew where that fails.
        """
        began, (first,) = time.monotonic(), group
        first.succeed((tx, self._do(tx, first.want)))
        while (member := self.line.more(group, began)) is not None:
            group.append(member)
            self._do_within(tx.another(), member)

    def _do_within(self, tx: Transaction, member: Member[_Written]) -> None:
        """One more caller's part. Raises what makes the whole transaction worthless, and nothing else."""
        tx.driver("SAVEPOINT caller", ())
        try:
            member.succeed((tx, self._do(tx, member.want)))
        except BaseException as error:
            if not tx.is_open or is_of_database(error):
                raise
            let_go(error)
            tx.driver("ROLLBACK TO caller", ())
            member.fail(error)
        tx.driver("RELEASE caller", ())

    def _do_alone(self, member: Member[_Written]) -> None:
        try:
            with full_said():
                member.succeed(self._attempt(member.want))
        except BaseException as error:  # noqa: BLE001 - it is raised in whom it concerns.
            member.fail(error)

    def _attempt(self, work: Callable[[Transaction], Any]) -> _Written:
        with self.hub.telling() as telling:
            with self._begin_writing() as tx:
                written = tx, self._do(tx, work)
                reach("database.before_commit")
                if not self.is_sqlite and tx.changes:
                    telling.take(tx.changes)
            reach("database.committed")
            self._tell_hub(written)
        return written

    def _tell_hub(self, written: _Written | None) -> None:
        """Have it told, in the order of commits, what one caller changed, if anything came of that."""
        if written is not None and written[0].changes:
            self.hub.tell(written[0].changes)

    def _do(self, tx: Transaction, work: Callable[[Transaction], Result]) -> Result:
        if self.fence is not None:
            self.fence(tx)
        result = work(tx)
        self.enclose(tx)
        if self.is_sqlite and not tx.is_open:
            # SQLite rolled back by itself, and somebody made light of the error that said so. A savepoint would begin
            # another transaction now.
            raise sqlite3.OperationalError("the transaction had ended before its commit")
        return result

    def _begin_writing(self) -> AbstractContextManager[Transaction]:
        if self.damage is not None:
            raise DatabaseMalformed(self.damage)
        if self._kept is not None:
            return self._kept.transaction(_WRITES)
        return _pooled(self.engine, isolation_level="SERIALIZABLE")

    def _insist(self, work: Callable[[Transaction], Any]) -> _Written:
        for attempt in range(_TRIES):
            try:
                return self._attempt(work)
            except DBAPIError as e:
                rivalry = rivalry_in(e)
                if not rivalry:
                    raise
                if attempt == _TRIES - 1:
                    raise given_up(e) from e
                DATABASE_RETRIES.add(rivalry)
                # Waiting a little, and not in step with the others, lets one of the rivals finish.
                time.sleep(random.uniform(0, 0.001 * 2**attempt))  # noqa: S311 - no secret depends on it.
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close every connection."""
        if self._kept is not None:
            self._kept.close()
        self.engine.dispose()


@contextmanager
def _pooled(engine: Engine, **options: Any) -> Iterator[Transaction]:
    """A transaction on a connection of the engine's pool. Raises DatabaseDown, DatabaseBusy, DatabaseFull."""
    with outage_said(), engine.connect() as connection, connection.execution_options(**options).begin():
        yield Transaction(connection)


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def open_sqlite(path: Path) -> Database:
    """Open (and make) the database file at *path*."""
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"check_same_thread": False, "timeout": 30, "cached_statements": 512},
        poolclass=NullPool,  # Connections are kept by _KeptConnections.
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        # Python's own transaction handling is switched off, so that the BEGIN below is the only one.
        connection.isolation_level = None
        # SQLite's own knows the 26 letters of English, and names may have any.
        connection.create_function("lower", 1, _lower, deterministic=True)
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        # 2 MiB for each connection, of which there are some: what it lacks is in the system's memory, 2 us away.
        cursor.execute("PRAGMA cache_size=-2048")
        cursor.execute("PRAGMA busy_timeout=30000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not connection.get_execution_options().get(_KEPT, False):
            connection.exec_driver_sql("BEGIN")

    return Database(engine)


def open_postgresql(address: Server | str) -> Database:
    """Open the PostgreSQL database at *address*; nothing is connected to yet. Raises AddressRefused."""
    server = server_of(address)
    parsed(server.address)
    kept = min(_KEPT_MOST, server.connections)
    return Database(
        create_engine(
            "postgresql+psycopg://",
            creator=lambda: connect(server),
            pool_size=kept,
            max_overflow=server.connections - kept,
            pool_timeout=server.connect_s or None,
            pool_pre_ping=True,
        )
    )
