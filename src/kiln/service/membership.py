"""Being one of the processes of a deployment: seen by the others, and the one with the duties when nobody has them."""

from __future__ import annotations

from kiln.declare.roles import Role
from kiln.ground.journal import Journal
from kiln.service.assemble import Assembly
from kiln.service.hosts import room_here
from kiln.service.parts import Parts
from kiln.store import hosts, workers
from kiln.store.database import Transaction
from kiln.store.errors import DatabaseFull
from kiln.store.hold import Hold, HoldLost
from kiln.store.workers import Member
from kiln.upkeep.lost_hosts import end_given_up, start_lost

log = Journal("kiln.service")


class GivenUp(Exception):
    """This host was given up while it came back."""


class Membership:
    """This process among the others; where SQLite is the database it is the only one, and has the duties."""

    def __init__(self, assembly: Assembly, hold: Hold | None, parts: Parts, *, address: str, peer: str) -> None:
        self._ports, self._hold, self._parts = assembly.ports, hold, parts
        self._database = assembly.database
        self._role = Role(assembly.settings.role)
        host = assembly.settings.host
        self._member = Member(id=parts.id, host=host, role=self._role, address=address, peer=peer)
        self._room = room_here(assembly.settings)

    def begin(self) -> None:
        """Be seen, let others begin, and take the duties now or when they are free. Raises DatabaseDown."""
        hold = self._hold
        if hold is None:
            self._be_the_only_one()
            self._parts.begin_duties()
            return
        left = self._enter(is_first=hold.is_first, has_ended=True)
        if left:
            log.info("processes_gone", workers=left)
        hold.attend(self._look)
        hold.open_door()
        log.info("joined", worker=self._member.id, role=self._role, host=self._member.host, is_first=hold.is_first)

    def _be_the_only_one(self) -> None:
        def come(tx: Transaction) -> None:
            hosts.come(tx, self._member.host, "", self._room, self._ports.clock())
            hosts.keep_only(tx, self._member.host)

        try:
            self._database.write(come)
        except DatabaseFull:
            log.exception("database_full", left="what this host has for guests")

    def _enter(self, *, is_first: bool, has_ended: bool = False) -> list[str]:
        """Be one of those that serve; returns the processes whose place this one has taken.

        What was given up of this host is ended before that, and for as long as it is not nothing is done here. At a
        start it *has_ended*: that is done before machines are looked for that live (``recovery``). What it had, and has
        not run since, is started again.
        """
        name = self._member.host
        is_one_of_many = self._role.works and not self._ports.is_alone
        with self._database.read() as tx:
            was_given_up = is_one_of_many and hosts.is_given_up(tx, name)
        if was_given_up and not has_ended:
            end_given_up(self._ports)

        def enter(tx: Transaction) -> list[str]:
            if is_one_of_many and not was_given_up and hosts.is_given_up(tx, name):
                raise GivenUp(name)  # This very moment: the next look ends what there is.
            left = workers.enter(tx, self._member, self._room, is_first=is_first)
            if self._role.works and self._ports.is_alone:
                hosts.keep_only(tx, name)
            if was_given_up:
                start_lost(tx, self._ports)
            return left

        return self._database.write(enter)

    def end(self) -> None:
        """Be seen no more; others notice it by themselves where that cannot be written."""
        if self._hold is None:
            return
        try:
            self._database.write(lambda tx: workers.leave(tx, self._member.id))
        except HoldLost:
            log.warning("not_left", reason="the database was lost")
        except Exception:
            log.exception("not_left")

    def _look(self) -> None:
        assert self._hold is not None  # Who has none looks at nothing.
        if not self._hold.be_seen(self._member.id):
            # It was silent for so long that others have given it up.
            self._enter(is_first=False)
            log.warning("joined_again", worker=self._member.id)
        if self._role.works and not self._parts.has_duties and self._hold.take_duties():
            self._parts.begin_duties()
