"""One task, or one chore of the upkeep, done from the same beginning again and again, with one thing going wrong.

    trial = Trial(name, folder)             # arranges the beginning, and sees how it ends undisturbed
    for disturbance in trial.disturbances():
        trial.expect_well(disturbance)

What goes wrong: a kill as a point is passed, an exception there, and each call of a port that fails with an error of
its own, before or after it has done what it was asked for. Afterwards the task is run again from its beginning until
it ends, by a Kiln that was started again or, where nothing died, by the same. Then rows and bytes are what they are
undisturbed; or, where the failure of a task was final, all that was begun is taken back and what there was before is
as it was. A kill here unwinds the stack, which a real one does not: ``tests/kill`` ends processes.

A task that is unreadable is ended by what the rows tell of it, which is tried in the same way.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kiln.buckets.port import BucketMissing, ObjectRefused
from kiln.calls.call import Ports
from kiln.declare.states import SnapshotStatus, TaskStatus
from kiln.ground import killpoints
from kiln.machines.errors import MachineRefused, MachineSilent
from kiln.pools.errors import PoolError, PoolFull
from kiln.store.disks import disks
from kiln.store.errors import DatabaseFull
from kiln.store.rows import metadata
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from kiln.upkeep.keeper import CHORES, Chore
from kiln.upkeep.unhurried import Unhurried
from tests.beginnings import BEGINNINGS, CHORE_BEGINNINGS
from tests.clouds import Cloud
from tests.dying import Killed
from tests.kill import checks
from tests.kill.kilns import keep, open_kiln
from tests.reading import every
from tools.keep_data_folder import digest

#: Of each port, what its calls may raise. Reads of the database are left out: nothing has begun when they fail.
ERRORS: dict[str, tuple[Callable[[], Exception], ...]] = {
    "pool": (lambda: PoolFull("injected"), lambda: PoolError("injected")),
    "machines": (lambda: MachineSilent("injected"), lambda: MachineRefused("injected")),
    "buckets": (lambda: ObjectRefused("injected"), lambda: BucketMissing("injected")),
    "database": (lambda: DatabaseFull("injected"),),
}
_WRITES = {"database": {"write"}}  #: Only these calls of a port fail.

_VOLATILE = {"file_bytes", "attempts", "not_before", "lease_until", "owner", "seq", "payload", "served"}
_PASSED_OVER = {"deployment", "recorded", "service_time", "alembic_version"}  #: Change with every start.

_ROUNDS = 60

#: What carries networks has none here: tests/calls/test_plane.py has it killed and refused where keepers are. Neither
#: has what helps machines to let go of volumes, which tests/machines and tests/kill do to real ones; nor
#: has what begins snapshots, whose IDs are others each time: tests/kill kills it, and tests/upkeep has it refused. Who
#: looks for room has nothing to do where one Kiln is alone, and one transaction elsewhere: tests/upkeep/test_room.py.
_ELSEWHERE = ("networks", "take_snapshots", "help_along", "room")
_CHORES = {chore.name: chore for chore in CHORES if chore.name not in _ELSEWHERE}

#: All that is carried out: what an operation or the upkeep declares is in it by that.
NAMES = tuple(sorted([*DUTIES, *_CHORES]))

#: All that may have to be ended without its facts.
TASKS = tuple(sorted(DUTIES))


class Broke(Exception):
    """Something went wrong that nobody expected."""


@dataclass(frozen=True)
class Disturbance:
    """What goes wrong, and at which passing of it."""

    kind: str  #: ``kill``, ``raise``, ``fail before`` or ``fail after``.
    place: str  #: A point, or ``port.method``.
    passing: int
    error: int = 0  #: Of a port's errors.

    def __str__(self) -> str:
        return f"{self.kind} {self.place} {self.passing} {self.error}"


class Trial:
    """See the module's docstring."""

    def __init__(self, name: str, folder: Path, *, is_unreadable: bool = False) -> None:
        self._folder = folder
        self._beginning = folder / "beginning"
        self._chore: Chore | None = None
        self._task = ""
        folder.mkdir(exist_ok=True)
        with open_kiln(self._beginning) as cloud:
            if name in _CHORES:
                self._chore = _CHORES[name]
                assert name in CHORE_BEGINNINGS, f"tests/beginnings.py: CHORE_BEGINNINGS lacks {name}"
                CHORE_BEGINNINGS[name](cloud)
            else:
                assert name in BEGINNINGS, f"tests/beginnings.py: BEGINNINGS lacks {name}"
                BEGINNINGS[name](cloud)
                self._task = next(task.id for task in cloud.open_tasks() if task.action == name)
                if is_unreadable:
                    cloud.ports.database.write(lambda tx: tasks.update(tx, {"payload": "{"}, id=self._task))
            begun = {row.id for row in every(cloud, snapshots, status=SnapshotStatus.PROGRESSING)}
            # What is still being made names what it is made of: a copy does, and loses it when it fails.
            self._had = {name: held for name, held in _bytes(cloud).items() if name not in begun}
        self._passed: list[str] = []
        self._called: list[tuple[str, str]] = []
        with self._fresh() as cloud:
            self._run(cloud, _watched(cloud.ports, self._note), self._passed.append)
            self._end = _seen(cloud, self._task)

    def _note(self, place: str, moment: str) -> None:
        # A call that raises by itself begins, and never comes to its end.
        self._called.append((place, moment))

    def disturbances(self) -> list[Disturbance]:
        """All that there are, in the same order each time."""
        return list(self._all())

    def _all(self) -> Iterator[Disturbance]:
        """Of a place that is passed often, the first time and the last."""
        for place, count in Counter(self._passed).items():
            for passing in sorted({0, count - 1}):
                yield Disturbance("kill", place, passing)
                yield Disturbance("raise", place, passing)
        for (place, moment), count in Counter(self._called).items():
            for passing in sorted({0, count - 1}):
                for error in range(len(ERRORS[place.partition(".")[0]])):
                    yield Disturbance(f"fail {moment}", place, passing, error)

    def expect_well(self, wrong: Disturbance) -> None:
        """Carry it out with that going wrong once; it ends as undisturbed, or nothing of it is left."""
        with self._fresh() as cloud:
            happens = _Happening(wrong)
            ports = _watched(cloud.ports, happens.at_call) if wrong.kind.startswith("fail") else cloud.ports
            with suppress(Killed):
                self._run(cloud, ports, happens.at_point)
            assert happens.has_happened, "it never came to that"
            if wrong.kind != "kill":
                self._run(cloud, cloud.ports)
                self._judge(cloud)
                return
        with open_kiln(self._folder / "data") as cloud:
            self._run(cloud, cloud.ports)
            self._judge(cloud)

    @contextmanager
    def _fresh(self) -> Iterator[Cloud]:
        shutil.rmtree(self._folder / "data", ignore_errors=True)
        subprocess.run(["cp", "-a", self._beginning, self._folder / "data"], check=True)
        with open_kiln(self._folder / "data") as cloud:
            yield cloud

    def _run(self, cloud: Cloud, ports: Ports, hook: Callable[[str], None] | None = None) -> None:
        """Do the chore, and carry out what there is; pauses pass at once."""
        if self._chore is not None:
            do = self._chore.do.do if isinstance(self._chore.do, Unhurried) else self._chore.do
            with _heard(hook), suppress(Exception):  # The keeper logs it, and does the chore again in its time.
                do(ports)
            # What a chore asks for has trials of its own.
            ports, hook = cloud.ports, None
        worker = Worker(ports, DUTIES, unfinished)
        for _ in range(_ROUNDS):
            due = sorted(cloud.open_tasks(), key=lambda task: task.seq)
            if not due:
                # The rest that a failed merge is given is over, too.
                cloud.ports.database.write(lambda tx: tasks.update(tx, {"finished_at": 1.0}, status=TaskStatus.FAILED))
                return
            cloud.ports.database.write(lambda tx: tasks.update(tx, {"not_before": 0.0}))
            lanes: set[str] = set()
            for task in due:
                if not task.lane or task.lane not in lanes:
                    lanes.add(task.lane)
                    # An exception at the first point of all is outside of what the worker guards.
                    with _heard(hook), suppress(Broke):
                        worker.attempt(task)
        raise AssertionError(f"without end: {cloud.open_tasks()}")

    def _judge(self, cloud: Cloud) -> None:
        end = _seen(cloud, self._task)
        if end == self._end:
            return
        assert self._task, _difference(self._end, end)
        (task,) = every(cloud, tasks, id=self._task)
        assert task.status == TaskStatus.FAILED, _difference(self._end, end)
        assert task.error_code
        is_held = _bytes(cloud)
        # A failure takes back what was begun, and leaves all that there was; a task that removes may have removed it.
        changed = {name for name, held in self._had.items() if name in is_held and is_held[name] != held}
        assert not changed, f"failed, and changed {changed}"
        lost = self._had.keys() - is_held.keys()
        assert not lost, f"failed, and lost {lost}"
        checks.nothing_is_halfway(cloud)
        checks.every_name_is_kept(cloud)
        checks.nothing_is_astray(cloud)


