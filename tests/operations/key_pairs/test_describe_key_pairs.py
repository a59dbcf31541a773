"""DescribeKeyPairs, as a caller meets it."""

from __future__ import annotations

import pytest

from tests.clouds import OTHER
from tests.operations.key_pairs.listing import names, shown
from tests.stock import ED25519, a_key_pair

MINUTE = 1_795_414_020.0  #: 2026-11-23T06:07Z


class TestShows:
    def test_all_that_is_known(self, cloud):
        a_key_pair(cloud, fingerprint="aa:bb", resource_group="rg-tests", created_at=MINUTE)

        assert shown(cloud) == [
            {
                "KeyPairName": "ops",
                "KeyPairFingerPrint": "aa:bb",
                "CreationTime": "2026-11-23T06:07Z",
                "ResourceGroupId": "rg-tests",
                "Tags": {"Tag": []},
            }
        ]

    def test_public_keys_to_whoever_asks(self, cloud):
        a_key_pair(cloud)

        assert shown(cloud, IncludePublicKey=True)[0]["PublicKey"] == ED25519

    def test_nothing_of_others_and_of_elsewhere(self, cloud):
        a_key_pair(cloud, account=OTHER)
        a_key_pair(cloud, region="elsewhere")

        assert shown(cloud) == []

    def test_pages_with_the_newest_first(self, cloud):
        for n in range(5):
            a_key_pair(cloud, name=f"ops-{n}")

        answer = cloud.call("DescribeKeyPairs", PageSize=2, PageNumber=2)

        assert [one["KeyPairName"] for one in answer["KeyPairs"]["KeyPair"]] == ["ops-2", "ops-1"]
        assert (answer["TotalCount"], answer["PageNumber"], answer["PageSize"]) == (5, 2, 2)


class TestFinds:
    @pytest.mark.parametrize(
        ("params", "found"),
        [
            ({"KeyPairName": "web-key"}, ["web-key"]),
            ({"KeyPairName": "web"}, []),
            ({"KeyPairName": "web*"}, ["web-key"]),
            ({"KeyPairName": "*key"}, ["web-key", "db-key"]),
            ({"KeyPairName": "*_key"}, []),
            ({"KeyPairName": "*"}, ["other", "web-key", "db-key"]),
            ({"KeyPairFingerPrint": "aa:bb"}, ["db-key"]),
            ({"KeyPairFingerPrint": "aa"}, []),
            ({"ResourceGroupId": "rg-tests"}, ["other"]),
            ({"Tag.1.Key": "a"}, ["web-key"]),
            ({"Tag.1.Key": "a", "Tag.1.Value": "c"}, []),
            ({"KeyPairName": "*key", "KeyPairFingerPrint": "aa:bb"}, ["db-key"]),
        ],
    )
    def test_what_all_filters_let_through(self, cloud, params, found):
        a_key_pair(cloud, name="db-key", fingerprint="aa:bb")
        a_key_pair(cloud, name="web-key")
        a_key_pair(cloud, name="other", resource_group="rg-tests")
        tagged = {"ResourceType": "keypair", "ResourceId.1": "web-key", "Tag.1.Key": "a", "Tag.1.Value": "b"}
        cloud.call("TagResources", tagged)

        assert names(cloud, params) == found


class TestRefuses:
    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"PageSize": 51}, "InvalidParameter"),
            ({"PageNumber": 0}, "InvalidParameter"),
            ({"Tag.1.Value": "lonely"}, "InvalidTag.Mismatch"),
            ({f"Tag.{n}.Key": f"k{n}" for n in range(1, 22)}, "InvalidTagCount"),
        ],
    )
    def test_what_is_not_right(self, cloud, params, code):
        cloud.refuses("DescribeKeyPairs", code, 400, params)
