"""CreateSnapshotGroup, as a caller meets it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiln.declare.deployment import Deployment, Quotas
from kiln.declare.states import InstanceStatus, SnapshotStatus
from kiln.operations.snapshots.create_snapshot_group import _MOST
from kiln.pools.errors import PoolFull
from kiln.store import tags
from kiln.store.disks import disks
from kiln.store.snapshot_groups import members, snapshot_groups
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from tests.clouds import OTHER
from tests.kill.checks import image_holds, snapshot_holds
from tests.kill.scenarios import DATA, LATER, MORE, SYSTEM, an_instance_with, fill
from tests.reading import every, find, the
from tests.stock import a_disk, an_instance
from tests.tools import needs


@pytest.fixture
def instance(cloud):
    return an_instance(cloud, data_disks=2)


def disks_of(cloud, instance):
    return [disk.id for disk in sorted(every(cloud, disks, instance=instance.id), key=lambda disk: disk.device)]


def grouped(cloud, params=None, /, **more):
    """The snapshots of a new group: the system disk's first, and then by device."""
    group = cloud.call("CreateSnapshotGroup", params, **more)["SnapshotGroupId"]
    cloud.settle()
    with cloud.ports.database.read() as tx:
        return members(tx, [group])[group]


class TestTheGroup:
    def test_has_a_snapshot_of_each_disk_at_one_instant(self, cloud, instance):
        taken = grouped(cloud, InstanceId=instance.id)

        assert [one.source_disk for one in taken] == disks_of(cloud, instance)
        assert {(one.status, one.created_at, one.instance) for one in taken} == {
            (SnapshotStatus.ACCOMPLISHED, taken[0].created_at, instance.id)
        }
        assert len(every(cloud, tasks)) == 1

    def test_holds_what_the_disks_held_and_the_disks_go_on(self, cloud):
        needs("qemu-img", "qemu-io")
        facts = an_instance_with(cloud, SYSTEM, DATA)

        taken = grouped(cloud, InstanceId=facts["instance"])

        for disk in facts["disks"]:
            fill(cloud, the(cloud, disks, id=disk).volume, LATER)
        for one, blocks in zip(taken, facts["bytes"], strict=True):
            snapshot_holds(cloud, one.id, blocks)

    def test_can_become_an_image(self, cloud):
        needs("qemu-img", "qemu-io")
        facts = an_instance_with(cloud, SYSTEM, DATA, MORE)
        taken = grouped(cloud, InstanceId=facts["instance"])

        mappings = {f"DiskDeviceMapping.{n}.SnapshotId": one.id for n, one in enumerate(taken, 1)}
        image = cloud.call("CreateImage", mappings)["ImageId"]

        image_holds(cloud, image, [SYSTEM, DATA, MORE])

    def test_remembers_what_was_said(self, cloud, instance):
        said = {"Name": "nightly", "Description": "as it was", "ResourceGroupId": "rg-tests"}

        taken = grouped(cloud, {"Tag.1.Key": "team", "Tag.1.Value": "web"}, InstanceId=instance.id, **said)

        group = the(cloud, snapshot_groups)
        assert (group.name, group.description, group.resource_group) == ("nightly", "as it was", "rg-tests")
        assert {(one.name, one.description, one.resource_group) for one in taken} == {tuple(said.values())}
        assert [(tag.resource, tag.value) for tag in every(cloud, tags.tags)] == [(group.id, "web")]

    def test_has_only_the_disks_that_are_named(self, cloud, instance):
        system, first, second = disks_of(cloud, instance)

        taken = grouped(cloud, {"DiskId.1": second, "DiskId.2": system}, InstanceId=instance.id)

        assert [one.source_disk for one in taken] == [system, second]
        assert the(cloud, disks, id=first).volume is not None

    def test_has_all_but_the_disks_that_are_left_out(self, cloud, instance):
        system, first, second = disks_of(cloud, instance)

        taken = grouped(cloud, {"ExcludeDiskId.1": first}, InstanceId=instance.id)

        assert [one.source_disk for one in taken] == [system, second]

    def test_is_of_the_instance_that_the_disks_tell(self, cloud, instance):
        taken = grouped(cloud, {"DiskId.1": disks_of(cloud, instance)[1]})

        assert the(cloud, snapshot_groups).instance == instance.id
        assert len(taken) == 1

    def test_is_failed_when_the_pool_is_full_and_the_disks_are_as_before(self, cloud, instance):
        before = every(cloud, disks)
        cloud.worker = Worker(replace(cloud.ports, pool=FullPool(cloud.ports.pool)), DUTIES, unfinished)

        taken = grouped(cloud, InstanceId=instance.id)

        assert {one.status for one in taken} == {SnapshotStatus.FAILED}
        assert every(cloud, disks) == before
        assert find(cloud, volumes, state="planned") is None


