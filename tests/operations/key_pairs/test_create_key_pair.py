"""CreateKeyPair, as a caller meets it."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from kiln.store.key_pairs import key_pairs
from tests.clouds import OTHER
from tests.operations.key_pairs.listing import names, shown
from tests.reading import every, the
from tests.stock import a_key_pair


class TestMakes:
    def test_a_pair_whose_public_half_is_kept_alone(self, cloud):
        answer = cloud.call("CreateKeyPair", KeyPairName="ops")

        body = answer["PrivateKeyBody"]
        key = load_pem_private_key(body.encode(), None)
        row = the(cloud, key_pairs, name="ops")
        assert isinstance(key, RSAPrivateKey)
        assert key.key_size == 2048
        assert body.startswith("-----BEGIN RSA PRIVATE KEY-----\n")
        assert row.public_key == key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        assert (answer["KeyPairName"], answer["KeyPairId"]) == ("ops", row.id)
        assert answer["KeyPairFingerPrint"] == row.fingerprint
        assert row.id.startswith("ssh-")
        secret = body.splitlines()[1]
        assert not any(secret in one for kept in cloud.contents().values() for one in kept)

    def test_another_one_each_time(self, cloud):
        bodies = {cloud.call("CreateKeyPair", KeyPairName=f"ops-{n}")["PrivateKeyBody"] for n in range(2)}

        assert len(bodies) == 2

    def test_it_with_a_group_and_tags(self, cloud):
        cloud.call(
            "CreateKeyPair", {"Tag.1.Key": "a", "Tag.1.Value": "b"}, KeyPairName="ops", ResourceGroupId="rg-tests"
        )

        (one,) = shown(cloud)
        assert one["ResourceGroupId"] == "rg-tests"
        assert one["Tags"]["Tag"] == [{"TagKey": "a", "TagValue": "b"}]

    def test_one_of_a_name_in_each_account_and_region(self, cloud):
        a_key_pair(cloud, name="ops", account=OTHER)
        a_key_pair(cloud, name="ops", region="elsewhere")

        cloud.call("CreateKeyPair", KeyPairName="ops")

        assert names(cloud) == ["ops"]

    def test_nothing_of_a_rehearsal(self, cloud):
        cloud.refuses("CreateKeyPair", "DryRunOperation", 400, KeyPairName="ops", DryRun=True)

        assert every(cloud, key_pairs) == []


class TestRefuses:
    def test_a_name_already_taken(self, cloud):
        a_key_pair(cloud, name="ops")

        cloud.refuses("CreateKeyPair", "KeyPair.AlreadyExist", 400, KeyPairName="ops")

    @pytest.mark.parametrize("name", ["o", "1ops", "o" * 129, "http://ops", "HTTPS://ops", "o ps", "o/ps", "o\nps"])
    def test_a_name_that_breaks_the_rule(self, cloud, name):
        cloud.refuses("CreateKeyPair", "InvalidKeyPairName.Malformed", 400, KeyPairName=name)

    def test_more_than_there_may_be(self, cloud):
        object.__setattr__(cloud.ports.deployment.quotas, "key_pairs", 1)
        a_key_pair(cloud, name="first")

        cloud.refuses("CreateKeyPair", "QuotaExceed.KeyPair", 403, KeyPairName="ops")

    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({"ResourceGroupId": "rg-unknown"}, "InvalidResourceGroup.NotFound", 404),
            ({"Tag.1.Value": "lonely"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Key": "a", "Tag.2.Key": "a"}, "Duplicate.TagKey", 400),
            ({f"Tag.{n}.Key": f"k{n}" for n in range(1, 22)}, "QuotaExceed.Tags", 403),
            ({"KeyPairName": ""}, "MissingParameter", 400),
        ],
    )
    def test_what_is_not_right(self, cloud, params, code, status):
        cloud.refuses("CreateKeyPair", code, status, {"KeyPairName": "ops", **params})
