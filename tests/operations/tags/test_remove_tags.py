"""RemoveTags, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store.tags import put
from tests.clouds import ACCOUNT, OTHER
from tests.operations.tags.resources import many, of_each_kind, tags_of
from tests.stock import a_disk


@pytest.fixture
def disk(cloud):
    disk = a_disk(cloud)
    cloud.ports.database.write(lambda tx: put(tx, ACCOUNT, "disk", disk.id, {"a": "1", "b": "", "c": "3"}))
    return disk.id


class TestRemoving:
    def test_takes_tags_off_every_sort_of_resource(self, cloud):
        for kind, resource in of_each_kind(cloud).items():
            cloud.call("AddTags", {"Tag.1.Key": "a", "Tag.2.Key": "b"}, ResourceType=kind, ResourceId=resource)

            answer = cloud.call("RemoveTags", {"Tag.1.Key": "a"}, ResourceType=kind, ResourceId=resource)

            assert answer == {}
            assert tags_of(cloud, kind, resource) == {"b": ""}

    @pytest.mark.parametrize(
        ("params", "left"),
        [
            ({"Tag.1.Key": "a"}, {"b": "", "c": "3"}),
            ({"Tag.1.Key": "a", "Tag.1.Value": "1"}, {"b": "", "c": "3"}),
            ({"Tag.1.Key": "a", "Tag.1.Value": "2"}, {"a": "1", "b": "", "c": "3"}),
            ({"Tag.1.Key": "a", "Tag.1.Value": ""}, {"a": "1", "b": "", "c": "3"}),
            ({"Tag.1.Key": "b", "Tag.1.Value": ""}, {"a": "1", "c": "3"}),
            ({"Tag.1.Key": "a", "Tag.2.Key": "c", "Tag.2.Value": "3"}, {"b": ""}),
            ({"Tag.1.Key": "a", "Tag.1.Value": "9", "Tag.2.Key": "a", "Tag.2.Value": "1"}, {"b": "", "c": "3"}),
            ({"Tag.1.Key": "A"}, {"a": "1", "b": "", "c": "3"}),
            ({"Tag.1.Key": "%"}, {"a": "1", "b": "", "c": "3"}),
            ({"Tag.1.Key": "nowhere"}, {"a": "1", "b": "", "c": "3"}),
        ],
    )
    def test_takes_off_those_that_are_meant(self, cloud, disk, params, left):
        cloud.call("RemoveTags", params, ResourceType="disk", ResourceId=disk)

        assert tags_of(cloud, "disk", disk) == left

    def test_leaves_other_resources_alone(self, cloud, disk):
        other = a_disk(cloud).id
        cloud.call("AddTags", {"Tag.1.Key": "a"}, ResourceType="disk", ResourceId=other)

        cloud.call("RemoveTags", {"Tag.1.Key": "a"}, ResourceType="Disk", ResourceId=disk)

        assert tags_of(cloud, "disk", other) == {"a": ""}


class TestRefusals:
    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({"RegionId": None}, "MissingParameter", 400),
            ({"ResourceType": None}, "MissingParameter", 400),
            ({"ResourceId": None}, "MissingParameter", 400),
            ({"Tag.1.Key": None}, "MissingParameter", 400),
            ({"Tag.1.Key": None, "Tag": "[]"}, "InvalidTagCount", 400),
            ({"RegionId": "nowhere"}, "InvalidRegionId.NotFound", 404),
            ({"ResourceType": "ddh"}, "InvalidResourceType.NotFound", 404),
            ({"ResourceId": "d-unknown"}, "InvalidResourceId.NotFound", 404),
            (many(21), "InvalidTagCount", 400),
            ({"Tag.1.Key": "aliyun-x"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.2.Value": "keyless"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Value": "http://x"}, "InvalidTagValue.Malformed", 400),
        ],
    )
    def test_refuses_what_is_not_right(self, cloud, disk, params, code, status):
        given = {"ResourceType": "disk", "ResourceId": disk, "Tag.1.Key": "a", **params}

        cloud.refuses("RemoveTags", code, status, given)

    def test_refuses_the_resource_of_another_account(self, cloud, disk):
        given = {"ResourceType": "disk", "ResourceId": disk, "Tag.1.Key": "a"}

        cloud.refuses("RemoveTags", "InvalidResourceId.NotFound", 404, given, account=OTHER)

    def test_a_dry_run_that_would_succeed(self, cloud, disk):
        given = {"ResourceType": "disk", "ResourceId": disk, "Tag.1.Key": "a"}

        cloud.refuses("RemoveTags", "DryRunOperation", 400, given, DryRun=True)
