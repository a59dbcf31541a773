"""Having the service keep a moment of each instance that runs: asked for by rows, as ``kiln trash`` asks.

An instance of which none can be kept, because its machine does not answer or for
any other reason, is missed, and keeps nobody else's from being kept.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from kiln.declare.states import TaskStatus
from kiln.ground.clock import Clock
from kiln.pools import locks
from kiln.pools.errors import VolumeMissing
from kiln.pools.family import SUFFIX
from kiln.service.backups.errors import NotKept
from kiln.service.backups.fitting import is_at_rest
from kiln.service.backups.holding import Holder
from kiln.service.databases import is_served
from kiln.service.settings import Settings
from kiln.store.database import Database
from kiln.store.disks import disks
from kiln.store.errors import DatabaseBusy, DatabaseDown, DatabaseFull, DatabaseMalformed
from kiln.store.instances import instances
from kiln.store.tasks import tasks
from kiln.upkeep.moment import WANTED_S, MomentFacts, ask_for, say_wanted, told_by

_POLL_S = 0.05
_AGAIN_S = 0.5  #: After a turn that came to nothing, because somebody waited behind it.
_POLITE_TURNS = 2  #: That may come to nothing before it is asked for firmly.
_LAST_LOOKS = 20  #: When the time is over; of them each comes to its end unless a layer is merged just then.
_TAKEN_BACK = 1.0  #: A time that has passed.


class Moments:
    """The moments that were kept so far, by instance. To be closed: then nothing is asked for any more.

    *without*: instances that are not asked for. What waits is said to be wanted still every *renewed_s* seconds.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        timeout_s: float,
        *,
        without: Collection[str] = (),
        renewed_s: float = WANTED_S / 3,
    ) -> None:
        self._settings, self._database, self._clock = settings, database, clock
        self._until = time.monotonic() + timeout_s
        self._asked: dict[str, str] = {}  # Tasks that are open, by instance.
        self._renewed_s, self._said_at = renewed_s, 0.0
        self._looks_left = _LAST_LOOKS
        self._vain: Counter[str] = Counter()
        self._stirred: Counter[str] = Counter()
        self.kept: dict[str, MomentFacts] = {}
        self.missed = dict.fromkeys(without, "it was to be left out")  #: Why, by instance.

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(DatabaseDown, DatabaseBusy, DatabaseFull, DatabaseMalformed):
            self._say_until(_TAKEN_BACK)

    def has_time(self) -> bool:
        """Whether there is some left to have moments kept in."""
        return time.monotonic() <= self._until

    def running(self) -> list[str]:
        """Instances that the rows call running, or on their way."""
        with self._database.read() as tx:
            return [one.id for one in instances.all(tx) if not is_at_rest(one)]

    def wanted(self, silent: set[str]) -> list[str]:
        """Instances of which a moment is to be kept still: those that run, and those whose disks are written often."""
        stirred = {one for one, times in self._stirred.items() if times > 1}
        if stirred and not is_served(self._settings, self._database):
            stirred.clear()
        return sorted((set(self.running()) | stirred) - silent - self.kept.keys() - self.missed.keys())

    def note_stirred(self, found: Iterable[str]) -> None:
        """Take in that instances at rest were begun, or their disks written, while they were looked at."""
        self._stirred.update(found)

    def silent(self) -> set[str]:
        """Those that have no machine although the rows call them running, when no service is there to say so.

        Raises NotKept for those that have one: nobody can capture them then.
        """
        if is_served(self._settings, self._database):
            return set()
        running = set(self.running())
        with self._database.read() as tx:
            heads = [(disk.volume, disk.instance) for disk in disks.all(tx) if disk.instance in running]
        living = {instance for volume, instance in heads if instance and volume and self._is_open(volume)}
        if unwilling := sorted(living - self.missed.keys()):
            hint = "Start Kiln, which captures them, or stop them: while it is stopped nobody can ask their machines."
            raise NotKept(f"{', '.join(unwilling)} run, and Kiln does not", hint)
        return running - living

    def keep(self, wanted: Collection[str], holder: Holder) -> None:
        """Have a moment of each kept, and hold what was its heads, or miss it. Raises NotKept."""
        for instance in wanted:
            self._ask(instance)
        again: dict[str, float] = {}  # Those of which nothing came, and when they are asked for anew.
        while self._asked or again:
            for instance, task in list(self._asked.items()):
                facts = self._ended(instance, task)
                if facts is None:
                    continue
                del self._asked[instance]
                if facts.disks and all(holder.take(one.head) for one in facts.disks):
                    self._take_in(facts, holder)
                elif instance not in self.missed:
                    self._vain[instance] += 1
                    again[instance] = time.monotonic() + _AGAIN_S
            for instance in [one for one, when in again.items() if when <= time.monotonic()]:
                del again[instance]
                self._ask(instance)
            if self._asked or again:
                if not self._is_time_for(sorted({*self._asked, *again})):
                    return
                time.sleep(_POLL_S)

    def _take_in(self, facts: MomentFacts, holder: Holder) -> None:
        """Note that a moment was kept, unless what was captured cannot be read."""
        for one in facts.disks:
            held = holder.get(one.head)
            if held is not None and held.fault:
                self.missed[facts.instance] = f"its disk {one.disk} cannot be read: {held.fault}"
                return
        self.kept[facts.instance] = facts

    def _ask(self, instance: str) -> None:
        """Have it asked for, unless the instance is gone, or at rest and not stirred."""
        with self._database.read() as tx:
            row = instances.find(tx, id=instance)
        if row is None or (is_at_rest(row) and self._stirred[instance] <= 1):
            self.kept.pop(instance, None)
            return
        found, firmly = row, self._vain[instance] >= _POLITE_TURNS
        self._asked[instance] = self._database.write(lambda tx: ask_for(tx, found, self._clock(), firmly=firmly))

    def _ended(self, instance: str, task: str) -> MomentFacts | None:
        """What a task that has ended kept; None while it has not."""
        with self._database.read() as tx:
            row = tasks.find(tx, id=task)
        if row is None or row.status == TaskStatus.PROCESSING:
            return None
        if row.status != TaskStatus.FINISHED:
            self.missed[instance] = f"it could not be captured: {row.error_message}"
            return MomentFacts(instance=instance)
        return told_by(row)

    def pause(self, reasons: Sequence[str]) -> None:
        """Wait a moment before all is looked at again for *reasons*. Raises NotKept where that comes to nothing."""
        if not self.has_time():
            self._looks_left -= 1
            if self._looks_left < 0:
                hint = "Try again when less is done, or for longer: --timeout."
                raise NotKept(f"something always changed meanwhile: {', '.join(reasons[:3])}", hint)
        time.sleep(_POLL_S)

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """What is done within takes none of the time that there is for waiting."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._until += time.monotonic() - began

    def _is_time_for(self, waiting: list[str]) -> bool:
        """Whether there is time to wait; else what is waited for is missed. Raises NotKept where Kiln has ended."""
        if not is_served(self._settings, self._database):
            raise NotKept(f"Kiln was stopped before it had captured {', '.join(waiting)}")
        if not self.has_time():
            self.missed |= dict.fromkeys(waiting, "it could not be captured in time")
            self._say_until(_TAKEN_BACK)
            self._asked.clear()
            return False
        if time.monotonic() - self._said_at > self._renewed_s:
            self._said_at = time.monotonic()
            self._say_until(self._clock() + WANTED_S)
        return True

    def _say_until(self, until: float) -> None:
        """Say of all that was asked for until when it is wanted."""
        for task in self._asked.values():
            self._database.write(lambda tx, task=task: say_wanted(tx, task, until))  # type: ignore[misc]

    def _is_open(self, volume: str) -> bool:
        try:
            return locks.is_written(self._settings.folder.pool / (volume + SUFFIX))
        except VolumeMissing:
            return False
