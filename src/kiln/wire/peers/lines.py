"""The consoles of machines on other hosts, for who shows them here."""

from __future__ import annotations

import asyncio

from kiln.calls.errors import ServiceUnavailableHostSilent
from kiln.machines.errors import MachineMissing
from kiln.store.database import Database
from kiln.store.errors import DatabaseBusy, DatabaseDown
from kiln.store.instances import host_of
from kiln.store.workers import Member
from kiln.wire.peers.asking import Asking
from kiln.wire.peers.frames import Source


class Lines:
    """See ``OtherHosts``."""

    def __init__(self, asking: Asking, database: Database) -> None:
        self._asking, self._database = asking, database

    def find(self, instance: str) -> Member | None:
        """The process that has the instance's machine, where that is another; on any thread. Raises MachineMissing."""
        try:
            with self._database.read() as tx:
                host = host_of(tx, instance)
                return None if self._asking.is_here(host) else self._asking.member(tx, host)
        except ServiceUnavailableHostSilent as error:
            raise MachineMissing(str(error)) from None
        except (DatabaseDown, DatabaseBusy) as error:
            raise MachineMissing("The database does not say on which host it runs.") from error

    async def open(self, member: Member, instance: str) -> tuple[Source, asyncio.StreamWriter]:
        """What its console shows, and where what is typed goes. Raises MachineMissing."""
        try:
            reader, writer = await self._asking.terminal(member, instance)
        except ServiceUnavailableHostSilent as error:
            raise MachineMissing(str(error)) from None
        return Source(reader), writer
