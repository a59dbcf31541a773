"""What a PostgreSQL server says of itself, and why Kiln cannot work with one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import bindparam, text

from kiln.ground.values import dataclass
from kiln.store.database import Database, Transaction
from kiln.store.rows import metadata

#: The oldest that is tried; Debian 11 has it. Older ones lack what the statements use, or are looked after by nobody.
OLDEST = 13
_ENCODING = "UTF8"

_ASKED = text("""
SELECT current_setting('server_version_num')::int, current_setting('server_version'),
       current_setting('server_encoding'),
       pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool,
       current_user, coalesce(current_schema(), ''),
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
       extract(epoch FROM clock_timestamp())::float8
""")

#: Of the tables that are there, those in which a right is missing.
_CLOSED = text("""
SELECT relname FROM pg_class
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND relname IN :names
  AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
           AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))
ORDER BY relname
""").bindparams(bindparam("names", expanding=True))


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What was asked of a server."""

    version: int  #: As PostgreSQL counts: 150002 is 15.2.
    version_text: str
    encoding: str
    is_read_only: bool
    user: str
    schema: str  #: In which tables are made; empty where the user sees none.
    may_create: bool
    closed: tuple[str, ...]  #: Tables that the user may not read and write.
    is_encrypted: bool
    clock: float  #: The server's, in seconds since 1970, while it was asked.


def standing(tx: Transaction) -> Standing:
    """Ask the server."""
    found: Any = tx.execute(_ASKED).one()
    closed: Any = tx.execute(_CLOSED, {"names": list(metadata.tables)}).scalars()
    return Standing(
        version=found[0],
        version_text=found[1].partition(" ")[0],
        encoding=found[2],
        is_read_only=found[3],
        user=found[4],
        schema=found[5],
        may_create=found[6],
        closed=tuple(closed),
        is_encrypted=found[7],
        clock=found[8],
    )


def faults_of(it: Standing, *, makes_tables: bool) -> Iterator[str]:
    """Why Kiln cannot work there, in sentences for the operator; *makes_tables*: some are missing, or are of before."""
    if it.version < OLDEST * 10_000:
        yield f"the server is PostgreSQL {it.version_text}, and Kiln needs {OLDEST} or newer"
    if it.encoding != _ENCODING:
        made = f"CREATE DATABASE … ENCODING '{_ENCODING}'"
        yield f"the database's encoding is {it.encoding}, and Kiln needs another: `{made}`"
    if it.is_read_only:
        yield "the server takes no writes: it is a standby, or is set to be read only"
    if not it.schema:
        yield f"the user {it.user} sees no schema of the database: `GRANT USAGE, CREATE ON SCHEMA public TO {it.user}`"
    elif makes_tables and not it.may_create:
        yield f"the user {it.user} may make no tables: `GRANT CREATE ON SCHEMA {it.schema} TO {it.user}`"
    if it.closed:
        yield (
            f"the user {it.user} may not read and write {', '.join(it.closed[:3])}"
            f"{' and others' if len(it.closed) > 3 else ''}: `ALTER TABLE … OWNER TO {it.user}`"  # noqa: PLR2004 - some.
        )


def first_fault(database: Database, *, makes_tables: bool) -> str | None:
    """Why Kiln cannot work there; None when it can. Raises DatabaseDown."""
    return next(faults_of(database.probe(standing), makes_tables=makes_tables), None)
