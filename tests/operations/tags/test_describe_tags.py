"""DescribeTags, as a caller meets it."""

from __future__ import annotations

import pytest

from tests.clouds import OTHER
from tests.operations.tags.resources import many, of_each_kind
from tests.stock import a_disk, a_key_pair, an_instance


def described(cloud, params=None, /, **more):
    """The tags of an answer with the counts that are not 0."""
    found = cloud.call("DescribeTags", params, **more)["Tags"]["Tag"]
    return [(one["TagKey"], one["TagValue"], counted(one["ResourceTypeCount"])) for one in found]


def counted(counts):
    return {kind: count for kind, count in counts.items() if count}


def put(cloud, kind, resource, **pairs):
    for key, value in pairs.items():
        cloud.call("AddTags", {"Tag.1.Key": key, "Tag.1.Value": value}, ResourceType=kind, ResourceId=resource)


class TestShows:
    def test_on_how_many_resources_of_each_sort_a_tag_is(self, cloud):
        for kind, resource in of_each_kind(cloud).items():
            put(cloud, kind, resource, team="web")
        put(cloud, "disk", a_disk(cloud).id, team="web", use="test")

        every_sort = ("Image", "Snapshot", "Disk", "Instance", "KeyPair", "Securitygroup", "LaunchTemplate")
        every_sort += ("SnapshotPolicy",)
        assert described(cloud) == [
            ("team", "web", dict.fromkeys(every_sort, 1) | {"Disk": 2}),
            ("use", "test", {"Disk": 1}),
        ]

    def test_pages_by_key_and_value(self, cloud):
        for n in range(3):
            put(cloud, "disk", a_disk(cloud).id, a=f"{n}")

        answer = cloud.call("DescribeTags", PageSize=2, PageNumber=2)

        assert [(one["TagKey"], one["TagValue"]) for one in answer["Tags"]["Tag"]] == [("a", "2")]
        assert (answer["TotalCount"], answer["PageNumber"], answer["PageSize"]) == (3, 2, 2)

    def test_nothing_of_others_and_of_elsewhere(self, cloud):
        put(cloud, "disk", a_disk(cloud).id, a="1")

        assert described(cloud, account=OTHER) == []


class TestFinds:
    @pytest.mark.parametrize(
        ("params", "keys"),
        [
            ({"ResourceType": "Disk"}, ["a", "b"]),
            ({"ResourceType": "keypair"}, ["c"]),
            ({"ResourceType": "keypair", "ResourceId": "ops"}, ["c"]),
            ({"ResourceId": "ops"}, ["c"]),
            ({"ResourceId": "i-unknown"}, []),
            ({"Tag.1.Key": "a"}, ["a"]),
            ({"Tag.1.Key": "a", "Tag.1.Value": "2"}, []),
            ({"Tag.1.Key": "a", "Tag.1.Value": "1", "Tag.2.Key": "c"}, ["a", "c"]),
            ({"Category": "system"}, []),
            ({"Category": "Custom"}, ["a", "b", "c"]),
        ],
    )
    def test_what_all_filters_let_through(self, cloud, params, keys):
        put(cloud, "disk", a_disk(cloud).id, a="1")
        put(cloud, "disk", a_disk(cloud).id, b="1")
        put(cloud, "keypair", a_key_pair(cloud).name, c="1")

        assert [key for key, *_ in described(cloud, params)] == keys

    def test_the_tags_of_one_resource(self, cloud):
        instance = an_instance(cloud, system_disk=False).id
        put(cloud, "instance", instance, a="1")
        put(cloud, "disk", a_disk(cloud).id, a="1")

        assert described(cloud, ResourceId=instance) == [("a", "1", {"Instance": 1})]


class TestRefuses:
    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({"RegionId": "nowhere"}, "InvalidRegionId.NotFound", 404),
            ({"ResourceType": "ddh"}, "InvalidResourceType.NotFound", 404),
            ({"Category": "odd"}, "Invalid.TagCategory", 400),
            ({"Tag.1.Value": "lonely"}, "InvalidTag.Mismatch", 400),
            (many(21), "InvalidTagCount", 400),
            ({"PageSize": 101}, "InvalidParameter", 400),
        ],
    )
    def test_what_is_not_right(self, cloud, params, code, status):
        cloud.refuses("DescribeTags", code, status, params)