@contextmanager
def _heard(hook: Callable[[str], None] | None) -> Iterator[None]:
    """Have *hook* hear of every point that is passed meanwhile."""
    killpoints.listen(hook)
    try:
        yield
    finally:
        killpoints.listen(None)


class _Happening:
    """Has a disturbance happen, once."""

    def __init__(self, wrong: Disturbance) -> None:
        self._wrong = wrong
        self._left = wrong.passing
        self.has_happened = False

    def at_point(self, point: str) -> None:
        if self._wrong.place == point and self._wrong.kind in ("kill", "raise") and self._is_now():
            raise Killed if self._wrong.kind == "kill" else Broke(point)

    def at_call(self, place: str, moment: str) -> None:
        if self._wrong.place == place and self._wrong.kind == f"fail {moment}" and self._is_now():
            raise ERRORS[place.partition(".")[0]][self._wrong.error]()  # noqa: RSE102 - it makes one.

    def _is_now(self) -> bool:
        self._left -= 1
        if self._left == -1:
            self.has_happened = True
            return True
        return False


class _Watched:
    """A port whose calls are told to somebody, who may raise: before (and after) they are done."""

    def __init__(self, real: Any, name: str, told: Callable[[str, str], None]) -> None:
        self._real, self._name, self._told = real, name, told

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._real, method)
        if not callable(found) or method not in _WRITES.get(self._name, {method}):
            return found

        def call(*given: Any, **more: Any) -> Any:
            self._told(f"{self._name}.{method}", "before")
            answer = found(*given, **more)
            self._told(f"{self._name}.{method}", "after")
            return answer

        return call


