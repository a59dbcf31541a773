"""The worker: carries out, tries again, gives up, and takes up what another left."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import replace

import pytest

from kiln.calls.call import Job, NotYet
from kiln.declare.errors import ServiceUnavailable
from kiln.declare.facts import facts
from kiln.declare.states import InstanceStatus
from kiln.ground.journal import FACTS
from kiln.ground.killpoints import reach
from kiln.machines.errors import (
    MachineAstray,
    MachineGarbled,
    MachineMissing,
    MachineRefused,
    MachineSilent,
    MachineUntold,
)
from kiln.operations.errors.launches import ServiceUnavailableNoMachine
from kiln.pools.errors import PoolClosed, PoolFull, VolumeBroken, VolumeMissing
from kiln.store import tasks, transfers, workers
from kiln.store.errors import DatabaseBusy, DatabaseDown
from kiln.store.hosts import Room
from kiln.store.workers import Member
from kiln.tasks.worker import TRIES, Duty, Worker
from kiln.upkeep import unfinished
from tests.clouds import Cloud, make_cloud
from tests.operations.disks.watched import run
from tests.service.measured import measured
from tests.stock import an_instance
from tests.store.task_rows import a_task


@facts()
class Facts:
    n: int = 1
    half: str = ""


def enqueue(cloud: Cloud, action: str = "Test", **more) -> str:
    return cloud.ports.database.write(lambda tx: cloud.as_call(tx, action).enqueue("r-1", Facts(), **more))


def status_of(cloud: Cloud, task: str) -> tuple[str, str]:
    with cloud.ports.database.read() as tx:
        row = tasks.tasks.find(tx, id=task)
    return row.status, row.error_code


def with_duty(cloud: Cloud, carry_out, give_up=None) -> None:
    cloud.worker = Worker(cloud.ports, {"Test": Duty(carry_out, give_up, facts=Facts)}, unfinished)


def test_finishes_what_was_carried_out(cloud):
    seen = []
    with_duty(cloud, lambda job: seen.append((job.task.resource, job.facts)))
    task = enqueue(cloud)

    cloud.settle()

    assert seen == [("r-1", Facts(n=1))]
    assert status_of(cloud, task) == ("Finished", "")


@pytest.mark.parametrize("gives_back", [True, False])
def test_tells_a_job_whether_it_may_use_the_room_that_is_kept(cloud, gives_back):
    seen = []
    cloud.worker = Worker(
        cloud.ports, {"Test": Duty(lambda job: seen.append(job.gives_back), gives_back=gives_back)}, unfinished
    )
    enqueue(cloud)

    cloud.settle()

    assert seen == [gives_back]


def test_begins_no_transfer_with_the_room_that_is_kept_for_deleting(cloud, monkeypatch):
    """An import that an earlier run had left used it up on a full disk, and nothing could be deleted any more."""
    seen = []
    with_duty(cloud, lambda job: seen.append(job.task.id))
    lane, _ = transfers.transfer_lanes(cloud.account)
    transfer, behind, other = enqueue(cloud, lane=lane), enqueue(cloud, lane=lane), enqueue(cloud)
    database = cloud.ports.database

    with monkeypatch.context() as given_up:
        given_up.setattr(database, "is_room_given_up", lambda: True)
        cloud.settle()
        assert seen == [other]

        # One that is cancelled has no lane: see CancelTask. It is to end.
        database.write(lambda tx: tasks.tasks.update(tx, {"cancel_requested": True, "lane": ""}, id=behind))
        cloud.settle()
        assert seen == [other, behind]

    cloud.settle()
    assert seen == [other, behind, transfer]


def test_gives_up_with_the_error_that_the_caller_would_have_got(cloud):
    given_up = []

    def carry_out(job: Job) -> None:
        raise ServiceUnavailable(reason="full")

    with_duty(cloud, carry_out, lambda job, error: given_up.append(error.code))
    task = enqueue(cloud)

    cloud.settle()

    assert given_up == ["ServiceUnavailable"]
    assert status_of(cloud, task) == ("Failed", "ServiceUnavailable")


def test_the_log_says_once_why_a_task_failed(cloud, caplog):
    def carry_out(job: Job) -> None:
        raise ServiceUnavailableNoMachine(reason="No QEMU.", drive="vdb")

    with_duty(cloud, carry_out)
    enqueue(cloud)

    cloud.settle()

    (facts,) = [getattr(record, FACTS) for record in caplog.records if record.getMessage() == "task_failed"]
    assert facts["message"] == "The machine could not be started: No QEMU."
    assert {name: fact for name, fact in facts.items() if name.startswith("fact_")} == {"fact_drive": "vdb"}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PoolClosed("Read-only file system"), "The pool can't be written: Read-only file system"),
        (PoolFull("No space left on device"), "There is no room left in the pool: No space left on device"),
        (VolumeBroken("v-1 is shorter than a header"), "The pool is damaged: v-1 is shorter than a header."),
    ],
)
def test_gives_up_at_once_where_the_pool_takes_nothing(cloud, error, told):
    """That lasts: six tries took 49 seconds, and told nobody why."""
    tried, given_up = [], []

    def carry_out(job):
        tried.append(job)
        raise error

    with_duty(cloud, carry_out, lambda _, error: given_up.append((error.code, str(error))))
    enqueue(cloud)

    cloud.settle()

    assert len(tried) == 1
    assert given_up == [("ServiceUnavailable", told)]


@pytest.mark.parametrize("error", [MachineMissing, MachineRefused, MachineSilent, MachineGarbled, MachineUntold])
@pytest.mark.parametrize("where", ["carry_out", "give_up"])
def test_tells_what_a_machine_does_as_no_bug(cloud, caplog, where, error):
    """A slow host, or a guest's owner who broke out of it, had tasks fail as InternalError, with tracebacks."""
    tried = []

    def carry_out(job: Job) -> None:
        tried.append(job.task.attempts)
        raise error("QEMU is gone") if where == "carry_out" else ServiceUnavailable

    def give_up(job: Job, why: Exception) -> None:
        if where == "give_up" and job.task.attempts < TRIES:
            raise error("QEMU is gone")

    with_duty(cloud, carry_out, give_up)
    task = enqueue(cloud)
    for _ in range(2 * TRIES):
        cloud.settle()
        cloud.clock.now += 60

    assert tried == list(range(TRIES if where == "carry_out" else TRIES + 1))
    assert status_of(cloud, task) == ("Failed", "ServiceUnavailable")
    if where == "carry_out":
        with cloud.ports.database.read() as tx:
            assert tasks.tasks.find(tx, id=task).error_message.endswith("it was told: QEMU is gone")
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EROFS, errno.ENOSPC, errno.ESTALE, errno.EMFILE])
def test_tells_what_the_host_does_as_no_bug(cloud, caplog, number):
    tried = []

    def carry_out(job: Job) -> None:
        tried.append(job.task.attempts)
        raise OSError(number, os.strerror(number), "/srv/kiln/pool/v-1.qcow2")

    with_duty(cloud, carry_out)
    task = enqueue(cloud)
    for _ in range(TRIES):
        cloud.settle()
        cloud.clock.now += 60

    assert len(tried) == TRIES
    assert status_of(cloud, task) == ("Failed", "ServiceUnavailable")
    with cloud.ports.database.read() as tx:
        told = tasks.tasks.find(tx, id=task).error_message
    assert told == f"The host of the service failed: {os.strerror(number)}"
    assert [record for record in caplog.records if record.exc_info] == []


