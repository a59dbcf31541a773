from __future__ import annotations

from kiln.client import signature
from kiln.wire.signatures import acs3

EMPTY_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

PUBLISHED_QUERY = {"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"}
PUBLISHED_HEADERS = {
    "host": "ecs.cn-shanghai.aliyuncs.com",
    "x-acs-action": "RunInstances",
    "x-acs-content-sha256": EMPTY_HASH,
    "x-acs-date": "2023-10-26T10:22:32Z",
    "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
    "x-acs-version": "2014-05-26",
}


def test_hashes_an_empty_body_as_published():
    assert signature.hash_body(b"") == EMPTY_HASH


def test_signs_the_published_example():
    canonical = signature.canonical("POST", PUBLISHED_QUERY, PUBLISHED_HEADERS, EMPTY_HASH)

    proof = signature.sign("YourAccessKeySecret", canonical)

    assert proof == "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"


def test_escapes_all_but_the_unreserved_characters():
    encoded = signature.encode({"b": "a b*c~d/é", "a": ""})

    assert encoded == "a=&b=a%20b%2Ac~d%2F%C3%A9"


def test_agrees_with_the_server_on_a_form():
    body = signature.encode({"ImageName": "a b", "Tag.1.Value": ""}).encode()
    headers = {
        "host": "127.0.0.1:8787",
        "content-type": "application/x-www-form-urlencoded",
        "x-acs-content-sha256": signature.hash_body(body),
    }

    mine = signature.authorization("id", "secret", "POST", headers, signature.hash_body(body))

    found = acs3.find_authorization(mine)
    assert found is not None
    theirs = acs3.stages(
        method="POST",
        path="/",
        query={},
        headers=headers,
        signed_headers=found.signed_headers,
        body_hash=acs3.hash_body(found.algorithm, body),
        secret="secret",
    )
    assert found.signature == theirs.signature
