"""Guests that go to another host while they run: in one of the two they go on, whatever is killed or fails."""

from __future__ import annotations

from contextlib import suppress

import pytest

from kiln.declare.states import InstanceStatus, TaskStatus
from kiln.ground import killpoints
from kiln.machines.errors import MachineRefused, MachineSilent
from kiln.machines.none import NoMachines
from kiln.machines.port import at_once
from kiln.store import hosts, tasks
from kiln.store.database import Transaction
from kiln.store.firmware import firmware_variables
from kiln.store.instances import instances, place
from kiln.store.leaving import MOVE
from kiln.store.tasks import LeaseLost
from kiln.tasks.worker import TRIES
from kiln.upkeep.live import end_left
from kiln.upkeep.lost_hosts import end_given_up
from kiln.upkeep.variables import VariablesKeeper
from tests.dying import Killed, dying, killed_at
from tests.reading import the
from tests.store.test_hosts import come
from tests.upkeep.flash import FRESH, NEWER, OTHER, Flash
from tests.upkeep.hosts import LITTLE, Two

POINTS = (
    "live.before_send", "live.before_entrance", "live.before_receive", "machines.before_start", "machines.started",
    "live.received", "machines.before_leave", "machines.left", "live.sent", "live.decided", "machines.before_take_over",
    "machines.taken_over", "live.taken_over", "live.recorded", "live.before_end", "machines.before_stop",
    "machines.stopped", "live.ended",
)  # fmt: skip


@pytest.fixture
def two(cloud):
    return Two(cloud)


def going(two):
    """An instance that was asked to go while it runs."""
    instance = two.running()
    two.ask(instance, live=True)
    return instance


def runs_in(two, instance):
    """Where its guest goes on: in a machine that is between two hosts it stands still."""
    return [name for name in two.where(instance)[2] if not two.machines[name].is_between(instance)]


def test_it_goes_on_elsewhere_and_is_running_all_the_time(two):
    instance = going(two)
    before = the(two.cloud, instances, id=instance)

    two.settle()

    assert two.where(instance) == ("Running", "two", ["two"])
    assert runs_in(two, instance) == ["two"]
    after = the(two.cloud, instances, id=instance)
    assert (after.started_at, after.last_host) == (before.started_at, "two")
    assert two.task(instance).status == TaskStatus.FINISHED


def test_what_waits_in_its_lane_is_done_where_it_has_come_to(two):
    instance = going(two)
    two.cloud.call("StopInstance", InstanceId=instance)

    two.settle()

    assert two.where(instance) == ("Stopped", "", [])
    assert two.task(instance).status == TaskStatus.FINISHED


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_leaves_it_running_once_in_the_end(two, point):
    instance = going(two)
    with killed_at(point):
        two.settle()
    assert len(runs_in(two, instance)) <= 1

    two.settle()

    assert (two.where(instance), runs_in(two, instance)) == (("Running", "two", ["two"]), ["two"])
    assert two.task(instance).status == TaskStatus.FINISHED


@pytest.mark.parametrize("is_killed", [False, True])
def test_it_goes_on_where_it_was_when_the_room_is_gone_meanwhile(two, is_killed):
    instance = going(two)
    with killed_at("live.sent"):
        two.settle()
    come(two.cloud.ports.database, "two", "of-two", LITTLE)
    if is_killed:
        with killed_at("live.stays"):
            two.settle()
        assert runs_in(two, instance) == ["one"]

    two.settle()

    stays(two, instance, "it has no room for it any more")


def test_it_goes_on_where_it_was_when_nobody_waits_for_it(two):
    instance = going(two)
    with killed_at("live.before_entrance"):
        two.settle()
    two.write(lambda tx: hosts.set_draining(tx, "two", is_draining=True))

    two.settle()

    stays(two, instance, "is not to come here")


@pytest.mark.parametrize("point", ["live.decided", "machines.before_take_over", "live.refused"])
def test_one_whose_machine_ended_before_it_ran_there_goes_on_where_it_came_from(two, point):
    instance = going(two)
    with killed_at("live.decided"):
        two.settle()
    two.machines["two"].stop(instance, force=True)
    assert (two.machines["two"].is_between(instance), the(two.cloud, instances, id=instance).host) == (True, "two")
    if point == "live.refused":
        with killed_at(point):
            two.settle()

    two.settle()

    stays(two, instance, "ended before that ran")


def test_where_it_has_come_to_nobody_waits_for_a_lease_that_is_the_others(two):
    """It stands still in both by then, and who decided it may be dead."""
    instance = going(two)
    with killed_at("live.decided"):
        two.settle()

    task = two.task(instance)
    assert (task.owner, task.host) == ("", "two")