class TestClientToken:
    def test_answers_a_repetition_with_the_same_group(self, cloud, instance):
        first = cloud.call("CreateSnapshotGroup", InstanceId=instance.id, ClientToken="one")

        assert cloud.call("CreateSnapshotGroup", InstanceId=instance.id, ClientToken="one") == first
        assert len(every(cloud, snapshot_groups)) == 1

    def test_refuses_the_token_with_other_parameters(self, cloud, instance):
        cloud.call("CreateSnapshotGroup", InstanceId=instance.id, ClientToken="one")
        other = {"InstanceId": instance.id, "Name": "other", "ClientToken": "one"}

        cloud.refuses("CreateSnapshotGroup", "IdempotentParameterMismatch", 403, other)


class TestRefusals:
    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({}, "MissingParamter.InstanceId", 400),
            ({"ExcludeDiskId.1": "d-1", "DiskId.1": "d-2"}, "InvalidParam.ExcludeDiskIdsAndDiskIds.Conflict", 400),
            ({"InstanceId": "i-unknown"}, "InvalidInstanceId.NotFound", 404),
            ({"DiskId.1": "d-unknown"}, "InvalidDiskId.NotFound", 404),
            ({"Name": "1"}, "InvalidParameter.Name", 400),
            ({"Description": "x"}, "InvalidParameter.Description", 400),
            ({"Tag.1.Value": "x"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Key": "x", "Tag.2.Key": "x"}, "Duplicate.TagKey", 400),
            ({f"DiskId.{_MOST + 1}": "d-1"}, "NumberExceed.TooManyDisks", 403),
        ],
    )
    def test_refuses_what_is_not_right(self, cloud, params, code, status):
        cloud.refuses("CreateSnapshotGroup", code, status, params)

    def test_refuses_an_unknown_resource_group(self, cloud, instance):
        given = {"InstanceId": instance.id, "ResourceGroupId": "rg-unknown"}

        cloud.refuses("CreateSnapshotGroup", "InvalidResourceGroup.NotFound", 404, given)

    def test_refuses_the_instance_of_another_account(self, cloud, instance):
        given = {"InstanceId": instance.id}

        cloud.refuses("CreateSnapshotGroup", "InvalidInstanceId.NotFound", 404, given, account=OTHER)

    def test_refuses_a_disk_of_another_instance(self, cloud, instance):
        other = the(cloud, disks, instance=an_instance(cloud).id)
        given = {"InstanceId": instance.id, "DiskId.1": other.id}

        cloud.refuses("CreateSnapshotGroup", "DiskId.ValueNotSupported", 403, given)

    def test_refuses_disks_of_two_instances(self, cloud, instance):
        other = the(cloud, disks, instance=an_instance(cloud).id)
        given = {"DiskId.1": disks_of(cloud, instance)[0], "DiskId.2": other.id}

        cloud.refuses("CreateSnapshotGroup", "DiskId.ValueNotSupported", 403, given)

    def test_refuses_a_disk_that_is_attached_to_nothing(self, cloud):
        cloud.refuses("CreateSnapshotGroup", "DiskId.ValueNotSupported", 403, {"DiskId.1": a_disk(cloud).id})

    def test_refuses_to_leave_all_disks_out(self, cloud, instance):
        given = {f"ExcludeDiskId.{n}": disk for n, disk in enumerate(disks_of(cloud, instance), 1)}

        cloud.refuses("CreateSnapshotGroup", "InvalidInstance.NoDisk", 403, given, InstanceId=instance.id)

    @pytest.mark.parametrize("status", ["Pending", "Starting", "Stopping"])
    def test_refuses_while_the_instance_starts_or_stops(self, cloud, status):
        instance = an_instance(cloud, status=InstanceStatus(status))

        cloud.refuses("CreateSnapshotGroup", "IncorrectInstanceStatus", 403, InstanceId=instance.id)

    def test_refuses_when_the_instance_is_locked_for_security(self, cloud):
        instance = an_instance(cloud, lock_reason="security")

        cloud.refuses("CreateSnapshotGroup", "InstanceLockedForSecurity", 403, InstanceId=instance.id)

    def test_refuses_while_one_of_the_disks_is_on_its_way(self, cloud, instance):
        disk = disks_of(cloud, instance)[2]
        cloud.ports.database.write(lambda tx: disks.update(tx, {"status": "Detaching"}, id=disk))

        cloud.refuses("CreateSnapshotGroup", "IncorrectDiskStatus", 403, InstanceId=instance.id)

    def test_refuses_while_a_snapshot_of_one_of_the_disks_is_taken(self, cloud, instance):
        cloud.call("CreateSnapshot", DiskId=disks_of(cloud, instance)[1])

        cloud.refuses("CreateSnapshotGroup", "IncorrectDiskStatus.CreatingSnapshot", 403, InstanceId=instance.id)

    def test_refuses_more_than_the_quota(self, cloud, instance):
        cloud.refit(deployment=Deployment(quotas=Quotas(snapshots=2)))

        cloud.refuses("CreateSnapshotGroup", "QuotaExceed.Snapshot", 403, InstanceId=instance.id)


class FullPool:
    """A pool that has no room for a freeze."""

    def __init__(self, pool):
        self._pool = pool

    def __getattr__(self, name):
        return getattr(self._pool, name)

    def freeze(self, disks, guest):
        raise PoolFull("no room")
