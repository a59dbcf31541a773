"""Being one of the processes of a deployment: seen by the others, and the one with the duties when nobody has them."""

from __future__ import annotations

from kiln.declare.roles import Role
from kiln.ground.journal import Journal
from kiln.service.parts import Parts
from kiln.service.settings import Settings
from kiln.store import workers
from kiln.store.database import Database
from kiln.store.hold import Hold, HoldLost
from kiln.store.workers import Member

log = Journal("kiln.service")


class Membership:
    """This process among the others; where SQLite is the database it is the only one, and has the duties."""

    def __init__(
        self, database: Database, hold: Hold | None, settings: Settings, parts: Parts, *, address: str, peer: str
    ) -> None:
        self._database, self._hold, self._parts = database, hold, parts
        self._role = Role(settings.role)
        self._member = Member(id=parts.id, host=settings.host, role=self._role, address=address, peer=peer)

    def begin(self) -> None:
        """Be seen, let others begin, and take the duties now or when they are free. Raises DatabaseDown."""
        hold = self._hold
        if hold is None:
            self._parts.begin_duties()
            return
        left = self._database.write(lambda tx: workers.enter(tx, self._member, is_first=hold.is_first))
        if left:
            log.info("processes_gone", workers=left)
        hold.attend(self._look)
        hold.open_door()
        log.info("joined", worker=self._member.id, role=self._role, host=self._member.host, is_first=hold.is_first)

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
            self._database.write(lambda tx: workers.enter(tx, self._member, is_first=False))
            log.warning("joined_again", worker=self._member.id)
        if self._role.works and not self._parts.has_duties and self._hold.take_duties():
            self._parts.begin_duties()
