"""Guests that go to another host where no machine locks its disks, as on Ceph: who may write is told to the pool."""

from __future__ import annotations

import pytest

from kiln.declare.states import TaskStatus
from kiln.ground import killpoints
from kiln.machines.errors import MachineSilent
from kiln.machines.none import NoMachines
from kiln.machines.port import at_once
from kiln.pools.errors import VolumeBusy
from kiln.pools.qcow2 import Qcow2Pool
from kiln.store import hosts
from kiln.tasks.worker import TRIES
from kiln.upkeep.live import end_left
from kiln.upkeep.lost_hosts import end_given_up
from tests.dying import killed_at
from tests.store.test_hosts import come
from tests.upkeep.hosts import LITTLE, Two
from tests.upkeep.test_live import come_whole, going, runs_in, stand_still_at, stays

#: Those between which somebody is shut out, or may be.
POINTS = (
    "live.before_send", "live.before_entrance", "live.received", "live.sent", "live.decided",
    "machines.before_take_over", "fencing.before", "fencing.others_out", "machines.taken_over", "live.taken_over",
    "live.before_end",
)  # fmt: skip
LATE = (
    ("one", "live.sent"),
    ("one", "live.decided"),
    ("two", "machines.before_take_over"),
    ("two", "live.taken_over"),
)


class Opened(NoMachines):
    """Each machine has its disks open under a name of its own, for as long as it is there."""

    _count = 0

    def _start(self, machine, may_run, *, waits=False):
        path = self._folder / machine.instance / "opened-as"
        # One that waited already is ended, and another waits.
        if waits or not self.is_running(machine.instance):
            path.parent.mkdir(parents=True, exist_ok=True)
            Opened._count += 1
            path.write_text(f"{self._folder.parent.name}-{Opened._count}")
        super()._start(machine, may_run, waits=waits)

    def opened_as(self):
        return {(self._folder / one / "opened-as").read_text() for one in self.running()}


class Unlocked(Qcow2Pool):
    """A pool whose files no machine locks: all that its volumes are open in is known, and can be shut out."""

    def watch(self, machines):
        """*machines* are those of all hosts, by their hosts."""
        self._machines, self.out, self.dead, self.unseen = machines, set(), set(), set()
        return self

    def _there(self):
        living = set().union(*(one.opened_as() for one in self._machines.values()))
        return (living | self.dead) - self.out - self.unseen

    def cut_off(self, volumes):
        self.out |= self._there()

    def writers(self, volumes):
        return {"the disk": frozenset(self._there())}

    def shut_out(self, writers):
        self.out |= set(writers)

    def require_sole(self, volumes):
        if len(there := self._there()) > 1:
            raise VolumeBusy(f"it is open in {len(there)} machines")


class Fenced(Two):
    """Two hosts with such a pool."""

    def __init__(self, cloud):
        self.pool = Unlocked(cloud.folder / "unlocked").watch({})
        super().__init__(cloud, Opened)
        self.pool.watch(self.machines)

    def _parts_of(self, name):
        return super()._parts_of(name) | {"pool": self.pool}

    def running(self):
        instance = super().running()
        (self.cloud.folder / "one" / "run" / instance / "opened-as").write_text("one-0")
        return instance

    def writes(self):
        """The machines that may write: those that are there and are not shut out."""
        return {name for name, one in self.machines.items() if one.opened_as() - self.pool.out}


@pytest.fixture
def two(cloud):
    return Fenced(cloud)


def test_the_machine_that_it_left_is_shut_out_before_the_guest_goes_on(two):
    instance = going(two)
    with killed_at("live.decided"):
        two.settle()
    assert two.writes() == {"one", "two"}
    runs = []

    def look(passed: str) -> None:
        if passed == "machines.taken_over":
            runs.append(two.writes())

    killpoints.listen(look)
    try:
        two.settle()
    finally:
        killpoints.listen(None)

    assert runs == [{"two"}]
    assert (two.where(instance), runs_in(two, instance)) == (("Running", "two", ["two"]), ["two"])


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_leaves_it_running_once_where_it_can_write(two, point):
    instance = going(two)
    with killed_at(point):
        two.settle()
    assert set(runs_in(two, instance)) <= two.writes()

    two.settle()

    assert (two.where(instance), runs_in(two, instance)) == (("Running", "two", ["two"]), ["two"])
    assert two.writes() == {"two"}
    assert two.task(instance).status == TaskStatus.FINISHED


@pytest.mark.parametrize("point", ["live.decided", "machines.before_take_over", "live.refused"])
def test_one_whose_machine_ended_before_it_ran_there_goes_on_where_it_came_from_and_writes(two, point):
    instance = going(two)
    with killed_at("live.decided"):
        two.settle()
    two.machines["two"].stop(instance, force=True)
    if point == "live.refused":
        with killed_at(point):
            two.settle()

    two.settle()

    stays(two, instance, "ended before that ran")
    assert two.writes() == {"one"}


def test_it_goes_on_where_it_was_and_the_machine_that_waited_is_shut_out(two):
    instance = going(two)
    with killed_at("live.sent"):
        two.settle()
    (waited,) = two.machines["two"].opened_as()
    come(two.cloud.ports.database, "two", "of-two", LITTLE)
    with killed_at("live.stays"):
        two.settle()

    two.settle()

    stays(two, instance, "it has no room for it any more")
    assert waited in two.pool.out
    assert two.writes() == {"one"}


