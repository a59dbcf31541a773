"""Commands that are kept, to be run again: what Cloud Assistant has of an account in a region."""

from __future__ import annotations

from sqlalchemy import Index

from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.order import Order, newest_first
from kiln.store.rows import Recorded, Rows


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command. Empty text means: not given."""

    id: str
    account: str
    region: str
    name: str
    description: str
    type: str
    content: str  #: In Base64: a database takes no text with a null in it. It may hold a password.
    working_dir: str
    timeout_s: int
    enable_parameter: bool
    resource_group: str
    created_at: float
    invoked: int  #: How many times.


commands: Rows[Command] = Rows(
    "commands",
    Command,
    recorded=Recorded("command"),
    indexes=[Index("commands_list", "account", "region", "created_at", "id")],
)

NEWEST: Order = newest_first(commands.c)


def count_invocation(tx: Transaction, command: Command) -> None:
    """Note that it was invoked once more."""
    commands.update(tx, {"invoked": command.invoked + 1}, id=command.id)
