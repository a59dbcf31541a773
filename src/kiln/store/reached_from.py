"""By which address of this host the database's server is reached."""

from __future__ import annotations

import os
import socket
from ipaddress import IPv4Address
from typing import Any

from kiln.store.database import Database


def reached_from(database: Database) -> IPv4Address | None:
    """The host's own end of a connection to PostgreSQL; None where that is no IPv4. Raises as connecting does."""
    with database.engine.connect() as connection:
        made: Any = connection.connection.driver_connection
        with socket.socket(fileno=os.dup(made.fileno())) as looked_at:
            if looked_at.family != socket.AF_INET:
                return None
            return IPv4Address(looked_at.getsockname()[0])
