"""What guests keep in their firmware goes with the instance, wherever it starts, and is lost with no host."""

from __future__ import annotations

import pytest

from kiln.declare.states import InstanceStatus
from kiln.machines.none import NoMachines
from kiln.machines.variables import pack
from kiln.store.errors import DatabaseDown
from kiln.store.firmware import FirmwareVariables, firmware_variables
from kiln.store.instances import instances, place
from kiln.upkeep.fsck import fsck
from kiln.upkeep.variables import VariablesKeeper
from kiln.upkeep.watch import watch
from tests.dying import settle_killing
from tests.reading import every, the
from tests.stock import an_instance
from tests.upkeep.flash import DAMAGED, FRESH, OTHER, Flash


@pytest.fixture
def hosts(cloud):
    """The machines of two hosts; the first is where *cloud* is."""
    made = {name: Flash(cloud.folder / f"run-{name}") for name in ("one", "two")}

    def be(name):
        cloud.refit(host=name, machines=made[name])
        return made[name]

    be("one")
    return be


@pytest.fixture
def instance(cloud, hosts):
    """One that runs on ``one``."""
    made = an_instance(cloud, status=InstanceStatus.STOPPED).id
    start(cloud, made)
    return made


def start(cloud, instance):
    cloud.call("StartInstance", InstanceId=instance)
    cloud.settle()
    assert the(cloud, instances, id=instance).status == InstanceStatus.RUNNING


def stop(cloud, instance):
    cloud.call("StopInstance", InstanceId=instance)
    cloud.settle()


def kept(cloud, instance):
    row = the(cloud, firmware_variables, instance=instance)
    return row.host, row.contents


def test_what_a_guest_wrote_is_found_where_the_instance_starts_next(cloud, hosts, instance):
    hosts("one").write(instance, OTHER)
    stop(cloud, instance)
    two = hosts("two")

    start(cloud, instance)

    assert two.variables(instance) == OTHER
    assert kept(cloud, instance) == ("two", OTHER)


def test_where_it_ran_last_it_finds_what_is_there(cloud, hosts, instance):
    """It may be newer than what is kept: Kiln was killed when the machine had ended."""
    one = hosts("one")
    stop(cloud, instance)
    one.write(instance, OTHER)

    start(cloud, instance)

    assert one.variables(instance) == OTHER


def test_what_is_damaged_where_it_ran_last_gives_way_to_what_was_kept(cloud, hosts, instance):
    one = hosts("one")
    one.write(instance, OTHER)
    stop(cloud, instance)
    one.write(instance, DAMAGED)

    start(cloud, instance)

    assert one.variables(instance) == OTHER
    assert kept(cloud, instance) == ("one", OTHER)


def test_where_it_ran_before_others_it_finds_theirs(cloud, hosts, instance):
    stop(cloud, instance)
    two = hosts("two")
    start(cloud, instance)
    two.write(instance, OTHER)
    stop(cloud, instance)

    one = hosts("one")
    assert one.variables(instance) == FRESH
    start(cloud, instance)

    assert one.variables(instance) == OTHER


def test_what_a_running_guest_wrote_survives_its_host(cloud, hosts, instance):
    keeper, one = VariablesKeeper(), hosts("one")
    assert keeper(cloud.ports) == [instance]
    one.write(instance, OTHER)
    assert keeper(cloud.ports) == [instance]
    assert [keeper(cloud.ports) for _ in range(3)] == [[]] * 3
    give_up(cloud, instance)

    two = hosts("two")
    start(cloud, instance)

    assert two.variables(instance) == OTHER


def test_what_could_not_be_written_is_kept_once_it_can(cloud, hosts, instance):
    keeper, one, database = VariablesKeeper(), hosts("one"), cloud.ports.database
    one.write(instance, OTHER)

    def refuse(_tx):
        raise DatabaseDown("the server is away")

    database.fence, before = refuse, database.fence
    for _ in range(3):
        with pytest.raises(DatabaseDown):
            keeper(cloud.ports)
    database.fence = before

    assert keeper(cloud.ports) == [instance]
    assert kept(cloud, instance) == ("one", OTHER)


