"""DeleteKeyPairs, as a caller meets it."""

from __future__ import annotations

import json

import pytest

from kiln.store.key_pairs import key_pairs
from kiln.store.tags import tags
from tests.clouds import OTHER
from tests.reading import every
from tests.stock import a_key_pair, an_instance


class TestDeletes:
    def test_those_that_are_named_with_their_tags(self, cloud):
        for name in ("a-1", "a-2", "a-3"):
            a_key_pair(cloud, name=name)
        cloud.call("TagResources", {"ResourceId.1": "a-1", "Tag.1.Key": "k"}, ResourceType="keypair")

        assert cloud.call("DeleteKeyPairs", KeyPairNames='["a-1", "a-2", "a-2", "never-made"]') == {}

        assert [row.name for row in every(cloud, key_pairs)] == ["a-3"]
        assert every(cloud, tags) == []

    def test_nothing_of_others_and_of_elsewhere(self, cloud):
        a_key_pair(cloud, account=OTHER)
        a_key_pair(cloud, region="elsewhere")

        cloud.call("DeleteKeyPairs", KeyPairNames='["ops"]')

        assert len(every(cloud, key_pairs)) == 2

    def test_one_whose_name_another_accounts_instance_has(self, cloud):
        a_key_pair(cloud)
        an_instance(cloud, key_pair="ops", account=OTHER, system_disk=False)
        an_instance(cloud, key_pair="ops", region="elsewhere", system_disk=False)

        cloud.call("DeleteKeyPairs", KeyPairNames='["ops"]')

        assert every(cloud, key_pairs) == []

    def test_a_name_for_another_to_have(self, cloud):
        a_key_pair(cloud)
        cloud.call("DeleteKeyPairs", KeyPairNames='["ops"]')

        assert cloud.call("CreateKeyPair", KeyPairName="ops")


class TestRefuses:
    def test_all_when_an_instance_has_one(self, cloud):
        a_key_pair(cloud, name="free")
        a_key_pair(cloud)
        an_instance(cloud, key_pair="ops", system_disk=False)

        code = "InvalidParameter.KeypairAlreadyAttachedInstance"
        cloud.refuses("DeleteKeyPairs", code, 400, KeyPairNames='["free", "ops"]')

    @pytest.mark.parametrize(
        ("given", "code", "status"),
        [
            ("[]", "InvalidKeyPairNames.ValueNotSupported", 400),
            ('["ops"', "InvalidKeyPairNames.ValueNotSupported", 400),
            (json.dumps([f"k-{n}" for n in range(101)]), "InstanceKeyPairLimitExceeded", 403),
            ("", "MissingParameter", 400),
        ],
    )
    def test_what_names_none(self, cloud, given, code, status):
        cloud.refuses("DeleteKeyPairs", code, status, KeyPairNames=given)
