"""Instances that are released by themselves."""

from __future__ import annotations

import pytest

from kiln.declare.errors import ApiError
from kiln.store.disks import disks
from kiln.store.instances import instances
from kiln.upkeep.release import release_instances
from tests.clouds import Cloud
from tests.operations.images.gallery import an_image

HOUR = 3600
START = 1_800_000_000  # 2027-01-15T08:00:00Z


def run(cloud: Cloud, **given: object) -> str:
    cloud.clock.now = START
    image = an_image(cloud).id
    given = {"AutoReleaseTime": "2027-01-15T09:00:37Z"} | given
    answer = cloud.call("RunInstances", ImageId=image, InstanceType="ecs.t5-lc2m1.nano", **given)
    cloud.settle()
    (instance,) = answer["InstanceIdSets"]["InstanceIdSet"]
    return instance


def shown(cloud: Cloud, instance: str) -> list[dict[str, object]]:
    return cloud.call("DescribeInstances", InstanceIds=f'["{instance}"]')["Instances"]["Instance"]


def test_shows_the_minute_at_which_it_goes(cloud):
    assert shown(cloud, run(cloud))[0]["AutoReleaseTime"] == "2027-01-15T09:00Z"


def test_keeps_it_until_then(cloud):
    run(cloud)
    cloud.clock.now = START + HOUR - 1

    assert release_instances(cloud.ports) == []


def test_releases_it_with_its_disks_though_it_runs(cloud):
    instance = run(cloud)
    assert cloud.ports.machines.is_running(instance)
    cloud.clock.now = START + HOUR

    assert release_instances(cloud.ports) == [instance]
    assert release_instances(cloud.ports) == []
    cloud.settle()

    assert not cloud.ports.machines.is_running(instance)
    with cloud.ports.database.read() as tx:
        assert (instances.all(tx), disks.all(tx)) == ([], [])


def test_keeps_what_is_protected_and_releases_it_once_it_is_not(cloud):
    instance = run(cloud, DeletionProtection="true")
    cloud.clock.now = START + 2 * HOUR

    assert release_instances(cloud.ports) == []
    cloud.call("ModifyInstanceAttribute", InstanceId=instance, DeletionProtection="false")
    assert release_instances(cloud.ports) == [instance]


def test_releases_one_although_another_is_kept(cloud):
    kept, other = run(cloud, DeletionProtection="true"), run(cloud)
    cloud.clock.now = START + HOUR

    assert release_instances(cloud.ports) == [other]
    assert [one["InstanceId"] for one in shown(cloud, kept)] == [kept]


def test_keeps_what_was_not_to_be_released(cloud):
    run(cloud, AutoReleaseTime="")
    cloud.clock.now = START + 1000 * HOUR

    assert release_instances(cloud.ports) == []


@pytest.mark.parametrize(
    "time", ["soon", "2027-01-15", "2027-01-15T08:29:00Z", "2027-01-15T07:00:00Z", "2030-01-16T08:00:00Z"]
)
def test_refuses_a_time_that_is_none_or_out_of_range(cloud, time):
    with pytest.raises(ApiError) as refused:
        run(cloud, AutoReleaseTime=time)

    assert refused.value.code == "InvalidAutoReleaseTime.Malformed"
