"""How a PostgreSQL server is reached, as libpq is told it.

The address is libpq's own (``postgresql://``): several hosts, TLS and whatever else it knows may stand in it, and win
over what is added here, which is what a service needs that goes on for months: a bound for everything that is waited
for, and of several hosts the one that takes writes.

Nothing here loads SQLAlchemy, and the driver only for who has an address.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import field
from functools import cache
from pathlib import Path
from typing import Any

from kiln.ground.short_files import NotShort, read_short_text
from kiln.ground.values import dataclass
from kiln.store.errors import DatabaseDown

_SCHEME = re.compile("postgres(ql)?(?:[+]psycopg)?://")
_SECRETS = ("password", "sslpassword")
_SECRET_WORD = re.compile(r"(?i)(?:^|[?&])(?:ssl)?password=")

#: A host that is gone answers nothing, and TCP alone would wait for a quarter of an hour.
_SIGNS_OF_LIFE = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}

#: The same for the server, which keeps our locks until it notices that we are gone.
_SERVERS_SIGNS = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"


_ON_THE_WAY_S = 5.0  #: A server that keeps its bounds has answered by then.


class AddressRefused(ValueError):
    """The address of a server is none. The message quotes nothing that could be a password."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server's address, what opens it, and how long anything of it is waited for, in seconds; 0: for ever."""

    address: str = field(repr=False)
    password: str = field(default="", repr=False)
    password_file: str = ""  #: Read at each new connection, so that a password may be changed while Kiln serves.
    connections: int = 32  #: At most, of one process; beside the one that holds the database.
    connect_s: float = 10.0  #: To one host of the address.
    statement_s: float = 30.0
    lock_s: float = 10.0

    def parameters(self) -> dict[str, Any]:
        """What libpq is told. Raises AddressRefused, and DatabaseDown where the file of the password cannot be read."""
        given = parsed(self.address)
        added: dict[str, Any] = {
            **_SIGNS_OF_LIFE,
            "connect_timeout": max(2, round(self.connect_s)) if self.connect_s else 0,
            "fallback_application_name": "kiln",
            # Whoever lists a primary and its standbys means the one that can be written; a lone standby is told so.
            "target_session_attrs": "read-write",
        }
        if password := self._password():
            added["password"] = password
        bounds = f"-c statement_timeout={_ms(self.statement_s)} -c lock_timeout={_ms(self.lock_s)}"
        options = " ".join(filter(None, (_SERVERS_SIGNS, bounds, given.pop("options", ""))))
        # What is sent is UTF-8, whatever PGCLIENTENCODING says.
        return {**added, **given, "options": options, "client_encoding": "UTF8"}

    def _password(self) -> str:
        if not self.password_file:
            return self.password
        try:
            text = read_short_text(Path(self.password_file))
        except OSError as error:
            raise DatabaseDown(f"the password cannot be read: {self.password_file}: {error.strerror}") from None
        except (NotShort, UnicodeDecodeError):
            raise DatabaseDown(f"the password cannot be read: {self.password_file} is no short text") from None
        return text.partition("\n")[0].rstrip("\r")

    @property
    def shown(self) -> str:
        """Where it is, for people: host, port and name of the database, and nothing that opens it."""
        given = parsed(self.address)
        hosts = str(given.get("host") or given.get("hostaddr") or "").split(",")
        ports = str(given.get("port") or "").split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports
        places = [host + (f":{port}" if port else "") for host, port in zip(hosts, ports, strict=False)]
        return f"postgresql://{','.join(places)}/{given.get('dbname') or ''}"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def server_of(it: Server | str) -> Server:
    """A server of which only the address is known has the usual bounds."""
    return it if isinstance(it, Server) else Server(address=it)


def parsed(address: str) -> dict[str, Any]:
    """The parameters of libpq that the address names. Raises AddressRefused."""
    scheme = _SCHEME.match(address)
    if scheme is None:
        raise AddressRefused("it has to begin with postgresql://")
    plain = "postgresql://" + address[scheme.end() :]
    users, at, rest = plain.removeprefix("postgresql://").rpartition("@")
    given = _told(plain, is_secret=bool(_SECRET_WORD.search(rest)), without_users=f"postgresql://{rest}")
    # A slash or a question mark of a password ends what libpq takes for the host, and the rest would be shown as that.
    ports = str(given.get("port") or "")
    if re.sub("[0-9,]", "", ports) or (at and "@" in str(given.get("dbname") or "") + str(given.get("host") or "")):
        raise AddressRefused(_USERS if users else "a port is a number")
    return given


_USERS = (
    "what stands before its last @ cannot be understood: in a password every letter but A-Z, a-z and 0-9 is written "
    "as % and two digits (/ is %2F, @ is %40); or give the password by itself"
)


def _told(address: str, *, is_secret: bool, without_users: str) -> dict[str, Any]:
    """What libpq makes of the address. Its own words quote what they complain of, and so are not for every part."""
    driver = _driver()
    try:
        return dict(driver.conninfo.conninfo_to_dict(address))
    except driver.Error:
        pass
    try:
        driver.conninfo.conninfo_to_dict(without_users)
    except driver.Error as error:
        said = "a part after its ? cannot be understood" if is_secret else " ".join(str(error).split())
        raise AddressRefused(said) from None
    raise AddressRefused(_USERS)


def _driver() -> Any:
    try:
        import psycopg  # noqa: PLC0415 - it is optional, and a Kiln on SQLite does not wait for it.
        import psycopg.conninfo  # noqa: PLC0415 - as above.
    except ImportError as error:
        raise AddressRefused(f"it needs the postgresql extra, which is not installed ({error})") from None
    return psycopg


def connect(server: Server) -> Any:
    """A new connection of the driver's. Raises the driver's errors, AddressRefused, DatabaseDown.

    It waits for no answer longer than the server has for a statement, and some seconds for the way.
    """
    connection = _patient(_driver()).connect(**server.parameters())
    connection.patience_s = server.statement_s + _ON_THE_WAY_S if server.statement_s else None
    return connection


@cache
def _patient(driver: Any) -> Any:
    """Connections that wait for an answer no longer than ``patience_s``; None: as long as it takes.

    A server that is frozen keeps its own bounds no more, and its host answers for it on the wire.
    """

    class Patient(driver.Connection):  # type: ignore[misc]
        patience_s: float | None = None

        def wait(self, *said: Any, **more: Any) -> Any:
            if self.patience_s is None or "timeout" in more:
                return super().wait(*said, **more)
            deadline = time.monotonic() + self.patience_s
            try:
                return super().wait(*said, timeout=self.patience_s, **more)
            except driver.OperationalError as error:
                if time.monotonic() < deadline:
                    raise
                self.pgconn.finish()  # What comes later is the answer to nothing.
                raise driver.OperationalError(f"the server has not answered for {self.patience_s:g} s") from error

    return Patient


def secrets_in(address: str) -> set[str]:
    """What is secret in an address, however wrong it is."""
    found = {text for text in re.findall(r"://[^:/?#]*:(.*)@", address) if text}
    try:
        given: Mapping[str, Any] = parsed(address)
    except AddressRefused:
        given = {}
    found |= {str(given[name]) for name in _SECRETS if given.get(name)}
    return found


def has_password(address: str) -> bool:
    """Whether a password stands in the address, or what may be one."""
    return bool(secrets_in(address)) or bool(_SECRET_WORD.search(address))
