"""Hosts that are lost: what is given up, by whom, and what one does that was given up and lives."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial

import pytest
from sqlalchemy import text

from kiln.calls.sizes import size_in
from kiln.declare.facts import NoFacts
from kiln.declare.states import ImageStatus, InstanceStatus
from kiln.ground import killpoints
from kiln.machines.errors import MachineRefused
from kiln.machines.none import NoMachines
from kiln.machines.port import at_once
from kiln.store import hosts, tasks, workers
from kiln.store.hosts import LOCK, Room, come
from kiln.store.images import images
from kiln.store.instances import instances
from kiln.store.lanes import password_lane
from kiln.store.leaving import MOVE
from kiln.store.tasks import LeaseLost
from kiln.store.terminals import CONNECTED, TERMINATED, terminals
from kiln.store.workers import PAUSE_S, SEEN, Member
from kiln.upkeep.adoption import adopt
from kiln.upkeep.lost_hosts import end_given_up, give_up_lost, start_lost
from kiln.upkeep.moves import ask_for
from tests.clouds import Cloud, make_cloud
from tests.dying import killed_at
from tests.operations.disks.watched import run
from tests.reading import the
from tests.stock import an_instance
from tests.tools import needs

pytestmark = pytest.mark.postgresql

GRACE_S = 60.0
ROOM = Room(cpus=2, memory_mib=2048)


@pytest.fixture
def two(postgresql_opened, tmp_path):
    """A Kiln on the host ``two``, which sees that the process of the host ``one`` is silent."""
    cloud = make_cloud(tmp_path, postgresql_opened)
    cloud.refit(host="two", is_alone=False)
    for host in ("one", "two"):
        enter(cloud, host)
    be_away(cloud, "of-one", GRACE_S + 5)
    shift(cloud, "workers SET steady_since = steady_since - 3600 WHERE id = 'of-two'")
    return cloud


def shift(cloud: Cloud, statement: str) -> None:
    cloud.ports.database.write(lambda tx: tx.execute(text(f"UPDATE {statement}")))


def enter(cloud: Cloud, host: str) -> None:
    member = Member(id=f"of-{host}", host=host, role="worker", address="127.0.0.1:8787")
    cloud.ports.database.write(lambda tx: workers.enter(tx, member, ROOM, is_first=False))


def be_away(cloud: Cloud, worker: str, seconds: float) -> None:
    shift(cloud, f"workers SET seen_at = seen_at - {seconds} WHERE id = '{worker}'")


def give_up(cloud: Cloud) -> list[str]:
    """As the process of ``two`` does it, which has said a moment ago that it is there."""
    shift(cloud, "workers SET seen_at = extract(epoch FROM clock_timestamp()) WHERE id = 'of-two'")
    return look_for_lost(cloud)


def look_for_lost(cloud: Cloud) -> list[str]:
    return give_up_lost(cloud.ports.database, "of-two", GRACE_S, partial(size_in, cloud.ports.deployment))


def a_running_instance(cloud: Cloud, host: str = "one", **changes) -> str:
    told = {"status": InstanceStatus.RUNNING, "started_at": cloud.clock(), "host": host} | changes
    return an_instance(cloud, **told).id


def row_of(cloud: Cloud, instance: str):
    return the(cloud, instances, id=instance)


def why(cloud: Cloud, resource: str) -> list[tuple[str, str]]:
    reasons = cloud.call("DescribeReasons", ResourceId=resource)["Reasons"]["Reason"]
    return [(one["Action"], one["State"]) for one in reasons]


@contextmanager
def as_host(cloud: Cloud, name: str):
    """What *cloud* is, on another host."""
    before = cloud.ports.host
    cloud.refit(host=name)
    yield cloud
    cloud.refit(host=before)


@contextmanager
def lock_held(cloud: Cloud, host: str):
    """As the process of the host does it."""
    with cloud.ports.database.engine.connect() as connection:
        connection.execute(text(f"SELECT pg_advisory_lock({LOCK}, hashtext('{host}'))"))
        yield
        connection.execute(text(f"SELECT pg_advisory_unlock({LOCK}, hashtext('{host}'))"))


def test_what_ran_on_a_lost_host_is_stopped_and_says_why(two):
    lost, kept = a_running_instance(two), a_running_instance(two, "two")

    assert give_up(two) == ["one"]

    assert (row_of(two, lost).status, row_of(two, lost).host) == (InstanceStatus.STOPPED, "")
    assert (row_of(two, kept).status, row_of(two, kept).host) == (InstanceStatus.RUNNING, "two")
    assert why(two, lost) == [("HostLost", "Failed")]
    (reason,) = two.call("DescribeReasons", ResourceId=lost)["Reasons"]["Reason"]
    assert "host one has not been seen for 60 s" in reason["Message"]
    assert the(two, hosts.hosts, name="one").state == "lost"
    assert give_up(two) == []


def test_it_can_be_started_elsewhere(two):
    lost = a_running_instance(two)
    give_up(two)

    two.call("StartInstance", InstanceId=lost)
    two.settle()

    assert (row_of(two, lost).status, row_of(two, lost).host) == (InstanceStatus.RUNNING, "two")


def test_terminals_that_were_joined_at_its_process_are_over(two):
    """Nobody who looks for silent processes finds its row any more."""
    asked = {"instance": "i-1", "account": two.account, "token_hash": "t", "status": CONNECTED, "created_at": 1.0}
    rows = {door: terminals.of_values(asked | {"id": f"ts-{door}", "door": f"of-{door}"}) for door in ("one", "two")}
    two.ports.database.write(lambda tx: terminals.insert(tx, *rows.values()))

    give_up(two)

    assert [the(two, terminals, id=one.id).status for one in rows.values()] == [TERMINATED, CONNECTED]


def test_one_that_was_seen_again_just_before_is_not_given_up(two):
    lost = a_running_instance(two)
    killpoints.listen(lambda point: point == "lost_hosts.found" and be_away(two, "of-one", -GRACE_S))
    try:
        assert give_up(two) == []
    finally:
        killpoints.listen(None)
    assert row_of(two, lost).status == InstanceStatus.RUNNING


def test_what_its_process_has_leased_without_its_host_is_anybodys(two):
    mine, others = (tasks.new_task("ImportImage", f"m-{owner}", NoFacts(), 1.0) for owner in ("one", "two"))
    for task, owner in ((mine, "of-one"), (others, "of-two")):
        leased = tasks.leased(task, owner, two.clock())
        two.ports.database.write(lambda tx, leased=leased: tasks.tasks.insert(tx, leased))

    give_up(two)

    assert [the(two, tasks.tasks, id=one.id).owner for one in (mine, others)] == ["", "of-two"]
    assert the(two, tasks.tasks, id=mine.id).generation > mine.generation


def test_a_door_on_the_same_machine_stays(two):
    door = Member(id="door", host="one", role="api", address="127.0.0.1:8788")
    two.ports.database.write(lambda tx: workers.enter(tx, door, ROOM, is_first=False))

    give_up(two)

    with two.ports.database.read() as tx:
        assert sorted(one.id for one in workers.workers.all(tx)) == ["door", "of-two"]


def test_nobody_is_given_up_within_the_grace(two):
    be_away(two, "of-one", -GRACE_S)
    lost = a_running_instance(two)

    assert give_up(two) == []
    assert row_of(two, lost).status == InstanceStatus.RUNNING


def test_one_whose_lock_the_server_holds_still_is_not_given_up(two):
    with lock_held(two, "one"):
        assert give_up(two) == []
    assert give_up(two) == ["one"]


def test_who_was_away_itself_gives_nobody_up(two):
    """After an outage of the server each process finds all others silent."""
    shift(two, "workers SET steady_since = seen_at - 30 WHERE id = 'of-two'")

    assert give_up(two) == []


def test_who_is_away_itself_gives_nobody_up(two):
    be_away(two, "of-two", PAUSE_S + 1)

    assert look_for_lost(two) == []


def test_who_comes_to_itself_gives_nobody_up_for_the_grace(two):
    """What it says then is that it is there, and since when."""
    be_away(two, "of-two", PAUSE_S + 1)
    two.ports.database.write(lambda tx: tx.execute(text(SEEN), {"id": "of-two"}))
    assert give_up(two) == []

    shift(two, f"workers SET steady_since = steady_since - {GRACE_S + 1} WHERE id = 'of-two'")
    assert give_up(two) == ["one"]


def test_one_that_ended_in_order_is_not_given_up(two):
    two.ports.database.write(lambda tx: workers.leave(tx, "of-one"))
    shift(two, "hosts SET seen_at = seen_at - 3600 WHERE name = 'one'")

    assert give_up(two) == []


def test_one_of_which_only_the_host_is_known_is_given_up(two):
    """Others have given up its leases before, after a quarter of a minute."""
    two.ports.database.write(workers.give_up)
    lost = a_running_instance(two)

    assert give_up(two) == ["one"]
    assert row_of(two, lost).status == InstanceStatus.STOPPED


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("StartInstance", InstanceStatus.STOPPED, InstanceStatus.RUNNING),
        ("StopInstance", InstanceStatus.RUNNING, InstanceStatus.STOPPED),
        ("RebootInstance", InstanceStatus.RUNNING, InstanceStatus.RUNNING),
    ],
)
def test_what_was_asked_for_is_done_elsewhere(two, action, before, after):
    lost = a_running_instance(two, status=before)
    with as_host(two, "one"):
        two.call(action, InstanceId=lost)
    assert two.worker.claim(two.clock()) == []

    give_up(two)
    two.settle()

    assert row_of(two, lost).status == after
    assert two.open_tasks() == []
    assert why(two, lost) == []


class Busy(NoMachines):
    """As on a pool of files, whose disks the machine of the lost host has open still."""

    def start(self, machine, may_run=at_once):
        raise MachineRefused("Failed to get a write lock")


def begin(cloud: Cloud, action: str) -> str:
    """An instance on ``one`` for which *action* was begun there when the host was lost."""
    before = InstanceStatus.STOPPED if action == "StartInstance" else InstanceStatus.RUNNING
    lost = a_running_instance(cloud, status=before)
    with as_host(cloud, "one"):
        if action != MOVE:
            cloud.call(action, InstanceId=lost)
            return lost
        cloud.ports.database.write(lambda tx: hosts.set_draining(tx, "one", is_draining=True))
        run(cloud, lost)
        cloud.ports.database.write(lambda tx: ask_for(tx, instances.find(tx, id=lost), cloud.clock()))
        with killed_at("moving.begun"):
            cloud.settle()
    return lost


@pytest.mark.parametrize("action", ["StartInstance", "RebootInstance", MOVE])
def test_what_was_to_run_and_fails_elsewhere_says_so_and_starts_again_with_its_host(two, action):
    lost, machines = begin(two, action), two.ports.machines
    give_up(two)
    (told,) = [
        one for one in two.call("DescribeReasons", ResourceId=lost)["Reasons"]["Reason"] if one["Action"] == "HostLost"
    ]
    assert "It is being started elsewhere." in told["Message"]
    two.refit(machines=Busy(two.folder / "run"))
    two.settle()
    assert row_of(two, lost).status == InstanceStatus.STOPPED
    assert why(two, lost) == [(action, "Failed"), ("HostLost", "Failed")]
    two.refit(machines=machines)

    assert come_back(two) == [lost]
    two.settle()

    assert row_of(two, lost).status == InstanceStatus.RUNNING
    assert why(two, lost) == []


@pytest.mark.parametrize("point", ["", "live.before_send"])
def test_what_ran_and_was_to_leave_its_host_starts_again_with_it(two, point):
    """There is nothing to move any more, and that this is found settles nothing."""
    lost = a_running_instance(two)
    with as_host(two, "one"):
        two.ports.database.write(lambda tx: hosts.set_draining(tx, "one", is_draining=True))
        run(two, lost)
        two.ports.database.write(lambda tx: ask_for(tx, instances.find(tx, id=lost), two.clock(), live=True))
        if point:
            with killed_at(point):
                two.settle()

    give_up(two)
    two.settle()

    assert why(two, lost) == [("HostLost", "Failed")]
    two.ports.database.write(lambda tx: hosts.set_draining(tx, "one", is_draining=False))
    assert come_back(two) == [lost]
    two.settle()
    assert row_of(two, lost).status == InstanceStatus.RUNNING


def test_what_was_to_stop_does_not_start_again_when_its_host_is_back(two):
    lost = begin(two, "StopInstance")
    give_up(two)
    two.settle()

    assert why(two, lost) == []
    assert come_back(two) == []


def test_one_whose_stop_was_asked_for_before_it_left_stays_off(two):
    """A stop that was asked for while the move waited is the last word, though the move comes first in the lane."""
    lost = a_running_instance(two)
    with as_host(two, "one"):
        two.ports.database.write(lambda tx: ask_for(tx, instances.find(tx, id=lost), two.clock()))
        two.call("StopInstance", InstanceId=lost)

    give_up(two)
    two.settle()

    assert row_of(two, lost).status == InstanceStatus.STOPPED
    assert come_back(two) == []


def test_a_restart_waits_elsewhere_for_room(two):
    lost = begin(two, "RebootInstance")
    two.ports.database.write(lambda tx: come(tx, "two", "of-two", Room(cpus=2, memory_mib=256), 0.0))

    give_up(two)
    two.settle()
    assert (row_of(two, lost).status, row_of(two, lost).host) == (InstanceStatus.STARTING, "")

    two.ports.database.write(lambda tx: come(tx, "two", "of-two", ROOM, 0.0))
    two.settle()
    assert (row_of(two, lost).status, row_of(two, lost).host) == (InstanceStatus.RUNNING, "two")


def test_a_capture_that_was_in_progress_is_finished(two):
    needs("qemu-img")
    lost = a_running_instance(two)
    image = two.call("CreateImage", InstanceId=lost)["ImageId"]

    give_up(two)
    assert row_of(two, lost).status == InstanceStatus.STOPPED
    two.settle()

    assert the(two, images, id=image).status == ImageStatus.AVAILABLE


def test_nothing_that_a_lost_host_writes_under_its_leases_is_heeded(two):
    lost = a_running_instance(two)
    with as_host(two, "one"):
        two.call("StopInstance", InstanceId=lost)
        (task,) = two.worker.claim(two.clock())
    give_up(two)

    with pytest.raises(LeaseLost):
        two.ports.database.write(lambda tx: tasks.finish(tx, task, 1.0))


def test_what_waits_for_a_guest_is_bound_to_no_host(two):
    lost = a_running_instance(two)
    waits = tasks.new_task("GivePassword", "task-1", NoFacts(), 1.0, lane=password_lane(lost), host="one")
    two.ports.database.write(lambda tx: tasks.append(tx, waits))

    give_up(two)

    assert the(two, tasks.tasks, id=waits.id).host == ""


def test_a_start_that_stood_still_until_its_host_was_given_up_starts_nothing(two):
    """Its last look is when the disks are open: who starts it elsewhere has cut them off before, or comes later."""

    class Slow(NoMachines):
        def start(self, machine, may_run=at_once):
            give_up(two)
            super().start(machine, may_run)

    lost = a_running_instance(two, status=InstanceStatus.STOPPED, host="")
    with as_host(two, "one"):
        two.refit(machines=Slow(two.folder / "run"))
        two.call("StartInstance", InstanceId=lost)
        (task,) = two.worker.claim(two.clock())

        with pytest.raises(LeaseLost):
            two.worker.attempt(task)

    assert list(two.ports.machines.running()) == []
    assert (row_of(two, lost).status, row_of(two, lost).host) == (InstanceStatus.STARTING, "")


def come_back(cloud: Cloud, host: str = "one") -> list[str]:
    """The host is there again; what is started again with it."""

    def come(tx):
        member = Member(id=f"again-{host}", host=host, role="worker", address="127.0.0.1:8787")
        workers.enter(tx, member, ROOM, is_first=False)
        return start_lost(tx, cloud.ports)

    with as_host(cloud, host):
        return cloud.ports.database.write(come)


def test_what_a_lost_host_had_starts_again_when_it_is_back(two):
    lost, off = a_running_instance(two), a_running_instance(two, status=InstanceStatus.STOPPED, host="")
    give_up(two)
    assert "starts again by itself when one is back" in str(two.call("DescribeReasons", ResourceId=lost))

    assert come_back(two) == [lost]
    assert row_of(two, lost).status == InstanceStatus.STARTING
    two.settle()

    assert (row_of(two, lost).status, row_of(two, lost).host) == (InstanceStatus.RUNNING, "two")
    assert row_of(two, off).status == InstanceStatus.STOPPED
    assert why(two, lost) == []
    assert come_back(two) == []


def test_one_that_was_started_since_is_left_as_its_owner_has_it(two):
    started, stopped = a_running_instance(two), a_running_instance(two)
    give_up(two)
    for instance in (started, stopped):
        two.call("StartInstance", InstanceId=instance)
    two.settle()
    two.call("StopInstance", InstanceId=stopped)
    two.settle()

    assert come_back(two) == []

    assert row_of(two, started).host == "two"
    assert row_of(two, stopped).status == InstanceStatus.STOPPED


@pytest.mark.parametrize("ahead_s", [3600, -3600])
def test_one_that_was_stopped_since_stays_so_whatever_the_clock_of_who_gave_its_host_up(two, ahead_s):
    stopped = a_running_instance(two)
    give_up(two)
    shift(two, f"tasks SET seq = seq + {ahead_s} * 1000000000::bigint WHERE action = 'HostLost'")
    two.call("StartInstance", InstanceId=stopped)
    two.settle()
    assert why(two, stopped) == []
    two.call("StopInstance", InstanceId=stopped)
    two.settle()

    assert come_back(two) == []


def test_one_that_was_started_by_a_clock_that_is_ahead_starts_again_with_its_host(two):
    lost = a_running_instance(two, status=InstanceStatus.STOPPED, host="")
    with as_host(two, "one"):
        two.call("StartInstance", InstanceId=lost)
        two.settle()
    shift(two, f"tasks SET seq = seq + 3600 * 1000000000::bigint WHERE resource = '{lost}'")
    give_up(two)

    assert why(two, lost) == [("HostLost", "Failed")]
    assert come_back(two) == [lost]


def test_a_start_elsewhere_that_failed_is_made_up_for(two):
    lost = a_running_instance(two)
    give_up(two)
    machines = two.ports.machines
    two.refit(machines=Busy(two.folder / "run"))
    two.call("StartInstance", InstanceId=lost)
    two.settle()
    assert (row_of(two, lost).status, ("StartInstance", "Failed") in why(two, lost)) == (InstanceStatus.STOPPED, True)
    two.refit(machines=machines)

    assert come_back(two) == [lost]
    two.settle()

    assert row_of(two, lost).status == InstanceStatus.RUNNING


def test_only_the_host_that_had_it_brings_it_back_and_none_that_is_locked(two):
    lost, locked = a_running_instance(two), a_running_instance(two, lock_reason="security")
    give_up(two)

    assert come_back(two, "three") == []
    assert come_back(two) == [lost]

    assert row_of(two, locked).status == InstanceStatus.STOPPED


@pytest.mark.parametrize("point", ["lost_hosts.found", "lost_hosts.given_up"])
def test_a_kill_while_a_host_is_given_up_leaves_it_whole_or_given_up(two, point):
    lost = [a_running_instance(two) for _ in range(2)]
    with killed_at(point):
        give_up(two)
    statuses = {row_of(two, one).status for one in lost}
    assert statuses == {InstanceStatus.RUNNING if point.endswith("found") else InstanceStatus.STOPPED}

    give_up(two)

    assert [why(two, one) for one in lost] == [[("HostLost", "Failed")]] * 2


def test_one_that_comes_to_itself_begins_nothing_until_it_knows_that_it_was_given_up(two):
    lost = a_running_instance(two)
    run(two, lost)
    give_up(two)
    with as_host(two, "one"):
        two.call("StartInstance", InstanceId=lost)

        assert two.worker.claim(two.clock()) == []
        assert adopt(two.ports) == []

        enter(two, "one")
        assert len(two.worker.claim(two.clock())) == 1


def test_one_that_comes_back_ends_the_machines_that_are_not_its_own_any_more(two):
    """Also those of instances that are gone by now, and not those that came to it since."""
    with as_host(two, "one"):
        lost, gone = a_running_instance(two), "i-gone"
        for machine in (lost, gone):
            run(two, machine)
        give_up(two)
        mine = a_running_instance(two)
        run(two, mine)
        with killed_at("lost_hosts.ended"):
            end_given_up(two.ports)
        with killed_at("lost_hosts.before_end"):
            end_given_up(two.ports)

        end_given_up(two.ports)

        assert list(two.ports.machines.running()) == [mine]
        assert end_given_up(two.ports) == []
