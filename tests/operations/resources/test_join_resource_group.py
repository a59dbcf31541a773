"""JoinResourceGroup, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store.resources import MOVED, owned
from tests.clouds import OTHER, REGION
from tests.operations.resource_groups.groups import a_resource_group, default_group
from tests.operations.tags.resources import of_each_kind
from tests.stock import a_disk, a_key_pair, a_snapshot_group

ACTION = "JoinResourceGroup"


def a_command(cloud):
    return cloud.call("CreateCommand", Name="a", Type="RunShellScript", CommandContent="dHJ1ZQ==")["CommandId"]


def test_moves_whatever_can_be_in_a_group(cloud):
    group = a_resource_group(cloud)
    things = of_each_kind(cloud) | {"command": a_command(cloud), "snapshotgroup": a_snapshot_group(cloud).id}

    for kind, resource in things.items():
        assert cloud.call(ACTION, ResourceType=kind, ResourceId=resource, ResourceGroupId=group) == {}
        with cloud.ports.database.read() as tx:
            (known,) = owned(tx, kind, cloud.account, REGION, [resource]).values()
            assert MOVED[kind].find(tx, id=known).resource_group == group
    assert things.keys() == MOVED.keys()


def test_lists_find_it_in_its_new_group_alone(cloud):
    disk, group = a_disk(cloud, resource_group="rg-tests").id, a_resource_group(cloud)
    cloud.call(ACTION, ResourceType="disk", ResourceId=disk, ResourceGroupId=group)

    found = {one: cloud.call("DescribeDisks", ResourceGroupId=one)["TotalCount"] for one in (group, "rg-tests")}
    assert found == {group: 1, "rg-tests": 0}


def test_takes_it_out_of_a_group_that_never_was(cloud):
    """Any ID was taken once, and what has one keeps it until it is moved."""
    name = a_key_pair(cloud, resource_group="rg-of-old").name
    assert cloud.call("DescribeKeyPairs", ResourceGroupId="rg-of-old")["TotalCount"] == 1

    cloud.call(ACTION, ResourceType="keypair", ResourceId=name, ResourceGroupId=default_group(cloud))

    (row,) = cloud.call("DescribeKeyPairs")["KeyPairs"]["KeyPair"]
    assert row["ResourceGroupId"] == default_group(cloud)


@pytest.mark.parametrize(
    ("params", "code", "status"),
    [
        ({"ResourceGroupId": "rg-nowhere"}, "InvalidResourceGroup.NotFound", 404),
        ({"ResourceId": "d-nowhere"}, "InvalidResourceId.NotFound", 404),
        ({"ResourceType": "Disk"}, "InvalidResourceType.NotFound", 404),
        ({"ResourceType": "ddh"}, "InvalidResourceType.NotFound", 404),
        ({"ResourceId": ""}, "MissingParameter", 400),
    ],
)
def test_refuses_what_is_not_there(cloud, params, code, status):
    disk = a_disk(cloud).id
    given = {"ResourceType": "disk", "ResourceId": disk, "ResourceGroupId": "rg-tests"}

    cloud.refuses(ACTION, code, status, given | params)


def test_refuses_what_is_anothers(cloud):
    disk = a_disk(cloud, account=OTHER).id
    given = {"ResourceType": "disk", "ResourceId": disk, "ResourceGroupId": "rg-tests"}

    cloud.refuses(ACTION, "InvalidResourceId.NotFound", 404, given)