class Locked(NoMachines):
    """Of which no guest goes on: somebody has its disks."""

    def take_over(self, instance, may_run=at_once, chains=(), keep_out=None):
        raise MachineRefused(f"Nobody lets {instance} go on; it ended before that ran.")


def test_the_machine_that_does_not_take_it_over_has_ended_before_the_other_goes_on(two):
    instance = going(two)
    two.machines["two"] = Locked(two.cloud.folder / "two" / "run")

    with killed_at("live.refused"):
        two.settle()

    assert two.where(instance) == ("Running", "two", ["one"])
    two.settle()
    stays(two, instance, "Nobody lets")


def stays(two, instance, why):
    assert (two.where(instance), runs_in(two, instance)) == (("Running", "one", ["one"]), ["one"])
    task = two.task(instance)
    assert (task.status, task.error_code) == (TaskStatus.FAILED, "ServiceUnavailable")
    assert task.error_message.startswith("It could not go to two while it runs, and goes on where it is: ")
    assert why in task.error_message


def lose(tx: Transaction, instance: str, host: str) -> None:
    """As it is when that host is given up."""
    tasks.take_away(tx, host=host)
    hosts.hosts.update(tx, {"lost_at": 1.0}, name=host)
    place(tx, instance, "")
    instances.move(tx, InstanceStatus.RUNNING, InstanceStatus.STOPPED, {}, id=instance)


@pytest.mark.parametrize(("point", "lost"), [("live.sent", "one"), ("live.received", "one"), ("live.decided", "two")])
def test_where_the_host_that_has_it_is_given_up_it_is_stopped_and_nothing_of_it_is_left(two, point, lost):
    instance = going(two)
    with killed_at(point):
        two.settle()
    two.write(lambda tx: lose(tx, instance, lost))
    assert runs_in(two, instance) == (["one"] if point == "live.received" else [])

    two.settle()

    assert two.where(instance)[:2] == ("Stopped", "")
    left = "two" if lost == "one" else "one"
    assert not two.machines[left].is_running(instance)
    assert the(two.cloud, tasks.tasks, action=MOVE).status == TaskStatus.FINISHED


LATE = [
    (name, point)
    for name, points in {
        "one": ["live.before_send", "live.before_entrance", "machines.before_leave", "live.sent", "live.decided"],
        "two": ["machines.before_take_over", "machines.taken_over", "live.taken_over"],
    }.items()
    for point in points
]


def stand_still_at(two, instance, name, point):
    """Have a host move it, stand still at *point* until it is given up, and wake."""

    def wake(passed: str) -> None:
        if passed == point:
            killpoints.listen(None)
            two.write(lambda tx: lose(tx, instance, name))

    killpoints.listen(wake)
    try:
        with suppress(LeaseLost):
            two.settle()
    finally:
        killpoints.listen(None)


@pytest.mark.parametrize(("name", "point"), LATE)
def test_a_host_that_was_given_up_on_the_way_and_wakes_late_has_nothing_go_on(two, name, point):
    """It stood still at that point, and does what it would have done next, while the instance is others' by then."""
    instance = going(two)
    stand_still_at(two, instance, name, point)
    ran = runs_in(two, instance)
    two.settle()
    end_given_up(two.ports_of(name))  # As its process does first of all, when it comes back.

    assert ran in ([], [name])
    assert two.where(instance) == ("Stopped", "", [])
    other = "two" if name == "one" else "one"
    two.write(lambda tx: hosts.set_draining(tx, other, is_draining=False))
    two.be(other)
    two.cloud.call("StartInstance", InstanceId=instance)
    two.cloud.settle()
    assert two.where(instance) == ("Running", other, [other])


def test_a_machine_that_is_between_hosts_is_kept_as_long_as_it_is_needed(two):
    instance = going(two)
    with killed_at("live.sent"):
        two.settle()

    for name in ("one", "two"):
        assert end_left(two.ports_of(name)) == []

    assert two.where(instance) == ("Running", "one", ["one", "two"])


# What its firmware keeps.


@pytest.fixture
def flashed(cloud):
    """Two hosts, of whose machines the firmware keeps something."""
    return Two(cloud, Flash)


def kept(two, instance):
    row = the(two.cloud, firmware_variables, instance=instance)
    return row.host, row.contents


def test_what_its_firmware_keeps_is_there_and_known_to_be_there(flashed):
    instance = going(flashed)
    flashed.machines["one"].write(instance, OTHER)

    flashed.settle()

    assert flashed.machines["two"].variables(instance) == OTHER
    assert kept(flashed, instance) == ("two", OTHER)


