"""ModifyInstanceSpec, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.states import InstanceStatus
from kiln.store.instances import instances
from tests.clouds import OTHER
from tests.operations.instances.things import ARM, watched
from tests.reading import the
from tests.stock import an_instance

BIG = "ecs.g6.large"


def test_changes_the_type_for_the_next_start(cloud):
    machines, instance = watched(cloud), an_instance(cloud).id

    cloud.call("ModifyInstanceSpec", InstanceId=instance, InstanceType=BIG)

    shown = cloud.call("DescribeInstanceAttribute", InstanceId=instance)
    assert (shown["InstanceType"], shown["Cpu"], shown["Memory"]) == (BIG, 2, 8192)
    cloud.call("StartInstance", InstanceId=instance)
    cloud.settle()
    (machine,) = machines.started
    assert (machine.cpus, machine.memory_mib) == (2, 8192)


@pytest.mark.parametrize("status", [InstanceStatus.RUNNING, InstanceStatus.STOPPED])
def test_changes_the_bandwidth(cloud, status):
    instance = an_instance(cloud, status=status).id

    cloud.call("ModifyInstanceSpec", InstanceId=instance, InternetMaxBandwidthOut=50, InternetMaxBandwidthIn=0)

    shown = cloud.call("DescribeInstanceAttribute", InstanceId=instance)
    assert (shown["InternetMaxBandwidthOut"], shown["InternetMaxBandwidthIn"]) == (50, 0)


def test_changes_nothing_to_the_type_that_it_has(cloud):
    before = an_instance(cloud, instance_type=BIG)

    cloud.call("ModifyInstanceSpec", InstanceId=before.id, InstanceType=BIG)

    assert the(cloud, instances, id=before.id) == before


def test_takes_what_has_no_meaning_here(cloud):
    instance = an_instance(cloud).id
    odd = {"Temporary.InternetMaxBandwidthOut": 10, "SystemDisk.Category": "cloud_ssd", "Disk.1.Category": "cloud_ssd"}

    cloud.call("ModifyInstanceSpec", odd, InstanceId=instance, InstanceType=BIG, Async=True)

    assert the(cloud, instances, id=instance).instance_type == BIG


def test_is_done_once_for_the_same_client_token(cloud):
    instance = an_instance(cloud).id
    given = {"InstanceId": instance, "ClientToken": "t-1"}
    cloud.call("ModifyInstanceSpec", given, InstanceType=BIG)
    cloud.call("ModifyInstanceSpec", InstanceId=instance, InstanceType="ecs.c6.large")

    cloud.call("ModifyInstanceSpec", given, InstanceType=BIG)

    assert the(cloud, instances, id=instance).instance_type == "ecs.c6.large"
    cloud.refuses("ModifyInstanceSpec", "IdempotenceParamNotMatch", 400, given, InstanceType="ecs.g7.large")
    cloud.refuses(
        "ModifyInstanceSpec", "InvalidClientToken.ValueNotSupported", 400, InstanceId=instance, ClientToken="é"
    )


class TestRefuses:
    @pytest.mark.parametrize(
        ("code", "status", "params"),
        [
            ("MissingParameter", 400, {}),
            ("InvalidParameter.Mismatch", 400, {"InstanceType": BIG, "InternetMaxBandwidthOut": 5}),
            ("InvalidInstanceType.ValueNotSupported", 400, {"InstanceType": "ecs.no.such"}),
            ("InvalidParameter", 400, {"InternetMaxBandwidthOut": 101}),
            ("ImageNotSupportInstanceType", 403, {"InstanceType": ARM}),
        ],
    )
    def test_what_cannot_be(self, cloud, code, status, params):
        instance = an_instance(cloud).id

        cloud.refuses("ModifyInstanceSpec", code, status, params, InstanceId=instance)

    @pytest.mark.parametrize("state", sorted(set(InstanceStatus) - {InstanceStatus.STOPPED}))
    def test_another_type_of_one_that_is_not_stopped(self, cloud, state):
        instance = an_instance(cloud, status=state).id

        cloud.refuses(
            "ModifyInstanceSpec", "InvalidInstanceStatus.NotStopped", 400, InstanceId=instance, InstanceType=BIG
        )

    @pytest.mark.parametrize("state", [InstanceStatus.PENDING, InstanceStatus.STARTING, InstanceStatus.STOPPING])
    def test_another_bandwidth_of_one_on_its_way(self, cloud, state):
        instance = an_instance(cloud, status=state).id

        cloud.refuses(
            "ModifyInstanceSpec",
            "InvalidStatus.ValueNotSupported",
            403,
            InstanceId=instance,
            InternetMaxBandwidthOut=5,
        )

    def test_a_locked_one_and_ones_that_are_not_the_callers(self, cloud):
        locked = an_instance(cloud, lock_reason="security").id
        own = an_instance(cloud).id

        cloud.refuses("ModifyInstanceSpec", "InstanceLockedForSecurity", 403, InstanceId=locked, InstanceType=BIG)
        for instance, account in (("i-unknown", None), (own, OTHER)):
            cloud.refuses(
                "ModifyInstanceSpec",
                "InvalidInstanceId.NotFound",
                404,
                account=account,
                InstanceId=instance,
                InstanceType=BIG,
            )
