"""Who has lost the lease of a task changes nothing any more, whatever the task is and wherever it was lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kiln.buckets.port import Buckets
from kiln.calls.call import Ports
from kiln.calls.leased import BUCKETS_LOOK, MACHINES_LOOK, POOL_LOOKS
from kiln.declare.states import TaskStatus
from kiln.ground import killpoints
from kiln.machines.port import Machines
from kiln.pools.port import Pool
from kiln.store.tasks import LeaseLost, tasks
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from tests.beginnings import BEGINNINGS
from tests.clouds import Cloud
from tests.kill.kilns import open_kiln

#: Points within what a port was asked for when the lease was there still; nobody stops that half-way.
_WITHIN = ("pool.", "machines.", "buckets.", "records.", "database.", "unfinished.recorded")

LOOKS = {"pool": POOL_LOOKS, "machines": MACHINES_LOOK, "buckets": BUCKETS_LOOK}


class Seen:
    """A port that writes down which of its members were used after the lease was lost."""

    def __init__(self, real: Any, name: str, used: list[str], is_lost: Callable[[], bool]) -> None:
        self._real, self._name, self._used, self._is_lost = real, name, used, is_lost

    def __getattr__(self, member: str) -> Any:
        found = getattr(self._real, member)
        if not callable(found):
            return found

        def call(*given: Any, **more: Any) -> Any:
            if self._is_lost():
                self._used.append(f"{self._name}.{member}")
            return found(*given, **more)

        return call


class Losing:
    """Has another worker take a task as its worker passes the *n*-th of the points at which it decides what to do."""

    def __init__(self, cloud: Cloud, task: str, n: int) -> None:
        self._cloud, self._task, self._left = cloud, task, n
        self.is_lost = False
        self.used: list[str] = []
        self.before: dict[str, tuple[int, ...]] = {}

    def ports(self) -> Ports:
        ports = self._cloud.ports
        seen = {name: Seen(getattr(ports, name), name, self.used, lambda: self.is_lost) for name in LOOKS}
        return replace(ports, **seen)

    def at_point(self, point: str) -> None:
        if point.startswith(_WITHIN) or self.is_lost:
            return
        self._left -= 1
        if self._left >= 0:
            return

        def take(tx: Any) -> int:
            row = {"id": self._task, "status": TaskStatus.PROCESSING}
            return tasks.update(tx, {"generation": tasks.c.generation + 1}, **row)

        if self._cloud.ports.database.write(take):
            self.before = outside(self._cloud.folder)
            self.is_lost = True


def outside(folder: Path) -> dict[str, tuple[int, ...]]:
    """Every file of the pool, the machines and the buckets, but for those that nobody but their maker knows."""
    found = {}
    for name in ("pool", "run", "buckets"):
        for parent, folders, files in os.walk(folder / name):
            folders[:] = [one for one in folders if not one.startswith(".")]
            for path in (Path(parent) / file for file in files if not file.startswith(".")):
                told = path.lstat()
                found[str(path)] = (told.st_ino, told.st_mode, told.st_uid, told.st_size, told.st_mtime_ns)
    return found


@contextmanager
def heard(hook: Callable[[str], None]) -> Iterator[None]:
    killpoints.listen(hook)
    try:
        yield
    finally:
        killpoints.listen(None)


def carry_out_and_lose(folder: Path, task: str, n: int) -> bool:
    """Carry out the task, whose lease is lost at the *n*-th point; False when it never came to that."""
    with open_kiln(folder) as cloud:
        (row,) = [one for one in cloud.open_tasks() if one.id == task]
        losing = Losing(cloud, task, n)
        worker = Worker(losing.ports(), DUTIES, unfinished)
        with heard(losing.at_point):
            try:
                worker.attempt(row)
            except LeaseLost:
                assert losing.is_lost
            else:
                assert not losing.is_lost
        if losing.is_lost:
            used = {tuple(one.split(".")) for one in losing.used}
            assert {one for one in used if one[1] not in LOOKS[one[0]]} == set()
            assert outside(cloud.folder) == losing.before
        return losing.is_lost


@pytest.mark.slow
@pytest.mark.parametrize("readable", [True, False], ids=["understood", "unreadable"])
@pytest.mark.parametrize("action", sorted(DUTIES))
def test_changes_nothing_outside_after_the_lease_was_lost(tmp_path, action, readable):
    """Attaching, resizing, freezing, exporting and the like went on, and what they made was another's by then."""
    beginning = tmp_path / "beginning"
    with open_kiln(beginning) as cloud:
        BEGINNINGS[action](cloud)
        (task,) = [one.id for one in cloud.open_tasks() if one.action == action]
        if not readable:
            cloud.ports.database.write(lambda tx: tasks.update(tx, {"payload": "{"}, id=task))
    n = 0
    while True:
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        subprocess.run(["cp", "-a", beginning, tmp_path / "data"], check=True)
        if not carry_out_and_lose(tmp_path / "data", task, n):
            break
        n += 1

    assert n >= 1


@pytest.mark.parametrize(("port", "looks"), [(Pool, POOL_LOOKS), (Machines, MACHINES_LOOK), (Buckets, BUCKETS_LOOK)])
def test_knows_what_only_looks_by_names_that_there_are(port, looks):
    members = set(port.__annotations__) | {name for name in vars(port) if not name.startswith("_")}

    assert looks - members == set()