def test_what_it_writes_there_before_that_is_written_down_is_not_lost(flashed):
    instance = going(flashed)
    with killed_at("live.taken_over"):
        flashed.settle()
    flashed.machines["two"].write(instance, OTHER)

    flashed.settle()

    assert kept(flashed, instance) == ("two", OTHER)


def test_what_is_older_where_it_comes_to_is_not_kept(flashed):
    """Its machine there was started with what was kept by then, and its guest wrote more before it stood still."""
    instance = going(flashed)
    flashed.machines["one"].write(instance, FRESH)
    with killed_at("live.received"):
        flashed.settle()
    flashed.machines["one"].write(instance, OTHER)
    with killed_at("live.decided"):
        flashed.settle()
    flashed.machines["two"].write(instance, FRESH)

    assert VariablesKeeper()(flashed.ports_of("two")) == []

    assert kept(flashed, instance) == ("one", OTHER)


def test_what_it_writes_while_it_is_sent_is_kept_before_it_is_the_others(flashed):
    instance = going(flashed)
    flashed.machines["one"].write(instance, FRESH)

    def write(passed: str) -> None:
        if passed == "machines.before_leave":
            flashed.machines["one"].write(instance, OTHER)

    with dying(lambda passed: write(passed) or passed == "live.decided"), pytest.raises(Killed):
        flashed.settle()

    assert kept(flashed, instance) == ("one", OTHER)


def test_of_one_that_is_given_up_the_newest_is_kept(flashed):
    instance = going(flashed)
    flashed.machines["one"].write(instance, FRESH)
    with killed_at("live.taken_over"):
        flashed.settle()
    flashed.machines["two"].write(instance, OTHER)
    flashed.machines["two"].is_silent = True

    with killed_at("live.lost"):
        for _ in range(TRIES):
            flashed.settle()
    flashed.settle()

    assert flashed.task(instance).status == TaskStatus.FAILED
    assert flashed.where(instance) == ("Stopped", "", [])
    assert kept(flashed, instance) == ("two", OTHER)


class Full(Flash):
    """Of whose firmware more is there than can be kept."""

    found: bool | None = None  #: Whether the last start was told that what is here is newer than what is kept.

    def variables(self, instance):
        return ""

    def _start(self, machine, may_run, *, waits=False):
        self.found = machine.has_variables
        super()._start(machine, may_run, waits=waits)


def test_what_cannot_be_kept_where_it_has_come_to_is_not_taken_for_older(flashed):
    instance = going(flashed)
    flashed.machines["one"].write(instance, FRESH)
    flashed.machines["two"] = there = Full(flashed.cloud.folder / "two" / "run")

    flashed.settle()

    assert (there.found, kept(flashed, instance)) == (False, ("two", FRESH))
    flashed.be("two")
    for action in ("StopInstance", "StartInstance"):
        flashed.cloud.call(action, InstanceId=instance)
        flashed.cloud.settle()
    assert (flashed.where(instance), there.found) == (("Running", "two", ["two"]), True)


@pytest.mark.parametrize("is_killed", [False, True])
def test_one_that_surely_never_ran_where_it_came_to_is_not_ended_but_goes_on_where_it_was(flashed, is_killed):
    instance = going(flashed)
    flashed.machines["one"].write(instance, FRESH)
    with killed_at("live.decided"):
        flashed.settle()
    flashed.machines["two"].write(instance, OTHER)
    flashed.machines["two"].is_silent = True

    if is_killed:
        with killed_at("live.refused"):
            for _ in range(TRIES):
                flashed.settle()
    for _ in range(TRIES):
        flashed.settle()

    assert flashed.task(instance).status == TaskStatus.FAILED
    assert (flashed.where(instance), runs_in(flashed, instance)) == (("Running", "one", ["one"]), ["one"])
    assert kept(flashed, instance) == ("one", FRESH)


def given_up(two, instance):
    two.write(lambda tx: (instances.move(tx, InstanceStatus.RUNNING, InstanceStatus.STOPPED, {}, id=instance),
                          place(tx, instance, "")))  # fmt: skip


def leased_anew(two, instance):
    two.write(lambda tx: tasks.tasks.update(tx, {"generation": two.task(instance).generation + 1}))


@pytest.mark.parametrize("happens", [given_up, leased_anew])
@pytest.mark.parametrize("side", ["one", "two"])
def test_who_stood_still_just_before_it_was_to_go_on_asks_again(two, side, happens):
    """Its host was given up meanwhile, and the instance may have run elsewhere."""
    instance = going(two)
    with killed_at("live.sent" if side == "one" else "live.decided"):
        two.settle()
    come(two.cloud.ports.database, "two", "of-two", LITTLE)  # So the guest is to go back, if it is in the first.

    class Late(NoMachines):
        def recall(self, instance, may_run=at_once):
            happens(two, instance)
            super().recall(instance, may_run)

        def take_over(self, instance, may_run=at_once, chains=(), keep_out=None):
            happens(two, instance)
            super().take_over(instance, may_run, chains, keep_out)

    two.machines[side] = Late(two.cloud.folder / side / "run")
    two.write(tasks.release_all)
    two.be(side)

    with pytest.raises(LeaseLost):
        two.cloud.settle()

    assert runs_in(two, instance) == []