def _watched(ports: Ports, told: Callable[[str, str], None]) -> Ports:
    return replace(ports, **{name: _Watched(getattr(ports, name), name, told) for name in ERRORS})


def _seen(cloud: Cloud, task: str) -> dict[str, Any]:
    """The end: all rows without what differs from run to run, and the bytes."""
    keep(cloud)
    found: dict[str, Any] = {"bytes": _bytes(cloud)}
    with cloud.ports.database.read() as tx:
        for table in metadata.sorted_tables:
            if table.name in _PASSED_OVER:
                continue
            names = [c.name for c in table.columns if c.name not in _VOLATILE and not c.name.endswith("_at")]
            rows = [{name: row._mapping[name] for name in names} for row in tx.execute(table.select())]
            if table.name == "tasks":
                # Those that a sweep asks for have IDs of their own each time.
                rows = [row for row in rows if row["id"] == task]
            found[table.name] = sorted(repr(row) for row in rows)
    buckets = cloud.folder / "buckets"
    found["objects"] = sorted(str(path.relative_to(buckets)) for path in buckets.rglob("*"))
    return found


def _bytes(cloud: Cloud) -> dict[str, str]:
    named = [(row.id, row.volume) for rows in (disks, snapshots) for row in every(cloud, rows) if row.volume]
    return {name: digest(cloud.folder, volume) for name, volume in named}


def _difference(wanted: dict[str, Any], found: dict[str, Any]) -> str:
    return "\n".join(
        f"{name}: {wanted[name]}\n  not {found.get(name)}" for name in wanted if wanted[name] != found[name]
    )
