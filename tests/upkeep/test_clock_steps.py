"""The clock is set, forward and back, under everything that is done again and again: it goes on all the same."""

from __future__ import annotations

import threading

import pytest

from kiln.calls.call import NotYet
from kiln.declare.facts import facts
from kiln.ground import clock as clocks
from kiln.ground.clock import StepWatch
from kiln.store import claiming, tasks
from kiln.tasks.worker import Duty, Worker
from kiln.upkeep import unfinished
from kiln.upkeep.keeper import Chore, Keeper
from kiln.upkeep.sweep import _rests
from kiln.wire.nonces import MemoryNonces, Use
from tests.clouds import Cloud

HOUR, DAY = 3600.0, 86_400.0
STEPS = [(-HOUR,), (-DAY,), (DAY,), (DAY, -DAY), (-HOUR, HOUR), (31 * 60, -31 * 60), (10 * 365 * DAY, -10 * 365 * DAY)]


@facts()
class Facts:
    n: int = 1


def enqueue(cloud: Cloud, action: str = "Test", resource: str = "r-1") -> str:
    return cloud.ports.database.write(lambda tx: cloud.as_call(tx, action).enqueue(resource, Facts()))


def row_of(cloud: Cloud, task: str) -> tasks.Task:
    with cloud.ports.database.read() as tx:
        return tasks.tasks.find(tx, id=task)


def set_clock(cloud: Cloud, steps) -> None:
    for step in steps:
        cloud.clock.now += step


@pytest.mark.parametrize("steps", STEPS)
def test_what_was_postponed_is_tried_again(cloud, steps):
    tried = []

    def carry_out(job) -> None:
        tried.append(job.task.id)
        if len(tried) == 1:
            raise NotYet(30.0, "The test says so.")

    cloud.worker = Worker(cloud.ports, {"Test": Duty(carry_out, facts=Facts)}, unfinished)
    task = enqueue(cloud)
    cloud.settle()
    set_clock(cloud, steps)

    cloud.clock.now += 31
    cloud.settle()

    assert tried == [task, task]
    assert row_of(cloud, task).status == "Finished"


@pytest.mark.parametrize("steps", STEPS)
def test_a_lease_of_who_is_no_more_runs_out(cloud, steps):
    task = enqueue(cloud)
    cloud.ports.database.write(lambda tx: claiming.claim(tx, "dead", cloud.clock()))
    set_clock(cloud, steps)

    cloud.clock.now += tasks.LEASE_S + 2
    claimed = cloud.ports.database.write(lambda tx: claiming.claim(tx, "alive", cloud.clock()))

    assert [one.id for one in claimed] == [task]


@pytest.mark.parametrize("steps", STEPS)
def test_what_is_being_carried_out_is_begun_by_nobody_else(cloud, steps):
    begun, ended, tried = threading.Event(), threading.Event(), []

    def carry_out(job) -> None:
        tried.append(job.task.id)
        begun.set()
        ended.wait(300)

    worker = Worker(cloud.ports, {"Test": Duty(carry_out, facts=Facts)}, unfinished)
    task = enqueue(cloud)
    worker.start()
    try:
        assert begun.wait(300)
        for step in steps:
            held = row_of(cloud, task).lease_until
            cloud.clock.now += step
            until_renewed(cloud, worker, task, held)
        assert tried == [task]
    finally:
        ended.set()
        worker.stop()
    assert tried == [task]


def until_renewed(cloud: Cloud, worker: Worker, task: str, held: float) -> None:
    """Wake the worker's sweep until it has renewed the lease by the new time."""
    for _ in range(600):
        worker.look()
        if row_of(cloud, task).lease_until != held:
            return
        threading.Event().wait(0.05)
    raise AssertionError("the lease was not renewed")


@pytest.mark.parametrize("steps", STEPS)
def test_a_merge_that_failed_is_asked_for_again(cloud, steps):
    task = enqueue(cloud, "Merge", "v-1")
    cloud.ports.database.write(lambda tx: tasks.fail(tx, row_of(cloud, task), cloud.clock(), "InternalError", "failed"))
    with cloud.ports.database.read() as tx:
        assert _rests(tx, "v-1", cloud.clock())
    set_clock(cloud, steps)

    cloud.clock.now += 601

    with cloud.ports.database.read() as tx:
        assert not _rests(tx, "v-1", cloud.clock())


@pytest.mark.parametrize("steps", STEPS)
def test_every_chore_goes_on(cloud, steps):
    done = {name: threading.Semaphore(0) for name in ("watch", "sweep")}
    keeper = Keeper(
        cloud.ports, tuple(Chore(name, 0.01, lambda _, turn=turn: turn.release()) for name, turn in done.items())
    )
    keeper.start()
    try:
        for step in steps:
            cloud.clock.now += step
            for turn in done.values():
                assert turn.acquire(timeout=300)
                assert turn.acquire(timeout=300)
    finally:
        keeper.stop()


@pytest.mark.parametrize("steps", STEPS)
def test_a_used_request_stays_used(cloud, steps):
    nonces, used_at = MemoryNonces(), cloud.clock()
    nonces.use("AK", "n", at=used_at, now=used_at)

    for step in steps:
        cloud.clock.now += step
        assert nonces.use("AK", f"other {step}", at=cloud.clock(), now=cloud.clock()) is Use.NEW

    assert nonces.use("AK", "n", at=used_at, now=cloud.clock()) is Use.USED


def test_tasks_of_one_lane_keep_their_order_over_a_start_with_an_earlier_clock(cloud, monkeypatch):
    first = row_of(cloud, enqueue(cloud))
    monkeypatch.setattr(clocks, "_last", 0)
    monkeypatch.setattr(clocks.time, "time_ns", lambda: first.seq - 3600 * 10**9)

    with cloud.ports.database.read() as tx:
        clocks.go_on_after(tasks.latest_seq(tx))

    assert row_of(cloud, enqueue(cloud)).seq > first.seq


@pytest.mark.parametrize(("by", "is_step"), [(0.0, False), (0.5, False), (-0.5, False), (2.0, True), (-2.0, True)])
def test_a_step_is_told_from_the_time_that_passes(by, is_step):
    wall, steady = [1000.0], [5.0]
    step = StepWatch(lambda: wall[0], lambda: steady[0])
    wall[0] += 60 + by
    steady[0] += 60

    assert [step.has_stepped(), step.has_stepped()] == [is_step, False]