def test_where_it_has_come_to_all_tries_are_left(two):
    instance = going(two)
    two.write(lambda tx: tasks.tasks.update(tx, {"attempts": TRIES - 1}, id=two.task(instance).id))

    with killed_at("live.decided"):
        two.settle()

    assert two.task(instance).attempts == 0


# What its task was given up over.


class Hung(NoMachines):
    """Of which no guest is recalled while its QEMU says nothing."""

    is_hung = True

    def recall(self, instance, may_run=at_once):
        if self.is_hung:
            raise MachineSilent(f"QEMU says nothing of {instance}.")
        super().recall(instance, may_run)


@pytest.fixture
def hung(two):
    """An instance that stands still on the first host, since its machine said nothing until its task was given up."""
    two.machines["one"] = machines = Hung(two.cloud.folder / "one" / "run")
    instance = going(two)
    with killed_at("live.sent"):
        two.settle()
    come(two.cloud.ports.database, "two", "of-two", LITTLE)
    for _ in range(2 * TRIES):
        two.settle()
    assert (two.task(instance).status, runs_in(two, instance)) == (TaskStatus.FAILED, [])
    machines.is_hung = False
    return instance


def test_one_that_was_left_standing_still_goes_on_once_its_machine_answers(two, hung):
    assert end_left(two.ports_of("one")) == []

    assert (two.where(hung), runs_in(two, hung)) == (("Running", "one", ["one"]), ["one"])


def test_one_that_was_left_standing_still_is_left_to_who_does_something_with_it(two, hung):
    two.be("one")
    two.cloud.call("StopInstance", InstanceId=hung, ForceStop="true")

    assert end_left(two.ports_of("one")) == []

    assert runs_in(two, hung) == []


RUINS = {
    "an action that there is not": {"action": "Levitate"},
    "facts of a newer version": {"payload": '{"version": 99}'},
}


@pytest.mark.parametrize("ruined", RUINS)
def test_one_that_has_come_whole_goes_on_there_though_nobody_understands_its_task(two, ruined):
    """The host that it came from ends what is left of it there: by the row it is not its own."""
    instance = come_whole(two, ruined)

    two.settle()

    assert (two.where(instance), runs_in(two, instance)) == (("Running", "two", ["two"]), ["two"])


def come_whole(two, ruined):
    """An instance whose guest stands still where it has come to, with a task that nobody can carry out."""
    instance = going(two)
    with killed_at("live.decided"):
        two.settle()
    two.write(lambda tx: tasks.tasks.update(tx, RUINS[ruined], id=two.task(instance).id))
    return instance


@pytest.mark.parametrize("point", ["machines.taken_over", None])
def test_what_the_firmware_of_such_a_one_has_written_is_kept_once_it_goes_on(flashed, point):
    instance = going(flashed)
    flashed.machines["one"].write(instance, OTHER)
    with killed_at("live.decided"):
        flashed.settle()
    flashed.machines["two"].write(instance, FRESH)  # As it was when it began to be sent.
    flashed.write(lambda tx: tasks.tasks.update(tx, {"payload": "{"}, id=flashed.task(instance).id))
    flashed.be("two")
    flashed.cloud.settle()
    assert VariablesKeeper()(flashed.cloud.ports) == []
    assert kept(flashed, instance) == ("one", OTHER)

    def arrive(passed: str) -> None:
        if passed == "machines.before_take_over":
            flashed.machines["two"].write(instance, NEWER)

    with dying(lambda passed: arrive(passed) or passed == point), suppress(Killed):
        end_left(flashed.cloud.ports)
    VariablesKeeper()(flashed.cloud.ports)

    assert kept(flashed, instance) == ("two", NEWER)


def test_one_that_is_about_to_be_sent_again_is_not_recalled_meanwhile(two, hung):
    """Whoever found it standing still came to its machine only when somebody had begun to send it."""

    class Late(NoMachines):
        def recall(self, instance, may_run=at_once):
            two.ask(instance, live=True)
            super().recall(instance, may_run)

    two.machines["one"] = Late(two.cloud.folder / "one" / "run")

    assert end_left(two.ports_of("one")) == []

    assert runs_in(two, hung) == []
