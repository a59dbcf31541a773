"""CreateSnapshot, as a caller meets it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiln.declare.deployment import Deployment, Quotas
from kiln.declare.states import DiskStatus, InstanceStatus, SnapshotStatus
from kiln.pools.errors import PoolFull
from kiln.store import tags
from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from tests.clouds import OTHER, REGION
from tests.reading import every, find, the
from tests.stock import a_disk, an_instance


@pytest.fixture
def disk(cloud):
    return a_disk(cloud)


class TestTheSnapshot:
    def test_is_progressing_at_once_and_accomplished_when_captured(self, cloud, disk):
        snapshot_id = cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]

        assert the(cloud, snapshots, id=snapshot_id).status == SnapshotStatus.PROGRESSING
        cloud.settle()
        snapshot = the(cloud, snapshots, id=snapshot_id)
        assert (snapshot.status, snapshot.progress) == (SnapshotStatus.ACCOMPLISHED, 100)

    def test_is_the_disks_old_head_and_the_disk_goes_on_above_it(self, cloud, disk):
        snapshot_id = cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]
        cloud.settle()

        head = the(cloud, volumes, id=the(cloud, disks, id=disk.id).volume)
        assert the(cloud, snapshots, id=snapshot_id).volume == disk.volume == head.parent
        assert cloud.ports.pool.parent(head.id) == disk.volume
        assert the(cloud, volumes, id=disk.volume).kind == "layer"

    def test_remembers_what_it_was_taken_of(self, cloud):
        instance = an_instance(cloud)
        disk = the(cloud, disks, instance=instance.id)

        snapshot_id = cloud.call(
            "CreateSnapshot",
            {"Tag.1.Key": "team", "Tag.1.Value": "web"},
            DiskId=disk.id,
            SnapshotName="before-upgrade",
            Description="the last good one",
            RetentionDays=30,
            ResourceGroupId="rg-tests",
        )["SnapshotId"]

        snapshot = the(cloud, snapshots, id=snapshot_id)
        assert (snapshot.name, snapshot.description) == ("before-upgrade", "the last good one")
        assert (snapshot.retention_days, snapshot.resource_group) == (30, "rg-tests")
        assert (snapshot.source_disk, snapshot.source_disk_type, snapshot.source_disk_size_gib) == (
            disk.id, "system", 20,
        )  # fmt: skip
        assert (snapshot.instance, snapshot.system.platform, snapshot.region) == (instance.id, "Debian", REGION)
        assert the(cloud, tags.tags, resource=snapshot_id).value == "web"

    def test_is_made_while_the_disk_stays_as_it_is(self, cloud):
        instance = an_instance(cloud, status=InstanceStatus.RUNNING)
        disk = the(cloud, disks, instance=instance.id)

        cloud.call("CreateSnapshot", DiskId=disk.id)

        assert the(cloud, disks, id=disk.id) == disk

    def test_waits_in_the_lane_of_its_instance(self, cloud, disk):
        instance = an_instance(cloud)

        cloud.call("CreateSnapshot", DiskId=the(cloud, disks, instance=instance.id).id)
        cloud.call("CreateSnapshot", DiskId=disk.id)

        assert [task.lane for task in cloud.open_tasks()] == [instance.id, disk.id]

    def test_can_be_taken_again_when_the_one_before_is_done(self, cloud, disk):
        first = cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]
        cloud.settle()
        second = cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]
        cloud.settle()

        upper, lower = (the(cloud, snapshots, id=one).volume for one in (second, first))
        assert cloud.ports.pool.parent(upper) == lower


class TestRefusals:
    def test_refuses_an_unknown_disk(self, cloud):
        cloud.refuses("CreateSnapshot", "InvalidDiskId.NotFound", 404, DiskId="d-unknown")

    def test_refuses_the_disk_of_another_account(self, cloud, disk):
        cloud.refuses("CreateSnapshot", "InvalidDiskId.NotFound", 404, DiskId=disk.id, account=OTHER)

    def test_refuses_no_disk(self, cloud):
        cloud.refuses("CreateSnapshot", "MissingParameter", 400)

    @pytest.mark.parametrize("name", ["x", "1st", "automatic", "http://x", "a/b"])
    def test_refuses_a_malformed_name(self, cloud, disk, name):
        cloud.refuses("CreateSnapshot", "InvalidSnapshotName.Malformed", 400, DiskId=disk.id, SnapshotName=name)

    def test_refuses_a_malformed_description(self, cloud, disk):
        cloud.refuses("CreateSnapshot", "InvalidDescription.Malformed", 404, DiskId=disk.id, Description="x")

    @pytest.mark.parametrize("days", ["0", "65537", "soon"])
    def test_refuses_malformed_retention_days(self, cloud, disk, days):
        cloud.refuses("CreateSnapshot", "InvalidRetentionDays.Malformed", 400, DiskId=disk.id, RetentionDays=days)

    def test_refuses_an_unknown_resource_group(self, cloud, disk):
        cloud.refuses(
            "CreateSnapshot", "InvalidResourceGroup.NotFound", 404, DiskId=disk.id, ResourceGroupId="rg-unknown"
        )

    def test_refuses_a_disk_that_was_never_attached(self, cloud):
        disk = a_disk(cloud, ever_attached=False)

        cloud.refuses("CreateSnapshot", "IncorrectDiskStatus.NeverAttached", 403, DiskId=disk.id)

    @pytest.mark.parametrize("status", ["Creating", "Attaching", "Detaching", "ReIniting"])
    def test_refuses_a_disk_that_is_on_its_way(self, cloud, status):
        disk = a_disk(cloud, status=status)

        cloud.refuses("CreateSnapshot", "IncorrectDiskStatus", 403, DiskId=disk.id)

    def test_refuses_while_another_is_progressing(self, cloud, disk):
        cloud.call("CreateSnapshot", DiskId=disk.id)

        cloud.refuses("CreateSnapshot", "IncorrectDiskStatus.CreatingSnapshot", 403, DiskId=disk.id)

    def test_refuses_while_one_that_was_deleted_is_still_being_captured(self, cloud, disk):
        snapshot_id = cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]
        cloud.call("DeleteSnapshot", SnapshotId=snapshot_id)

        cloud.refuses("CreateSnapshot", "IncorrectDiskStatus.CreatingSnapshot", 403, DiskId=disk.id)

    @pytest.mark.parametrize("status", ["Pending", "Starting", "Stopping"])
    def test_refuses_while_the_instance_starts_or_stops(self, cloud, status):
        instance = an_instance(cloud, status=status)
        disk = the(cloud, disks, instance=instance.id)

        cloud.refuses("CreateSnapshot", "IncorrectInstanceStatus", 403, DiskId=disk.id)

    def test_refuses_when_the_instance_is_locked_for_security(self, cloud):
        instance = an_instance(cloud, lock_reason="security")
        disk = the(cloud, disks, instance=instance.id)

        cloud.refuses("CreateSnapshot", "InstanceLockedForSecurity", 403, DiskId=disk.id)

    def test_refuses_more_than_the_quota(self, cloud, disk):
        cloud.refit(deployment=Deployment(quotas=Quotas(snapshots=0)))

        cloud.refuses("CreateSnapshot", "QuotaExceed.Snapshot", 403, DiskId=disk.id)

    def test_refuses_a_tag_without_a_key(self, cloud, disk):
        cloud.refuses("CreateSnapshot", "InvalidTagKey.Malformed", 400, {"Tag.1.Value": "x"}, DiskId=disk.id)

    def test_refuses_a_malformed_tag_value(self, cloud, disk):
        pairs = {"Tag.1.Key": "x", "Tag.1.Value": "http://x"}

        cloud.refuses("CreateSnapshot", "InvalidTagValue.Malformed", 400, pairs, DiskId=disk.id)

    def test_refuses_one_tag_key_twice(self, cloud, disk):
        pairs = {"Tag.1.Key": "x", "Tag.2.Key": "x"}

        cloud.refuses("CreateSnapshot", "Duplicate.TagKey", 400, pairs, DiskId=disk.id)

    def test_refuses_more_than_20_tags(self, cloud, disk):
        pairs = {f"Tag.{n}.Key": f"k{n}" for n in range(1, 22)}

        cloud.refuses("CreateSnapshot", "QuotaExceed.Tags", 403, pairs, DiskId=disk.id)


class TestClientToken:
    def test_answers_a_repetition_with_the_same_snapshot(self, cloud, disk):
        first = cloud.call("CreateSnapshot", DiskId=disk.id, ClientToken="one")
        again = cloud.call("CreateSnapshot", DiskId=disk.id, ClientToken="one")

        assert again == first
        assert len(every(cloud, snapshots)) == 1

    def test_refuses_the_token_with_other_parameters(self, cloud, disk):
        cloud.call("CreateSnapshot", DiskId=disk.id, ClientToken="one")

        cloud.refuses(
            "CreateSnapshot", "IdempotentParameterMismatch", 403, DiskId=disk.id, ClientToken="one", Description="new"
        )

    def test_refuses_a_malformed_token(self, cloud, disk):
        cloud.refuses("CreateSnapshot", "InvalidClientToken.Malformed", 403, DiskId=disk.id, ClientToken="é")


class TestFailure:
    def test_is_failed_when_the_pool_is_full_and_the_disk_is_as_before(self, cloud, disk):
        pool = FullPool(cloud.ports.pool)
        cloud.worker = Worker(replace(cloud.ports, pool=pool), DUTIES, unfinished)

        snapshot_id = cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]
        cloud.settle()

        assert the(cloud, snapshots, id=snapshot_id).status == SnapshotStatus.FAILED
        assert the(cloud, disks, id=disk.id) == disk
        assert the(cloud, tasks).error_code == "ServiceUnavailable"
        assert find(cloud, volumes, state="planned") is None

    def test_settles_after_the_disk_was_deleted_meanwhile(self, cloud):
        """What DeleteInstance does to the disks of an instance that it is forced to delete."""
        disk = a_disk(cloud, status=DiskStatus.AVAILABLE)
        snapshot_id = cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]

        def delete(tx):
            disks.delete(tx, id=disk.id)
            volumes.update(tx, {"state": "doomed"}, id=disk.volume)

        cloud.ports.database.write(delete)
        cloud.settle()

        assert the(cloud, snapshots, id=snapshot_id).volume == disk.volume
        assert the(cloud, volumes, id=disk.volume).state == "ready"


class FullPool:
    """A pool that has no room for a freeze."""

    def __init__(self, pool):
        self._pool = pool

    def __getattr__(self, name):
        return getattr(self._pool, name)

    def freeze(self, disks, guest):
        raise PoolFull("no room")
