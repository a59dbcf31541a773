"""ListTagResources, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store import tags
from tests.clouds import ACCOUNT, OTHER
from tests.operations.tags.resources import of_each_kind
from tests.stock import a_disk, a_key_pair


def a_tagged_disk(cloud, account=ACCOUNT, region=None, **pairs):
    disk = a_disk(cloud, account=account, **({"region": region} if region else {}))
    cloud.ports.database.write(lambda tx: tags.put(tx, account, "disk", disk.id, pairs))
    return disk.id


def listed(cloud, params, **more):
    """The tags in the answer, by resource."""
    answer = cloud.call("ListTagResources", {"ResourceType": "disk", **params}, **more)
    found: dict[str, dict[str, str]] = {}
    for one in answer["TagResources"]["TagResource"]:
        found.setdefault(one["ResourceId"], {})[one["TagKey"]] = one["TagValue"]
    return found


class TestListing:
    def test_tells_all_of_a_tag(self, cloud):
        disk = a_tagged_disk(cloud, team="web")

        answer = cloud.call("ListTagResources", {"ResourceType": "disk", "ResourceId.1": disk})

        assert answer == {
            "TagResources": {
                "TagResource": [{"ResourceId": disk, "ResourceType": "disk", "TagKey": "team", "TagValue": "web"}]
            },
            "NextToken": "",
        }

    def test_is_an_empty_list_when_there_are_none(self, cloud):
        disk = a_tagged_disk(cloud)

        answer = cloud.call("ListTagResources", {"ResourceType": "disk", "ResourceId.1": disk})

        assert answer["TagResources"] == {"TagResource": []}

    def test_lists_every_sort_of_resource(self, cloud):
        for kind, resource in of_each_kind(cloud).items():
            cloud.call("TagResources", {"ResourceType": kind, "ResourceId.1": resource, "Tag.1.Key": "a"})

            assert listed(cloud, {"ResourceType": kind, "ResourceId.1": resource}) == {resource: {"a": ""}}

    def test_lists_what_carries_all_the_tags_with_all_that_it_carries(self, cloud):
        one = a_tagged_disk(cloud, team="web", stage="test")
        two = a_tagged_disk(cloud, team="web")
        a_tagged_disk(cloud, team="db")

        assert set(listed(cloud, {"Tag.1.Key": "team", "Tag.1.Value": "web"})) == {one, two}
        assert listed(cloud, {"Tag.1.Key": "team", "Tag.1.Value": "web", "Tag.2.Key": "stage"}) == {
            one: {"team": "web", "stage": "test"}
        }

    def test_wants_both_when_resources_and_tags_are_given(self, cloud):
        one, two = a_tagged_disk(cloud, team="web"), a_tagged_disk(cloud, team="db")
        both = {"ResourceId.1": one, "ResourceId.2": two, "Tag.1.Key": "team", "Tag.1.Value": "db"}

        assert listed(cloud, both) == {two: {"team": "db"}}

    def test_lists_what_has_one_of_some_values(self, cloud):
        one, two, _ = (a_tagged_disk(cloud, team=team) for team in ("web", "db", "ops"))
        either = {"TagFilter.1.TagKey": "team", "TagFilter.1.TagValues.1": "web", "TagFilter.1.TagValues.2": "db"}

        assert listed(cloud, either) == {one: {"team": "web"}, two: {"team": "db"}}
        assert len(listed(cloud, {"TagFilter.1.TagKey": "team"})) == 3

    def test_lists_nothing_of_what_is_unknown_or_somewhere_else(self, cloud):
        elsewhere = a_tagged_disk(cloud, region="elsewhere", team="web")

        assert listed(cloud, {"ResourceId.1": "d-unknown", "ResourceId.2": elsewhere}) == {}
        assert listed(cloud, {"Tag.1.Key": "team"}) == {}

    def test_lists_nothing_of_another_account(self, cloud):
        disk = a_tagged_disk(cloud, team="web")

        assert listed(cloud, {"ResourceId.1": disk}, account=OTHER) == {}
        assert listed(cloud, {"Tag.1.Key": "team"}, account=OTHER) == {}

    def test_goes_on_where_the_answer_before_ended(self, cloud):
        made = {a_tagged_disk(cloud, **{f"k{n:02}": str(n) for n in range(20)}) for _ in range(6)}
        params = {"ResourceType": "disk", "Tag.1.Key": "k00"}

        first = cloud.call("ListTagResources", params)
        second = cloud.call("ListTagResources", params, NextToken=first["NextToken"])

        pages = [answer["TagResources"]["TagResource"] for answer in (first, second)]
        assert [len(page) for page in pages] == [100, 20]
        assert {(one["ResourceId"], one["TagKey"]) for page in pages for one in page} == {
            (disk, f"k{n:02}") for disk in made for n in range(20)
        }
        assert second["NextToken"] == ""


class TestKeyPairs:
    def test_are_called_by_their_names_or_ids_and_shown_by_their_names(self, cloud):
        mine, other = a_key_pair(cloud), a_key_pair(cloud, name="other")
        a_key_pair(cloud, account=OTHER)
        for called, key in ((mine.name, "a"), (mine.id, "b"), (other.id, "c")):
            cloud.call("TagResources", {"ResourceId.1": called, "Tag.1.Key": key}, ResourceType="keypair")

        for called in (mine.name, mine.id):
            assert listed(cloud, {"ResourceType": "keypair", "ResourceId.1": called}) == {"ops": {"a": "", "b": ""}}
        cloud.call("UntagResources", {"ResourceId.1": mine.name, "TagKey.1": "b"}, ResourceType="keypair")
        cloud.call("AddTags", {"ResourceId": mine.name, "Tag.1.Key": "d"}, ResourceType="keypair")

        found = listed(cloud, {"ResourceType": "keypair", "ResourceId.1": "ops", "ResourceId.2": "other"})
        assert found == {"ops": {"a": "", "d": ""}, "other": {"c": ""}}

    def test_one_that_is_called_as_anothers_id_is_meant_by_its_name(self, cloud):
        mine = a_key_pair(cloud)
        a_key_pair(cloud, name=mine.id)

        cloud.call("TagResources", {"ResourceId.1": mine.id, "Tag.1.Key": "a"}, ResourceType="keypair")

        assert listed(cloud, {"ResourceType": "keypair", "ResourceId.1": "ops"}) == {}
        assert listed(cloud, {"ResourceType": "keypair", "Tag.1.Key": "a"}) == {mine.id: {"a": ""}}


class TestRefusals:
    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({"RegionId": None}, "MissingParameter.RegionId", 404),
            ({"ResourceType": None}, "MissingParameter.ResourceType", 404),
            ({"ResourceId.1": None}, "BothEmpty.TagsAndResources", 403),
            ({"RegionId": "nowhere"}, "InvalidRegionId.NotFound", 404),
            ({"ResourceType": "ddh"}, "InvalidResourceType.NotFound", 404),
            ({f"ResourceId.{n}": f"d-{n}" for n in range(1, 52)}, "NumberExceed.ResourceIds", 400),
            ({f"Tag.{n}.Key": f"k{n}" for n in range(1, 22)}, "NumberExceed.Tags", 400),
            ({f"TagFilter.{n}.TagKey": f"k{n}" for n in range(1, 22)}, "NumberExceed.Tags", 400),
            ({f"TagFilter.1.TagValues.{n}": "v" for n in range(1, 7)}, "NumberExceed.TagValues", 403),
            ({"Tag.1.Key": "a", "TagFilter.1.TagKey": "b"}, "InvalidTags.MalFormed", 400),
            ({"Tag.1.Value": "lonely"}, "InvalidTag.Mismatch", 400),
            ({"TagFilter.1.TagValues.1": "lonely"}, "InvalidTagFilter.Malformed", 403),
            ({"NextToken": "nonsense"}, "Invalid.NextToken", 403),
            ({"NextToken": "WzEuMCwgInMteCJd"}, "Invalid.NextToken", 403),
        ],
    )
    def test_refuses_what_is_not_right(self, cloud, params, code, status):
        cloud.refuses("ListTagResources", code, status, {"ResourceType": "disk", "ResourceId.1": "d-1", **params})
