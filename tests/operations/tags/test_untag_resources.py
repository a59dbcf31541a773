"""UntagResources, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store import tags
from tests.clouds import ACCOUNT, OTHER
from tests.operations.tags.resources import of_each_kind, tags_of
from tests.stock import a_disk


def a_tagged_disk(cloud):
    disk = a_disk(cloud)
    cloud.ports.database.write(lambda tx: tags.put(tx, ACCOUNT, "disk", disk.id, {"a": "1", "b": "2", "c": "3"}))
    return disk


@pytest.fixture
def disk(cloud):
    return a_tagged_disk(cloud)


def take(cloud, params, *resources, kind="disk"):
    ids = {f"ResourceId.{n}": one for n, one in enumerate(resources, 1)}
    return cloud.call("UntagResources", {"ResourceType": kind, **ids, **params})


class TestUntagging:
    def test_takes_tags_off_every_sort_of_resource(self, cloud):
        for kind, resource in of_each_kind(cloud).items():
            pairs = {"Tag.1.Key": "a", "Tag.2.Key": "b", "Tag.2.Value": "2"}
            cloud.call("TagResources", pairs, ResourceType=kind, **{"ResourceId.1": resource})

            answer = take(cloud, {"TagKey.1": "a"}, resource, kind=kind)

            assert answer == {}
            assert tags_of(cloud, kind, resource) == {"b": "2"}

    def test_takes_some_keys_off_all_resources(self, cloud, disk):
        other = a_tagged_disk(cloud)

        take(cloud, {"TagKey.1": "a", "TagKey.2": "b", "TagKey.3": "unknown"}, disk.id, other.id)

        assert tags_of(cloud, "disk", disk.id) == tags_of(cloud, "disk", other.id) == {"c": "3"}

    def test_takes_all_off(self, cloud, disk):
        other = a_tagged_disk(cloud)

        take(cloud, {"All": True}, disk.id)

        assert tags_of(cloud, "disk", disk.id) == {}
        assert len(tags_of(cloud, "disk", other.id)) == 3


class TestRefusals:
    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({"RegionId": None}, "MissingParameter.RegionId", 404),
            ({"ResourceType": None}, "MissingParameter.ResourceType", 404),
            ({"ResourceId.1": None}, "MissingParameter.ResourceIds", 404),
            ({"TagKey.1": None}, "MissingParameter.Tags", 404),
            ({"TagKey.1": None, "All": False}, "MissingParameter.Tags", 404),
            ({"All": True}, "Param.Conflict", 403),
            ({"RegionId": "nowhere"}, "InvalidRegionId.NotFound", 404),
            ({"ResourceType": "eni"}, "InvalidResourceType.NotFound", 404),
            ({"ResourceId.2": "d-unknown"}, "InvalidResourceId.NotFound", 404),
            ({f"ResourceId.{n}": f"d-{n}" for n in range(1, 52)}, "NumberExceed.ResourceIds", 400),
            ({f"TagKey.{n}": f"k{n}" for n in range(1, 22)}, "NumberExceed.Tags", 400),
        ],
    )
    def test_refuses_what_is_not_right(self, cloud, disk, params, code, status):
        given = {"ResourceType": "disk", "ResourceId.1": disk.id, "TagKey.1": "a", **params}

        cloud.refuses("UntagResources", code, status, given)

    def test_refuses_the_resources_of_another_account(self, cloud, disk):
        given = {"ResourceType": "disk", "ResourceId.1": disk.id, "All": True}

        cloud.refuses("UntagResources", "InvalidResourceId.NotFound", 404, given, account=OTHER)
