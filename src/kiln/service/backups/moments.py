"""Having the service keep a moment of each instance that runs: asked for by rows, as ``kiln trash`` asks."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from kiln.declare.states import TaskStatus
from kiln.ground.clock import Clock
from kiln.pools import locks
from kiln.pools.errors import VolumeMissing
from kiln.pools.family import SUFFIX
from kiln.service.backups.errors import NotKept
from kiln.service.backups.fitting import is_at_rest
from kiln.service.backups.holding import Holder
from kiln.service.claim import is_held
from kiln.service.settings import Settings
from kiln.store.database import Database
from kiln.store.disks import disks
from kiln.store.instances import instances
from kiln.store.tasks import tasks
from kiln.upkeep.moment import MomentFacts, ask_for, told_by

_POLL_S = 0.05
_AGAIN_S = 0.5  #: After a turn that came to nothing, because somebody waited behind it.


class Moments:
    """The moments that were kept so far, by instance."""

    def __init__(self, settings: Settings, database: Database, clock: Clock, timeout_s: float) -> None:
        self._settings, self._database, self._clock = settings, database, clock
        self._until = time.monotonic() + timeout_s
        self.kept: dict[str, MomentFacts] = {}

    def has_time(self) -> bool:
        """Whether there is some left to have moments kept in."""
        return time.monotonic() <= self._until

    def running(self) -> list[str]:
        """Instances that the rows call running, or on their way."""
        with self._database.read() as tx:
            return [one.id for one in instances.all(tx) if not is_at_rest(one)]

    def silent(self) -> set[str]:
        """Those that have no machine although the rows call them running, when no service is there to say so.

        Raises NotKept for those that have one: nobody can capture them then.
        """
        if is_held(self._settings.data):
            return set()
        running = set(self.running())
        with self._database.read() as tx:
            heads = [(disk.volume, disk.instance) for disk in disks.all(tx) if disk.instance in running]
        living = sorted({instance for volume, instance in heads if instance and volume and self._is_open(volume)})
        if living:
            hint = "Start Kiln, which captures them, or stop them: while it is stopped nobody can ask their machines."
            raise NotKept(f"{', '.join(living)} run, and Kiln does not", hint)
        return running

    def keep(self, wanted: Collection[str], holder: Holder) -> None:
        """Have a moment of each kept, and hold what was its heads. Raises NotKept."""
        open_tasks = {instance: task for instance in wanted if (task := self._ask(instance))}
        for instance in set(wanted) - open_tasks.keys():
            self.kept.pop(instance, None)
        again: dict[str, float] = {}  # Those of which nothing came, and when they are asked for anew.
        while open_tasks or again:
            for instance, task in list(open_tasks.items()):
                facts = self._ended(instance, task)
                if facts is None:
                    continue
                del open_tasks[instance]
                if facts.disks and all(holder.take(one.head) for one in facts.disks):
                    self.kept[instance] = facts
                else:
                    again[instance] = time.monotonic() + _AGAIN_S
            for instance in [one for one, when in again.items() if when <= time.monotonic()]:
                del again[instance]
                if asked := self._ask(instance):
                    open_tasks[instance] = asked
            if open_tasks or again:
                self._require_time(sorted({*open_tasks, *again}))
                time.sleep(_POLL_S)

    def _ask(self, instance: str) -> str | None:
        """The task that was asked for; None where the instance does not run any more."""
        with self._database.read() as tx:
            row = instances.find(tx, id=instance)
        if row is None or is_at_rest(row):
            self.kept.pop(instance, None)
            return None
        found = row
        return self._database.write(lambda tx: ask_for(tx, found, self._clock()))

    def _ended(self, instance: str, task: str) -> MomentFacts | None:
        with self._database.read() as tx:
            row = tasks.find(tx, id=task)
        if row is None or row.status == TaskStatus.PROCESSING:
            return None
        if row.status != TaskStatus.FINISHED:
            raise NotKept(f"{instance} could not be captured: {row.error_message}")
        return told_by(row)

    def require_time_beside(self, reasons: Sequence[str]) -> None:
        """Wait a moment before all is looked at again for *reasons*. Raises NotKept where no time is left."""
        if not self.has_time():
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

    def _require_time(self, waiting: list[str]) -> None:
        if not is_held(self._settings.data):
            raise NotKept(f"Kiln was stopped before it had captured {', '.join(waiting)}")
        if not self.has_time():
            raise NotKept(f"{', '.join(waiting)} could not be captured in time", "--timeout sets how long to wait.")

    def _is_open(self, volume: str) -> bool:
        try:
            return locks.is_written(self._settings.folder.pool / (volume + SUFFIX))
        except VolumeMissing:
            return False
