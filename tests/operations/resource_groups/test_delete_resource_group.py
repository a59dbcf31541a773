"""DeleteResourceGroup, as a caller meets it."""

from __future__ import annotations

from kiln.store.resources import GROUPED
from kiln.store.rows import metadata
from tests.clouds import OTHER, REGION
from tests.operations.resource_groups.groups import NOT_THERE, a_resource_group, default_group, names

ACTION = "DeleteResourceGroup"

#: What is in a group and keeps it from nothing, and why.
PASSING = {"invocations": "they pass by themselves"}


def test_deletes_one_in_which_nothing_is(cloud):
    group = a_resource_group(cloud)

    assert cloud.call(ACTION, ResourceGroupId=group)["ResourceGroup"]["Status"] == "PendingDelete"

    assert names(cloud) == ["default", "tests"]
    cloud.refuses(ACTION, NOT_THERE, 404, ResourceGroupId=group)


def test_keeps_one_in_which_something_is_until_that_has_moved(cloud):
    group = a_resource_group(cloud)
    disk = cloud.call("CreateDisk", ZoneId=f"{REGION}-a", Size=20, ResourceGroupId=group)["DiskId"]

    cloud.refuses(ACTION, "DeleteConflict.ResourceGroup.Resource", 409, ResourceGroupId=group)
    moved = {"ResourceType": "disk", "ResourceId": disk, "ResourceGroupId": default_group(cloud)}
    cloud.call("JoinResourceGroup", moved)
    cloud.call(ACTION, ResourceGroupId=group)


def test_looks_at_all_that_can_be_in_a_group():
    looked_at = {rows.table.name for rows in GROUPED.values()}
    having = {table.name for table in metadata.sorted_tables if "resource_group" in table.columns}

    assert having - looked_at == PASSING.keys()


def test_refuses_those_that_are_not_the_accounts_to_delete(cloud):
    cloud.refuses(ACTION, "InvalidStatus.ResourceGroup", 409, ResourceGroupId=default_group(cloud))
    cloud.refuses(ACTION, NOT_THERE, 404, ResourceGroupId="rg-tests", account=OTHER)
