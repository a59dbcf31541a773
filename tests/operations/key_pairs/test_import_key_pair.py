"""ImportKeyPair, as a caller meets it."""

from __future__ import annotations

import base64
import hashlib
import subprocess

import pytest

from kiln.store.key_pairs import key_pairs
from tests.operations.key_pairs.keys import DSA, KEYS, SHORT_RSA
from tests.reading import the
from tests.stock import ED25519, a_key_pair
from tests.tools import wants


def bring_in(cloud, line, name="ops"):
    return cloud.call("ImportKeyPair", KeyPairName=name, PublicKeyBody=line)


class TestBringsIn:
    @pytest.mark.parametrize("kind", KEYS)
    def test_a_key_of_every_kind_that_guests_take(self, cloud, kind):
        answer = bring_in(cloud, KEYS[kind])

        row = the(cloud, key_pairs, name="ops")
        digest = hashlib.md5(base64.b64decode(KEYS[kind].split()[1])).hexdigest()
        assert row.public_key == KEYS[kind]
        assert answer == {"KeyPairName": "ops", "KeyPairFingerPrint": row.fingerprint}
        assert row.fingerprint.replace(":", "") == digest

    def test_a_fingerprint_that_openssh_tells_too(self, cloud, tmp_path):
        wants("ssh-keygen")
        (tmp_path / "key.pub").write_text(ED25519 + "\n")
        telling = ["ssh-keygen", "-l", "-E", "md5", "-f", tmp_path / "key.pub"]
        told = subprocess.run(telling, capture_output=True, check=True)

        answer = bring_in(cloud, ED25519)

        assert told.stdout.decode().split()[1] == "MD5:" + answer["KeyPairFingerPrint"]

    @pytest.mark.parametrize(
        ("line", "kept"),
        [
            (ED25519 + "\n", ED25519),
            (f"  {ED25519}\t", ED25519),
            (ED25519.replace(" ", "  ") + "   me@here  and more ", f"{ED25519} me@here  and more"),
            (ED25519 + " \u00e9t\u00e9", ED25519 + " \u00e9t\u00e9"),
        ],
    )
    def test_one_line_with_its_comment(self, cloud, line, kept):
        bring_in(cloud, line)

        assert the(cloud, key_pairs, name="ops").public_key == kept

    def test_one_key_under_several_names(self, cloud):
        told = [bring_in(cloud, ED25519, name)["KeyPairFingerPrint"] for name in ("first", "second")]

        assert told[0] == told[1]


class TestRefuses:
    @pytest.mark.parametrize(
        "line",
        [
            "ABC1234567",
            "ssh-ed25519",
            "ssh-ed25519 !!!!",
            ED25519[:-4],
            ED25519.replace("ssh-ed25519", "ssh-rsa", 1),
            f'command="rm -rf /" {ED25519}',
            f"{ED25519}\n{ED25519}",
            f"{ED25519} me\nssh-rsa AAAA",
            f"{ED25519} me\rhere",
            f"{ED25519} \x1b[2J",
            f"# comment\n{ED25519}",
            ED25519 + " " + "x" * 9000,
            "-----BEGIN PUBLIC KEY-----",
            "\u00e9 " + ED25519.split()[1],
            "ssh-ed25519 \u00e9",
            DSA,
            SHORT_RSA.replace("AAAAB3NzaC1yc2E", "AAAAB3NzaC1yc2F", 1),
        ],
    )
    def test_what_no_guest_takes_for_a_key(self, cloud, line):
        cloud.refuses("ImportKeyPair", "InvalidPublicKeyBody.Malformed", 400, KeyPairName="ops", PublicKeyBody=line)

    def test_a_certificate(self, cloud, tmp_path):
        wants("ssh-keygen")
        for name in ("ca", "own"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
        signing = ["ssh-keygen", "-q", "-s", tmp_path / "ca", "-I", "me", "-n", "root", tmp_path / "own.pub"]
        subprocess.run(signing, check=True)
        line = (tmp_path / "own-cert.pub").read_text()

        cloud.refuses("ImportKeyPair", "InvalidPublicKeyBody.Malformed", 400, KeyPairName="ops", PublicKeyBody=line)

    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({"PublicKeyBody": ""}, "MissingParameter", 400),
            ({"KeyPairName": "o"}, "InvalidKeyPairName.Malformed", 400),
            ({"KeyPairName": "taken"}, "KeyPair.AlreadyExist", 400),
            ({"ResourceGroupId": "rg-unknown"}, "InvalidResourceGroup.NotFound", 404),
            ({"Tag.1.Value": "lonely"}, "InvalidTagKey.Malformed", 400),
            ({"Tag.1.Key": "a", "Tag.2.Key": "a"}, "Duplicate.TagKey", 400),
        ],
    )
    def test_what_is_not_right(self, cloud, params, code, status):
        a_key_pair(cloud, name="taken")

        cloud.refuses("ImportKeyPair", code, status, {"KeyPairName": "ops", "PublicKeyBody": ED25519, **params})

    def test_more_than_there_may_be(self, cloud):
        object.__setattr__(cloud.ports.deployment.quotas, "key_pairs", 0)

        cloud.refuses("ImportKeyPair", "QuotaExceed.KeyPair", 403, KeyPairName="ops", PublicKeyBody=ED25519)