def test_gives_up_at_once_where_a_machine_knows_other_files(cloud):
    """That lasts until somebody stops it."""
    tried = []

    def carry_out(job):
        tried.append(job)
        raise MachineAstray("Stop it.")

    with_duty(cloud, carry_out)
    task = enqueue(cloud)
    cloud.settle()

    assert len(tried) == 1
    assert status_of(cloud, task) == ("Failed", "ServiceUnavailable")


@pytest.mark.parametrize("error", [DatabaseBusy("database is locked"), DatabaseDown("disk I/O error")], ids=repr)
@pytest.mark.parametrize("where", ["carry_out", "give_up", "the end"])
def test_waits_for_a_database_that_takes_nothing_just_now(cloud, caplog, where, error):
    """It counted as a crash and as a try, and failed the task for good when it came six times."""
    left = [error] * (3 * TRIES)
    given_up = []

    def meet(at: str) -> None:
        if where == at and left:
            raise left.pop()

    def carry_out(job: Job) -> None:
        meet("carry_out")
        raise ServiceUnavailable

    def give_up(job: Job, why: Exception) -> None:
        meet("give_up")
        given_up.append(why)

    class Rows:
        @staticmethod
        def end(ports, task, error):
            meet("the end")
            unfinished.end(ports, task, error)

        fail_alone = unfinished.fail_alone

    duties = {} if where == "the end" else {"Test": Duty(carry_out, give_up, facts=Facts)}
    cloud.worker = Worker(cloud.ports, duties, Rows)
    task = enqueue(cloud)
    while left:
        cloud.settle()
        assert status_of(cloud, task) == ("Processing", "")
        cloud.clock.now += 2
    cloud.settle()

    assert len(given_up) == (where != "the end")
    assert status_of(cloud, task)[0] == "Failed"
    with cloud.ports.database.read() as tx:
        assert tasks.tasks.find(tx, id=task).attempts == 0
    assert [record for record in caplog.records if record.exc_info] == []


