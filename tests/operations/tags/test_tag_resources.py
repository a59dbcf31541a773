"""TagResources, as a caller meets it."""

from __future__ import annotations

import pytest

from tests.clouds import OTHER
from tests.operations.tags.resources import many, of_each_kind, tags_of
from tests.stock import a_disk


@pytest.fixture
def disk(cloud):
    return a_disk(cloud)


def put(cloud, params, *resources, kind="disk"):
    ids = {f"ResourceId.{n}": one for n, one in enumerate(resources, 1)}
    return cloud.call("TagResources", {"ResourceType": kind, **ids, **params})


class TestTagging:
    def test_puts_tags_on_every_sort_of_resource(self, cloud):
        for kind, resource in of_each_kind(cloud).items():
            answer = put(cloud, {"Tag.1.Key": "team", "Tag.1.Value": "web"}, resource, kind=kind)

            assert answer == {}
            assert tags_of(cloud, kind, resource) == {"team": "web"}

    def test_puts_all_tags_on_all_resources(self, cloud, disk):
        other = a_disk(cloud)

        put(cloud, {"Tag.1.Key": "a", "Tag.1.Value": "1", "Tag.2.Key": "b", "Tag.2.Value": ""}, disk.id, other.id)

        assert tags_of(cloud, "disk", disk.id) == tags_of(cloud, "disk", other.id) == {"a": "1", "b": ""}

    def test_gives_a_key_that_is_there_the_new_value_and_leaves_the_others(self, cloud, disk):
        put(cloud, {"Tag.1.Key": "a", "Tag.1.Value": "1", "Tag.2.Key": "b", "Tag.2.Value": "2"}, disk.id)

        put(cloud, {"Tag.1.Key": "a", "Tag.1.Value": "new"}, disk.id)

        assert tags_of(cloud, "disk", disk.id) == {"a": "new", "b": "2"}

    def test_takes_one_resource_twice_as_once(self, cloud, disk):
        put(cloud, {"Tag.1.Key": "a"}, disk.id, disk.id)

        assert tags_of(cloud, "disk", disk.id) == {"a": ""}

    def test_fills_a_resource_up_to_20(self, cloud, disk):
        put(cloud, many(20), disk.id)
        put(cloud, {"Tag.1.Key": "k2", "Tag.1.Value": "again"}, disk.id)

        assert len(tags_of(cloud, "disk", disk.id)) == 20

    def test_takes_the_sort_in_any_case(self, cloud, disk):
        put(cloud, {"Tag.1.Key": "a"}, disk.id, kind="Disk")

        assert tags_of(cloud, "disk", disk.id) == {"a": ""}


class TestRefusals:
    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({"RegionId": None}, "MissingParameter.RegionId", 404),
            ({"ResourceType": None}, "MissingParameter.ResourceType", 404),
            ({"ResourceId.1": None}, "MissingParameter.ResourceIds", 404),
            ({"Tag.1.Key": None}, "MissingParameter.Tags", 404),
            ({"RegionId": "nowhere"}, "InvalidRegionId.NotFound", 404),
            ({"ResourceType": "ddh"}, "InvalidResourceType.NotFound", 404),
            ({f"ResourceId.{n}": f"d-{n}" for n in range(1, 52)}, "NumberExceed.ResourceIds", 400),
            (many(21), "NumberExceed.Tags", 400),
            ({"Tag.1.Key": ""}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Key": "acs:x"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Key": None, "Tag.1.Value": "x"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Value": "https://x"}, "InvalidTagValue.Malformed", 400),
            ({"Tag.2.Key": "a"}, "Duplicate.TagKey", 400),
        ],
    )
    def test_refuses_what_is_not_right(self, cloud, disk, params, code, status):
        given = {"ResourceType": "disk", "ResourceId.1": disk.id, "Tag.1.Key": "a", **params}

        cloud.refuses("TagResources", code, status, given)

    def test_refuses_a_21st_tag(self, cloud, disk):
        put(cloud, many(20), disk.id)
        given = {"ResourceType": "disk", "ResourceId.1": disk.id, "Tag.1.Key": "more"}

        cloud.refuses("TagResources", "QuotaExceed.Tags", 403, given)

    def test_refuses_all_when_one_is_unknown(self, cloud, disk):
        given = {"ResourceType": "disk", "ResourceId.1": disk.id, "ResourceId.2": "d-unknown", "Tag.1.Key": "a"}

        cloud.refuses("TagResources", "InvalidResourceId.NotFound", 404, given)

    def test_refuses_all_when_one_is_full(self, cloud, disk):
        full = a_disk(cloud)
        put(cloud, many(20), full.id)
        given = {"ResourceType": "disk", "ResourceId.1": disk.id, "ResourceId.2": full.id, "Tag.1.Key": "a"}

        cloud.refuses("TagResources", "QuotaExceed.Tags", 403, given)

    def test_refuses_the_resources_of_another_account(self, cloud):
        for kind, resource in of_each_kind(cloud).items():
            given = {"ResourceType": kind, "ResourceId.1": resource, "Tag.1.Key": "a"}

            cloud.refuses("TagResources", "InvalidResourceId.NotFound", 404, given, account=OTHER)

    def test_refuses_a_resource_of_another_sort(self, cloud, disk):
        given = {"ResourceType": "image", "ResourceId.1": disk.id, "Tag.1.Key": "a"}

        cloud.refuses("TagResources", "InvalidResourceId.NotFound", 404, given)

    def test_refuses_a_resource_in_another_region(self, cloud):
        disk = a_disk(cloud, region="elsewhere")
        given = {"ResourceType": "disk", "ResourceId.1": disk.id, "Tag.1.Key": "a"}

        cloud.refuses("TagResources", "InvalidResourceId.NotFound", 404, given)
