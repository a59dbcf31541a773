"""The moment of a running instance: polite where somebody waits, firm where somebody always does."""

from __future__ import annotations

import pytest

from kiln.declare.states import InstanceStatus
from kiln.store.instances import instances
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.upkeep.moment import WANTED_S, ask_for, say_wanted, told_by
from tests.stock import a_disk, an_instance
from tests.tools import needs


@pytest.fixture
def instance(cloud):
    needs("qemu-img")
    row = an_instance(cloud, data_disks=1)
    cloud.ports.database.write(lambda tx: instances.update(tx, {"status": InstanceStatus.RUNNING}, id=row.id))
    return row


def ask(cloud, instance, **how):
    return cloud.ports.database.write(lambda tx: ask_for(tx, instance, cloud.clock(), **how))


def kept(cloud, task):
    with cloud.ports.database.read() as tx:
        return told_by(tasks.find(tx, id=task)).disks


def planned(cloud):
    with cloud.ports.database.read() as tx:
        return volumes.count(tx, state="planned")


def test_captures_nothing_where_somebody_waits_behind_it(cloud, instance):
    task = ask(cloud, instance)
    image = cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]
    cloud.settle()
    assert kept(cloud, task) == ()
    (found,) = cloud.call("DescribeImages", ImageId=image)["Images"]["Image"]
    assert found["Status"] == "Available"


@pytest.mark.parametrize("under_way", [0, 1])
def test_a_firm_one_has_its_turn_whoever_comes_behind_it(cloud, instance, under_way):
    for _ in range(under_way):
        cloud.call("CreateImage", InstanceId=instance.id)
    task = ask(cloud, instance, firmly=True)
    cloud.refuses("CreateImage", "IncorrectDiskStatus.CreatingSnapshot", 403, InstanceId=instance.id)
    cloud.call("StopInstance", InstanceId=instance.id)
    cloud.settle()
    assert len(kept(cloud, task)) == 2
    assert planned(cloud) == 0
    cloud.call("CreateImage", InstanceId=instance.id)


def test_two_firm_ones_stand_on_each_other(cloud, instance):
    both = [ask(cloud, instance, firmly=True) for _ in range(2)]
    cloud.settle()
    assert [len(kept(cloud, task)) for task in both] == [2, 2]


def test_a_firm_one_that_was_not_asked_for_all_disks_captures_none_of_them_alone(cloud, instance):
    task = ask(cloud, instance, firmly=True)
    a_disk(cloud, instance=instance.id, status="In_use", device="/dev/xvdc")
    cloud.call("StopInstance", InstanceId=instance.id)
    cloud.settle()
    assert kept(cloud, task) == ()
    assert planned(cloud) == 0


def test_ends_without_when_nobody_has_said_for_long_that_it_is_wanted(cloud, instance):
    tasks_asked = [ask(cloud, instance, firmly=True), ask(cloud, instance)]
    cloud.clock.now += WANTED_S + 1
    cloud.settle()
    assert [kept(cloud, task) for task in tasks_asked] == [(), ()]
    assert planned(cloud) == 0


def test_is_kept_as_long_as_somebody_says_that_it_is_wanted(cloud, instance):
    task = ask(cloud, instance)
    cloud.clock.now += WANTED_S - 1
    cloud.ports.database.write(lambda tx: say_wanted(tx, task, cloud.clock() + WANTED_S))
    cloud.clock.now += WANTED_S - 1
    cloud.settle()
    assert len(kept(cloud, task)) == 2
    cloud.ports.database.write(lambda tx: say_wanted(tx, task, 1.0))
    assert len(kept(cloud, task)) == 2


def test_what_was_said_before_the_clock_was_set_back_counts_for_nothing(cloud, instance):
    task = ask(cloud, instance)
    cloud.clock.now -= 3600
    cloud.settle()
    assert kept(cloud, task) == ()
