"""ModifySnapshotGroup, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store.snapshot_groups import snapshot_groups
from tests.clouds import OTHER
from tests.reading import the
from tests.stock import a_snapshot_group


def test_changes_what_is_sent_and_nothing_else(cloud):
    group = a_snapshot_group(cloud, name="old", description="old one")

    assert cloud.call("ModifySnapshotGroup", SnapshotGroupId=group.id, Name="new") == {}
    assert (the(cloud, snapshot_groups).name, the(cloud, snapshot_groups).description) == ("new", "old one")
    cloud.call("ModifySnapshotGroup", SnapshotGroupId=group.id, Description="")
    assert (the(cloud, snapshot_groups).name, the(cloud, snapshot_groups).description) == ("new", "")


@pytest.mark.parametrize(
    ("params", "code", "status"),
    [
        ({}, "NoAttributeToModify", 400),
        ({"Name": "1"}, "InvalidParameter.Name", 400),
        ({"Description": "http://x"}, "InvalidParameter.Description", 400),
        ({"Name": "new", "SnapshotGroupId": "ssg-unknown"}, "InvalidSnapshotGroup.NotFound", 404),
    ],
)
def test_refuses_what_is_not_right(cloud, params, code, status):
    cloud.refuses("ModifySnapshotGroup", code, status, {"SnapshotGroupId": a_snapshot_group(cloud).id, **params})


def test_refuses_the_group_of_another_account(cloud):
    group = a_snapshot_group(cloud, account=OTHER)

    cloud.refuses("ModifySnapshotGroup", "InvalidSnapshotGroup.NotFound", 404, SnapshotGroupId=group.id, Name="new")
