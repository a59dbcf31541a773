"""AddTags, as a caller meets it."""

from __future__ import annotations

import pytest

from tests.clouds import OTHER
from tests.operations.tags.resources import many, of_each_kind, tags_of
from tests.stock import a_disk


@pytest.fixture
def disk(cloud):
    return a_disk(cloud)


class TestTagging:
    def test_puts_tags_on_every_sort_of_resource(self, cloud):
        pairs = {"Tag.1.Key": "a", "Tag.1.Value": "1", "Tag.2.Key": "b", "Tag.2.Value": ""}
        for kind, resource in of_each_kind(cloud).items():
            answer = cloud.call("AddTags", pairs, ResourceType=kind, ResourceId=resource)

            assert answer == {}
            assert tags_of(cloud, kind, resource) == {"a": "1", "b": ""}

    def test_gives_a_key_that_is_there_the_new_value(self, cloud, disk):
        for value in ("old", "new"):
            cloud.call("AddTags", {"Tag.1.Key": "a", "Tag.1.Value": value}, ResourceType="disk", ResourceId=disk.id)

        assert tags_of(cloud, "disk", disk.id) == {"a": "new"}


class TestRefusals:
    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({"RegionId": None}, "MissingParameter", 400),
            ({"ResourceType": None}, "MissingParameter", 400),
            ({"ResourceId": None}, "MissingParameter", 400),
            ({"Tag.1.Key": None}, "MissingParameter", 400),
            ({"RegionId": "nowhere"}, "InvalidRegionId.NotFound", 404),
            ({"ResourceType": "ddh"}, "InvalidResourceType.NotFound", 404),
            ({"ResourceId": "d-unknown"}, "InvalidResourceId.NotFound", 404),
            (many(21), "InvalidTagCount", 400),
            ({"Tag.1.Key": "aliyun-x"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.2.Value": "keyless"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Value": "http://x"}, "InvalidTagValue.Malformed", 400),
            ({"Tag.2.Key": "a"}, "Duplicate.TagKey", 400),
        ],
    )
    def test_refuses_what_is_not_right(self, cloud, disk, params, code, status):
        given = {"ResourceType": "disk", "ResourceId": disk.id, "Tag.1.Key": "a", **params}

        cloud.refuses("AddTags", code, status, given)

    def test_refuses_the_resource_of_another_account(self, cloud, disk):
        given = {"ResourceType": "disk", "ResourceId": disk.id, "Tag.1.Key": "a"}

        cloud.refuses("AddTags", "InvalidResourceId.NotFound", 404, given, account=OTHER)

    def test_refuses_a_21st_tag(self, cloud, disk):
        cloud.call("AddTags", many(20), ResourceType="disk", ResourceId=disk.id)

        cloud.refuses(
            "AddTags", "QuotaExceed.Tags", 403, {"Tag.1.Key": "more"}, ResourceType="disk", ResourceId=disk.id
        )