def give_up(cloud, instance):
    def lose(tx):
        place(tx, instance, "")
        instances.move(tx, InstanceStatus.RUNNING, InstanceStatus.STOPPED, {}, id=instance)

    cloud.ports.database.write(lose)


def test_a_host_that_was_given_up_says_no_more_what_is_kept(cloud, hosts, instance):
    one = hosts("one")
    VariablesKeeper()(cloud.ports)
    give_up(cloud, instance)
    hosts("two")
    start(cloud, instance)

    hosts("one")
    one.write(instance, OTHER)

    assert VariablesKeeper()(cloud.ports) == []
    assert kept(cloud, instance) == ("two", FRESH)


def test_a_machine_that_runs_says_what_is_kept_however_its_host_came_to_have_it(cloud, hosts, instance):
    """As where a Kiln that is alone is called otherwise, or a guest came while it ran."""
    VariablesKeeper()(cloud.ports)
    cloud.ports.database.write(lambda tx: place(tx, instance, "two"))
    hosts("two").write(instance, OTHER)

    assert VariablesKeeper()(cloud.ports) == [instance]

    assert kept(cloud, instance) == ("two", OTHER)


def test_what_a_guest_left_that_powered_off_by_itself_is_kept(cloud, hosts, instance):
    one = hosts("one")
    one.write(instance, OTHER)
    NoMachines.stop(one, instance, force=True)

    assert watch(cloud.ports) == [instance]

    assert kept(cloud, instance) == ("one", OTHER)


def test_a_start_that_was_killed_anywhere_brings_them_whole(cloud, hosts, instance):
    stop(cloud, instance)
    for n in range(100):
        host = ("two", "one")[n % 2]
        hosts(host)
        text = pack(str(n).encode())
        cloud.ports.database.write(
            lambda tx, text=text: firmware_variables.update(tx, {"contents": text}, instance=instance)
        )
        cloud.call("StartInstance", InstanceId=instance)
        was_killed = settle_killing(cloud, after=n)
        cloud.clock.now += 120
        cloud.settle()
        assert cloud.ports.machines.variables(instance) == text
        assert kept(cloud, instance) == (host, text)
        stop(cloud, instance)
        if not was_killed:
            break
    assert n > 3


def test_what_an_older_kiln_left_is_kept_of_those_that_ran_here_last(cloud, hosts):
    one = hosts("one")
    here, elsewhere = (an_instance(cloud, status=InstanceStatus.STOPPED, last_host=host).id for host in ("one", "two"))
    for name in (here, elsewhere, "i-gone"):
        one.write(name, OTHER)

    assert VariablesKeeper()(cloud.ports) == [here]

    assert [row.instance for row in every(cloud, firmware_variables)] == [here]


def test_what_is_too_much_is_not_kept(cloud, hosts, instance):
    hosts("one").write(instance, "")

    assert VariablesKeeper()(cloud.ports) == []
    assert every(cloud, firmware_variables) == []


def test_they_go_with_the_instance(cloud, hosts, instance):
    stop(cloud, instance)
    assert len(every(cloud, firmware_variables)) == 1

    cloud.call("DeleteInstance", InstanceId=instance)
    cloud.settle()

    assert every(cloud, firmware_variables) == []


def test_fsck_takes_away_what_is_nobodys_and_what_no_firmware_has(cloud, hosts, instance):
    stop(cloud, instance)
    rows = [FirmwareVariables(instance=name, host="one", contents="odd", kept_at=1.0) for name in ("i-gone", "i-odd")]
    odd = an_instance(cloud, status=InstanceStatus.STOPPED, id="i-odd").id
    cloud.ports.database.write(lambda tx: firmware_variables.insert(tx, *rows))

    def found(*, repair):
        findings = fsck(cloud.ports, repair=repair, say=lambda _: None)
        return {one.subject: one.sort for one in findings if "UEFI" in one.text}

    assert found(repair=False) == {"i-gone": "repairable", odd: "repairable"}
    assert found(repair=True) == {"i-gone": "repaired", odd: "repaired"}
    assert found(repair=False) == {}
    assert [row.instance for row in every(cloud, firmware_variables)] == [instance]