def test_a_machine_that_waited_and_was_killed_is_in_nobodys_way(two):
    """The pool knows of its death only after a while."""
    instance = going(two)
    with killed_at("live.received"):
        two.settle()
    two.pool.dead |= two.machines["two"].opened_as()
    two.machines["two"].stop(instance, force=True)

    two.settle()

    assert (two.where(instance), two.writes()) == (("Running", "two", ["two"]), {"two"})


def test_one_whose_disks_another_machine_has_open_is_not_sent(two):
    instance = going(two)
    two.pool.dead = {"a stranger"}

    two.settle()

    stays(two, instance, "the disk is open in 2 machines")
    assert two.writes() == {"one"}
    assert not two.pool.out


@pytest.mark.parametrize("point", ["live.decided", "machines.before_take_over", "fencing.before"])
def test_a_third_that_opens_its_disks_once_it_has_come_is_shut_out_with_the_first(two, point):
    """It may be one that was told late to wait for it, on a host that does not get it any more."""
    instance = going(two)
    with killed_at(point):
        two.settle()
    two.pool.dead = {"a third"}

    two.settle()

    assert (two.where(instance), runs_in(two, instance)) == (("Running", "two", ["two"]), ["two"])
    assert "a third" in two.pool.out
    assert two.writes() == {"two"}


def test_where_a_third_has_its_disks_open_as_it_comes_it_goes_on_where_it_was(two):
    """Which of the two others it has come to nobody could tell."""
    instance = going(two)

    def come_too(passed: str) -> None:
        if passed == "live.sent":
            two.pool.dead = {"a third"}

    killpoints.listen(come_too)
    try:
        two.settle()
    finally:
        killpoints.listen(None)

    stays(two, instance, "the disk is open in 2 machines")
    assert "a third" in two.pool.out
    assert two.writes() == {"one"}


@pytest.mark.parametrize("is_recalled", [False, True])
def test_who_is_not_seen_is_shut_out_as_well(two, is_recalled):
    """A machine that stands still for half a minute is not told of, and writes again when it wakes."""
    instance = going(two)
    with killed_at("live.decided"):
        two.settle()
    if is_recalled:
        two.machines["two"].stop(instance, force=True)
    loses = "two" if is_recalled else "one"
    sleeping = {(two.machines[loses]._folder / instance / "opened-as").read_text()}
    two.pool.unseen = sleeping

    two.settle()

    assert runs_in(two, instance) == ["one" if is_recalled else "two"]
    assert sleeping <= two.pool.out


def test_one_that_is_not_seen_itself_does_not_go_on(two):
    """It may have been shut out: another has its disks by now."""
    instance = going(two)
    with killed_at("live.decided"):
        two.settle()
    two.pool.out |= two.machines["two"].opened_as()

    for _ in range(2 * TRIES):
        two.settle()

    assert two.where(instance) == ("Stopped", "", [])
    assert two.task(instance).status == TaskStatus.FAILED


@pytest.mark.parametrize(("name", "point"), LATE)
def test_a_host_that_was_given_up_on_the_way_and_wakes_late_shuts_nobody_out(two, name, point):
    """The instance was started elsewhere by then, and that machine writes."""
    instance = going(two)
    other = "two" if name == "one" else "one"
    stand_still_at(two, instance, name, point)
    two.settle()
    end_given_up(two.ports_of(name))
    two.write(lambda tx: hosts.set_draining(tx, other, is_draining=False))
    two.be(other)
    two.cloud.call("StartInstance", InstanceId=instance)
    two.cloud.settle()

    assert two.where(instance) == ("Running", other, [other])
    assert two.writes() == {other}


class Hung(Opened):
    """Of which no guest is recalled: QEMU says nothing."""

    is_hung = True

    def recall(self, instance, may_run=at_once):
        if self.is_hung:
            raise MachineSilent(f"QEMU says nothing of {instance}.")
        super().recall(instance, may_run)


def test_one_that_was_left_standing_still_goes_on_once_it_has_its_disks_alone(two):
    two.machines["one"] = machines = Hung(two.cloud.folder / "one" / "run")
    instance = going(two)
    with killed_at("live.sent"):
        two.settle()
    come(two.cloud.ports.database, "two", "of-two", LITTLE)
    for _ in range(2 * TRIES):
        two.settle()
    machines.is_hung = False
    two.pool.dead = {"one that waited, and was killed"}
    end_left(two.ports_of("one"))
    assert runs_in(two, instance) == []

    two.pool.dead = set()
    end_left(two.ports_of("one"))

    assert (runs_in(two, instance), two.writes()) == (["one"], {"one"})


def test_one_whose_task_nobody_understands_goes_on_where_it_has_come_once_it_has_its_disks_alone(two):
    """Who else has them is not known then, so it is waited for: the host that it left ends what is there."""
    instance = come_whole(two, "facts of a newer version")
    two.be("two")
    two.cloud.settle()
    end_left(two.ports_of("two"))
    assert runs_in(two, instance) == []

    for name in ("one", "two"):
        end_left(two.ports_of(name))

    assert (two.where(instance), runs_in(two, instance)) == (("Running", "two", ["two"]), ["two"])
    assert two.writes() == {"two"}
