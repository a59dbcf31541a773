"""ModifySnapshotAttribute, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.ground.clock import to_seconds_text
from kiln.store.snapshots import snapshots
from tests.clouds import OTHER
from tests.reading import the
from tests.stock import a_snapshot


def changed(cloud, snapshot, **more):
    before = the(cloud, snapshots, id=snapshot.id)
    assert cloud.call("ModifySnapshotAttribute", SnapshotId=snapshot.id, **more) == {}
    after = the(cloud, snapshots, id=snapshot.id)
    changes = {name: value for name, value in vars(after).items() if vars(before)[name] != value}
    assert ("modified_at" in changes) == (len(changes) > 0)
    changes.pop("modified_at", None)
    return changes


class TestChanges:
    def test_what_is_sent_and_nothing_else(self, cloud):
        snapshot = a_snapshot(cloud, name="old", description="old one", retention_days=5)

        assert changed(cloud, snapshot, SnapshotName="new") == {"name": "new"}
        assert changed(cloud, snapshot, Description="new one") == {"description": "new one"}
        assert changed(cloud, snapshot, RetentionDays=6) == {"retention_days": 6}
        assert changed(cloud, snapshot, RetentionDays=6) == {}
        assert changed(cloud, snapshot, Description="") == {"description": ""}

    def test_the_time_of_its_last_change_and_not_that_of_its_creation(self, cloud):
        snapshot = a_snapshot(cloud)
        cloud.clock.now += 60

        changed(cloud, snapshot, SnapshotName="new")

        (told,) = cloud.call("DescribeSnapshots")["Snapshots"]["Snapshot"]
        assert told["CreationTime"] == to_seconds_text(snapshot.created_at)
        assert told["LastModifiedTime"] == to_seconds_text(the(cloud, snapshots, id=snapshot.id).modified_at)
        assert told["LastModifiedTime"] > told["CreationTime"]

    @pytest.mark.parametrize("word", ["true", "false"])
    def test_nothing_for_an_obsolete_word(self, cloud, word):
        assert changed(cloud, a_snapshot(cloud), DisableInstantAccess=word) == {}

    def test_a_snapshot_of_any_region_when_none_is_named(self, cloud):
        snapshot = a_snapshot(cloud, region="cn-hangzhou")

        assert changed(cloud, snapshot, SnapshotName="new", RegionId="") == {"name": "new"}


class TestRefuses:
    def test_to_change_nothing(self, cloud):
        snapshot = a_snapshot(cloud)

        cloud.refuses("ModifySnapshotAttribute", "NoAttributeToModify", 400, SnapshotId=snapshot.id)
        cloud.refuses("ModifySnapshotAttribute", "NoAttributeToModify", 400, SnapshotId=snapshot.id, SnapshotName="")

    def test_what_is_not_there(self, cloud):
        snapshot = a_snapshot(cloud)

        given = {"SnapshotName": "new"}
        code = "InvalidSnapshotId.NotFound"
        cloud.refuses("ModifySnapshotAttribute", code, 404, given, SnapshotId="s-unknown")
        cloud.refuses("ModifySnapshotAttribute", code, 404, given, SnapshotId=snapshot.id, account=OTHER)

    @pytest.mark.parametrize("status", ["progressing", "failed"])
    def test_a_snapshot_that_is_not_accomplished(self, cloud, status):
        snapshot = a_snapshot(cloud, status=status)

        given = {"SnapshotName": "new"}
        cloud.refuses("ModifySnapshotAttribute", "InvalidSnapshotId.NotReady", 400, given, SnapshotId=snapshot.id)

    @pytest.mark.parametrize(("before", "after"), [(5, 4), (0, 65536)])
    def test_to_keep_it_for_less(self, cloud, before, after):
        snapshot = a_snapshot(cloud, retention_days=before)

        code = "InvalidOperation.DecreaseRetentionDaysUnsupported"
        cloud.refuses("ModifySnapshotAttribute", code, 400, SnapshotId=snapshot.id, RetentionDays=after)

    @pytest.mark.parametrize(
        ("code", "status", "more"),
        [
            ("InvalidSnapshotName.Malformed", 400, {"SnapshotName": "a"}),
            ("InvalidSnapshotName.Malformed", 400, {"SnapshotName": "auto-1"}),
            ("InvalidDescription.Malformed", 404, {"Description": "http://x"}),
            ("InvalidRetentionDays.Malformed", 400, {"RetentionDays": 0}),
            ("InvalidRetentionDays.Malformed", 400, {"RetentionDays": 65537}),
            ("InvalidParameter", 400, {"DisableInstantAccess": "maybe"}),
        ],
    )
    def test_what_breaks_a_rule(self, cloud, code, status, more):
        snapshot = a_snapshot(cloud)

        cloud.refuses("ModifySnapshotAttribute", code, status, SnapshotId=snapshot.id, **more)


def test_rehearses_when_asked(cloud):
    snapshot = a_snapshot(cloud)

    given = {"SnapshotName": "new"}
    cloud.refuses("ModifySnapshotAttribute", "DryRunOperation", 400, given, SnapshotId=snapshot.id, DryRun=True)
