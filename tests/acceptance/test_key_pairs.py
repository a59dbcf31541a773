"""A key pair's whole life, by the current SDK."""

from __future__ import annotations

import json
import subprocess

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_tea_openapi.exceptions import ClientException

from tests.stock import ED25519
from tests.tools import wants

pytestmark = pytest.mark.sdk


def test_is_made_attached_shown_detached_and_deleted(kiln, kiln_ecs, instance, name, tmp_path):
    client, region, named = kiln_ecs, {"region_id": kiln.region}, {"region_id": kiln.region, "key_pair_name": name}
    label = models.CreateKeyPairRequestTag(key="made-by", value=name)
    made = client.create_key_pair(models.CreateKeyPairRequest(**named, tag=[label])).body
    check_private_key(made.private_key_body, made.key_pair_finger_print, tmp_path)

    ids = json.dumps([instance])
    attached = client.attach_key_pair(models.AttachKeyPairRequest(**named, instance_ids=ids)).body
    assert [(one.instance_id, one.success, one.code) for one in attached.results.result] == [(instance, "true", "200")]
    shown = client.describe_instances(models.DescribeInstancesRequest(**named)).body.instances.instance
    assert [(one.instance_id, one.key_pair_name) for one in shown] == [(instance, name)]
    with pytest.raises(ClientException) as refused:
        client.delete_key_pairs(models.DeleteKeyPairsRequest(**region, key_pair_names=json.dumps([name])))
    assert refused.value.code == "InvalidParameter.KeypairAlreadyAttachedInstance"

    detached = client.detach_key_pair(models.DetachKeyPairRequest(**named, instance_ids=ids)).body
    assert (detached.total_count, detached.fail_count) == ("1", "0")
    asked = models.DescribeKeyPairsRequest(**named, include_public_key=True)
    (found,) = client.describe_key_pairs(asked).body.key_pairs.key_pair
    assert found.public_key.startswith("ssh-rsa ")
    assert found.key_pair_finger_print == made.key_pair_finger_print
    assert [(tag.tag_key, tag.tag_value) for tag in found.tags.tag] == [("made-by", name)]
    client.delete_key_pairs(models.DeleteKeyPairsRequest(**region, key_pair_names=json.dumps([name])))
    assert client.describe_key_pairs(asked).body.total_count == 0


def test_is_brought_in_and_refused_under_a_name_that_is_taken(kiln, kiln_ecs, name):
    given = models.ImportKeyPairRequest(region_id=kiln.region, key_pair_name=name, public_key_body=ED25519)

    assert kiln_ecs.import_key_pair(given).body.key_pair_name == name

    with pytest.raises(ClientException) as refused:
        kiln_ecs.import_key_pair(given)
    assert refused.value.code == "KeyPair.AlreadyExist"


def check_private_key(body: str, fingerprint: str, folder) -> None:
    """That ssh takes it as it is, and knows it by the fingerprint."""
    wants("ssh-keygen")
    path = folder / "key.pem"
    path.touch(0o600)
    path.write_text(body)
    derived = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, text=True, check=True).stdout
    (folder / "key.pub").write_text(derived)
    telling = ["ssh-keygen", "-l", "-E", "md5", "-f", folder / "key.pub"]
    told = subprocess.run(telling, capture_output=True, text=True, check=True)
    assert told.stdout.split()[1] == f"MD5:{fingerprint}"