def test_tries_a_crash_again_and_gives_up_in_the_end(cloud):
    tried = []

    def carry_out(job: Job) -> None:
        tried.append(job.task.attempts)
        raise RuntimeError("a bug")

    with_duty(cloud, carry_out)
    task = enqueue(cloud)
    for _ in range(TRIES):
        cloud.settle()
        cloud.clock.now += 60

    assert tried == list(range(TRIES))
    assert status_of(cloud, task) == ("Failed", "InternalError")


def test_tells_what_is_gone_from_the_pool(cloud):
    """It was told as InternalError: nobody could know that a file has to be put back."""

    def carry_out(job: Job) -> None:
        raise VolumeMissing("v-1")

    cloud.worker = Worker(cloud.ports, {"Test": Duty(carry_out, tries=2)}, unfinished)
    task = enqueue(cloud)
    for _ in range(2):
        cloud.settle()
        cloud.clock.now += 60

    assert status_of(cloud, task) == ("Failed", "ServiceUnavailable")
    with cloud.ports.database.read() as tx:
        told = tasks.tasks.find(tx, id=task).error_message
    assert told == "The pool is damaged: there is no volume v-1 any more."


def test_tries_as_often_as_the_duty_says(cloud):
    def carry_out(job: Job) -> None:
        raise RuntimeError("a bug")

    cloud.worker = Worker(cloud.ports, {"Test": Duty(carry_out, tries=1)}, unfinished)
    task = enqueue(cloud)

    cloud.settle()

    assert status_of(cloud, task) == ("Failed", "InternalError")


def test_waits_when_something_is_not_ready(cloud):
    ready = []

    def carry_out(job: Job) -> None:
        if not ready:
            raise NotYet(5.0, "The test says so.")

    with_duty(cloud, carry_out)
    task = enqueue(cloud)

    cloud.settle()
    assert status_of(cloud, task) == ("Processing", "")
    ready.append(True)
    cloud.clock.now += 6
    cloud.settle()
    assert status_of(cloud, task) == ("Finished", "")


def test_remembers_facts_across_tries(cloud):
    def carry_out(job: Job) -> None:
        if not job.facts.half:
            job.note(replace(job.facts, half="done"))
            raise NotYet(0.0, "The test says so.")

    with_duty(cloud, carry_out)
    task = enqueue(cloud)

    cloud.settle()

    assert status_of(cloud, task) == ("Finished", "")


@pytest.fixture
def running(cloud):
    """A started worker with a duty that says when it is done."""
    done = threading.Event()
    worker = Worker(cloud.ports, {"Test": Duty(lambda job: done.set())}, unfinished, threads=1)
    worker.start()
    yield worker, done
    worker.stop()


