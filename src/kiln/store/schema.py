"""All tables, and how a database comes to have them: made as declared, or by migrations from what it had before.

Alembic is imported only when there is something to migrate: it would double
the time to the first answer of every other start.
"""

from __future__ import annotations

from importlib.resources import files

from sqlalchemy import Connection, inspect, text

from kiln.ground.killpoints import reach
from kiln.store import (
    accounts,
    audit,
    buckets,
    commands,
    console_sessions,
    deployment,
    disks,
    eips,
    firmware,
    hosts,
    images,
    instances,
    interfaces,
    invocations,
    key_pairs,
    launch_templates,
    nonces,
    security_groups,
    shares,
    snapshot_groups,
    snapshot_policies,
    snapshots,
    tags,
    tasks,
    terminals,
    tokens,
    trash,
    tunnels,
    volumes,
    vpcs,
    vswitches,
    webhooks,
    workers,
)
from kiln.store.database import Database
from kiln.store.faults import full_said
from kiln.store.patience import unhurried
from kiln.store.rows import metadata

#: Named so that every table is known to the metadata by the time somebody asks.
NOUNS = (
    *(accounts, audit, buckets, commands, deployment, disks, images, instances, invocations, key_pairs, shares),
    *(snapshots, tags, tasks, tokens, trash, volumes, vpcs, vswitches, security_groups, interfaces, eips),
    *(launch_templates, snapshot_groups, snapshot_policies, webhooks, workers, nonces, hosts),
    *(console_sessions, terminals, tunnels, firmware),
)

#: The newest migration; a test holds it to the files in ``migrations/versions``.
NEWEST = "0033"


#: As Alembic makes it, with the version of tables that no migration has made.
_VERSION_TABLE = (
    "CREATE TABLE alembic_version "
    "(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


class SchemaTooNew(Exception):
    """The database was made by a newer Kiln; this one would not understand it."""


class SchemaOld(Exception):
    """The database was made by an older Kiln, and whoever opens it is not to change that."""


class SchemaAbsent(Exception):
    """There are no tables yet, and whoever opens the database is not to make them."""


def version(database: Database) -> str | None:
    """The version of the tables; None where there are none."""
    with database.engine.connect() as connection:
        return version_in(connection)


def require_present(database: Database) -> None:
    """Raise SchemaAbsent, SchemaOld or SchemaTooNew unless the tables are of this Kiln's version."""
    with database.engine.connect() as connection:
        found = version_in(connection)
        refuse_newer(connection)
    if found is None:
        raise SchemaAbsent("it has no tables yet")
    if found != NEWEST:
        raise SchemaOld(f"its tables are of version {found}, and this Kiln's of version {NEWEST}")


def create(database: Database) -> None:
    """Bring the database's tables to the newest form; an empty database gets them all.

    Raises SchemaTooNew, DatabaseFull.
    """
    with database.engine.connect() as connection:
        found = version_in(connection)
        refuse_newer(connection)
    if found == NEWEST:
        return
    # Migrations run one process at a time: on SQLite the data folder is held, on PostgreSQL a lock is taken here.
    with full_said(), database.engine.connect() as connection, unhurried(connection):
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_lock(8787)"))
        if inspect(connection).get_table_names():
            _upgrade(connection)
        else:
            _make(connection)
        reach("schema.before_commit")
        connection.commit()
        reach("schema.committed")


def refuse_newer(connection: Connection) -> None:
    """Raise SchemaTooNew when a newer Kiln has migrated the database; nothing else of it is looked at."""
    found = version_in(connection)
    if found is not None and found > NEWEST:
        raise SchemaTooNew(
            f"a newer Kiln has been here: its tables are of version {found}, and this Kiln knows those up to {NEWEST}. "
            "Nothing was changed. Use that Kiln, or a newer one; or the copy of the data folder that was made before it"
        )


def version_in(connection: Connection) -> str | None:
    """The same, on a connection."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version


def _make(connection: Connection) -> None:
    """Make the tables of an empty database: what all migrations come to, and a test holds them to that."""
    name_conditions_for_postgresql()
    metadata.create_all(connection)
    connection.execute(text(_VERSION_TABLE))
    connection.execute(text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": NEWEST})


def name_conditions_for_postgresql() -> None:
    """Give indexes of a part of a table their condition for PostgreSQL, too.

    Whoever names PostgreSQL in a declaration has SQLAlchemy load all that it knows of it, a tenth of a start on SQLite.
    """
    for table in metadata.tables.values():
        for index in table.indexes:
            index.dialect_kwargs["postgresql_where"] = index.dialect_options["sqlite"]["where"]


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - see the module's docstring.
    from alembic.config import Config  # noqa: PLC0415 - see the module's docstring.

    config = Config()
    config.set_main_option("script_location", str(files("kiln.store") / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