def test_starts_at_once_with_what_is_handed_over(cloud, running):
    worker, done = running

    def work(tx):
        call = cloud.as_call(tx)
        object.__setattr__(call, "worker", worker.id)
        object.__setattr__(call, "hand_over", worker.hand_over)
        call.enqueue("r-1")

    cloud.ports.database.write(work)

    assert done.wait(300)


def test_takes_up_what_nobody_handed_over(cloud, running):
    _, done = running

    enqueue(cloud)

    assert done.wait(300)


def test_no_guest_that_is_waited_for_keeps_another_waiting(cloud):
    done, is_over = threading.Event(), threading.Event()

    def carry_out(job: Job) -> None:
        if job.task.lane.startswith("i-silent"):
            is_over.wait(300)
        else:
            done.set()

    for number in range(100):
        enqueue(cloud, lane=f"i-silent{number}")
    enqueue(cloud, lane="i-lively")
    worker = Worker(cloud.ports, {"Test": Duty(carry_out)}, unfinished, threads=1)
    worker.start()
    try:
        assert done.wait(300)
    finally:
        is_over.set()
        worker.stop()


class Unheard(BaseException):
    """What ``except Exception`` does not catch."""


@pytest.mark.parametrize("lane", ["", "i-1"])
@pytest.mark.parametrize("error", [Unheard, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["carry_out", "give_up"])
def test_tries_again_what_nobody_catches(cloud, where, error, lane):
    """The thread ended by it, and the lease of the task was renewed for ever: nothing went on behind it."""
    left = [error]

    def carry_out(job: Job) -> None:
        if left and where == "carry_out":
            raise left.pop()
        if left:
            raise ServiceUnavailable

    def give_up(job: Job, why: ServiceUnavailable) -> None:
        raise left.pop()

    with_duty(cloud, carry_out, give_up)
    task = enqueue(cloud, lane=lane)
    take_up(cloud)

    assert status_of(cloud, task) == ("Processing", "")
    cloud.clock.now += 10
    take_up(cloud)
    assert status_of(cloud, task) == ("Finished", "")


def test_ends_what_breaks_out_each_time(cloud):
    def carry_out(job: Job) -> None:
        raise Unheard

    with_duty(cloud, carry_out)
    task = enqueue(cloud, lane="i-1")
    for _ in range(TRIES):
        assert status_of(cloud, task) == ("Processing", "")
        take_up(cloud)
        cloud.clock.now += 10

    assert status_of(cloud, task) == ("Failed", "InternalError")


def take_up(cloud: Cloud) -> None:
    """As a thread of the worker does."""
    (task,) = cloud.worker.claim(cloud.clock())
    cloud.worker._attempt_next(task)


def test_is_told_of_what_comes_and_of_what_may_begin_and_does_not_ask(cloud):
    """The sweep that would find it comes after an hour: a task of nobody's, the next of its lane, one behind that."""
    done = threading.Semaphore(0)
    duty = Duty(lambda _: done.release(), facts=Facts)
    others = cloud.ports.database.hub.ears
    worker = Worker(cloud.ports, {"Test": duty}, unfinished, sweep_seconds=3600.0)
    worker.start()
    try:
        for lane in ("", "d-1", "d-1", "d-1"):
            enqueue(cloud, lane=lane)
        assert all(done.acquire(timeout=300) for _ in range(4))
    finally:
        worker.stop()
    assert cloud.ports.database.hub.ears == others


def another_claims(cloud: Cloud, task: str) -> None:
    """Have the lease run out, and another worker take the task."""
    cloud.ports.database.write(lambda tx: tasks.tasks.update(tx, {"lease_until": 0.0}, id=task))
    again = Worker(cloud.ports, {}, unfinished).claim(cloud.clock())
    assert [one.id for one in again] == [task]


def test_writes_nothing_for_a_task_that_another_has_by_now(cloud):
    written = []

    def carry_out(job):
        another_claims(cloud, job.task.id)
        job.write(written.append)

    with_duty(cloud, carry_out)
    task = enqueue(cloud)
    (mine,) = cloud.worker.claim(cloud.clock())

    with pytest.raises(tasks.LeaseLost):
        cloud.worker.attempt(mine)

    assert written == []
    assert status_of(cloud, task) == ("Processing", "")


def test_gives_up_nothing_that_another_has_by_now(cloud):
    given_up = []

    def carry_out(job):
        another_claims(cloud, job.task.id)
        raise ServiceUnavailable

    with_duty(cloud, carry_out, give_up=lambda job, error: given_up.append(error))
    enqueue(cloud)
    (mine,) = cloud.worker.claim(cloud.clock())

    with pytest.raises(tasks.LeaseLost):
        cloud.worker.attempt(mine)

    assert given_up == []


def test_a_job_writes_after_its_task_has_ended(cloud):
    """Whoever records the end with the result may have something to put away afterwards."""
    written = []

    def carry_out(job):
        job.write(job.finish)
        job.write(written.append)

    with_duty(cloud, carry_out)
    task = enqueue(cloud)
    cloud.settle()

    assert len(written) == 1
    assert status_of(cloud, task) == ("Finished", "")


@pytest.mark.parametrize(
    ("action", "more"), [("StopInstance", {}), ("DeleteInstance", {"Force": True}), ("RebootInstance", {})]
)
def test_leaves_a_machine_alone_whose_task_another_has_by_now(cloud, action, more):
    instance = an_instance(cloud, status=InstanceStatus.RUNNING)
    run(cloud, instance.id)
    cloud.call(action, InstanceId=instance.id, **more)
    (mine,) = cloud.worker.claim(cloud.clock())
    another_claims(cloud, mine.id)
    before = cloud.contents()

    with pytest.raises(tasks.LeaseLost):
        cloud.worker.attempt(mine)

    assert cloud.ports.machines.is_running(instance.id)
    assert cloud.contents() == before


def test_starts_no_machine_for_a_task_that_another_has_by_now(cloud):
    instance = an_instance(cloud, status=InstanceStatus.STOPPED)
    cloud.call("StartInstance", InstanceId=instance.id)
    (mine,) = cloud.worker.claim(cloud.clock())
    another_claims(cloud, mine.id)

    with pytest.raises(tasks.LeaseLost):
        cloud.worker.attempt(mine)

    assert not cloud.ports.machines.is_running(instance.id)


def test_counts_the_leases_that_it_has_lost(cloud):
    with_duty(cloud, lambda job: (another_claims(cloud, job.task.id), job.write(lambda _: None)))
    enqueue(cloud)
    (mine,) = cloud.worker.claim(cloud.clock())
    before = measured(cloud)

    cloud.worker._attempt_next(mine)

    assert measured(cloud).since(before, "kiln_task_leases_lost_total", action="Test") == 1


def test_says_in_each_event_which_task_it_is_about_and_how_far(cloud, caplog):
    caplog.set_level("DEBUG")
    with_duty(cloud, lambda job: (reach("capture.begun"), 1 / 0))
    task = enqueue(cloud)

    cloud.settle()

    said = {record.getMessage(): getattr(record, FACTS) for record in caplog.records if hasattr(record, FACTS)}
    assert said["task_begun"]["step"] == "worker.Test.claimed"
    assert said["task_crashed"].items() >= {"task": task, "action": "Test", "step": "capture.begun"}.items()


@pytest.mark.postgresql
def test_a_start_is_left_to_a_host_with_more_room_while_one_serves(tmp_path, postgresql_opened):
    cloud = make_cloud(tmp_path, postgresql_opened)
    ports = replace(cloud.ports, is_alone=False)
    for host, memory in ((ports.host, 4096), ("other", 8192)):
        member = Member(id=f"w-{host}", host=host, role="worker", address="")
        size = Room(cpus=4, memory_mib=memory)
        postgresql_opened.write(lambda tx, one=member, size=size: workers.enter(tx, one, size, is_first=False))
    start = a_task(postgresql_opened, cpus=1, memory_mib=1024)
    worker = Worker(ports, {}, unfinished, sweep_seconds=1000.0)

    assert worker.claim(cloud.clock()) == []
    postgresql_opened.write(lambda tx: workers.leave(tx, "w-other"))

    assert [task.id for task in worker.claim(cloud.clock())] == [start]
