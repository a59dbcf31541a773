"""Lists and objects in whole requests, through every door: what is answered with 200 was understood whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from kiln.declare.products import ECS
from kiln.operations import CATALOGUE
from kiln.store import images, tags
from kiln.wire.dispatch import Dispatcher
from kiln.wire.doors.door import RawRequest
from kiln.wire.gateway import Gateway
from kiln.wire.nonces import MemoryNonces
from kiln.wire.signatures import acs3, rpc
from tests.clouds import REGION, Cloud, make_cloud
from tests.fuzz.requests import HOST, KEY_ID, SECRET, WAYS, a_nonce
from tests.fuzz.target import OneAccount
from tests.stock import a_snapshot, an_instance
from tests.wire.raw import raw_request

Way = Callable[[str, Mapping[str, Any], float], RawRequest]

JSON = "application/json"


def utc(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def by_acs3_body(action: str, params: Mapping[str, Any], now: float) -> RawRequest:
    """As the current SDK sends a JSON body."""
    body = json.dumps(params).encode()
    headers = acs3.sign(
        method="POST", host=HOST, action=action, version=ECS.version, query={}, key_id=KEY_ID, secret=SECRET,
        date=utc(now), nonce=a_nonce(), body=body, content_type=JSON,
    )  # fmt: skip
    return raw_request("POST", "/", list(headers.items()), body)


def by_asapi_body(action: str, params: Mapping[str, Any], now: float) -> RawRequest:
    """As Apsara Stack's SDK sends it: the values stay what they are, and the signature has them flat."""
    given = {"Action": action, "Version": ECS.version, "Product": "Ecs", "Format": "JSON", **params}
    signed = rpc.sign(
        given, method="POST", key_id=KEY_ID, secret=SECRET, timestamp=utc(now), nonce=a_nonce(),
        signature_version="2.1", signature_method="HMAC-SHA256",
    )  # fmt: skip
    ceremony = {name: text for name, text in signed.items() if name.startswith(("Signature", "Timestamp", "AccessKey"))}
    body = json.dumps(given | ceremony).encode()
    return raw_request("POST", "/asapi/v3/", [("host", HOST), ("content-type", JSON)], body)


by_every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
by_every_body = pytest.mark.parametrize("way", [by_acs3_body, by_asapi_body], ids=lambda way: way.__name__)


@pytest.fixture
def served(tmp_path, sqlite) -> tuple[Cloud, Callable[..., dict[str, Any]]]:
    """A Kiln, and what it answers to an action by a way."""
    cloud = make_cloud(tmp_path, sqlite)
    gateway = Gateway(Dispatcher(CATALOGUE, cloud.ports), OneAccount(), MemoryNonces(), cloud.clock)

    def ask(way: Way, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
        answer = gateway.answer(way(action, {"RegionId": REGION, **params}, cloud.clock()))
        return {"status": answer.status} | json.loads(answer.body)

    return cloud, ask


def whole(cloud: Cloud, image: str) -> tuple[int, dict[str, str], str]:
    """How many disks, which tags, and which ImdsSupport the image has."""
    with cloud.ports.database.read() as tx:
        album = images.find(tx, cloud.account, REGION, [image])
        labels = {tag.key: tag.value for tag in tags.of_one(tx, "image", image)}
    return len(album.disks[image]), labels, album.images[0].system.imds_support


MEANT = (2, {"a": "b", "c": ""}, "v2")


def as_objects(snapshot: str) -> dict[str, Any]:
    return {
        "DiskDeviceMapping": [{"SnapshotId": snapshot}, {"Size": "20"}],
        "Tag": [{"Key": "a", "Value": "b"}, {"Key": "c"}],
        "Features": {"ImdsSupport": "v2"},
    }


@by_every_way
def test_an_image_is_made_of_what_was_sent_as_json_text(served, way):
    cloud, ask = served
    sent = {name: json.dumps(value) for name, value in as_objects(a_snapshot(cloud).id).items()}

    assert whole(cloud, ask(way, "CreateImage", sent)["ImageId"]) == MEANT


@by_every_body
def test_an_image_is_made_of_what_was_sent_in_a_json_body(served, way):
    cloud, ask = served

    assert whole(cloud, ask(way, "CreateImage", as_objects(a_snapshot(cloud).id))["ImageId"]) == MEANT


@by_every_way
@pytest.mark.parametrize(
    "odd",
    [{"Tag.1": "foo"}, {"Tag[0].Key": "a"}, {"tag.1.Key": "a"}, {"Tag.1.KEY": "a"}, {"Tag": "a"}, {"Tags.1.Key": "a"},
     {"Features": "v2"}, {"Features.1.ImdsSupport": "v2"}, {"DiskDeviceMapping.x.Size": "20"}, {"SnapshotId.1": "s-1"},
     {"DiskDeviceMapping": '[{"Size":20}'}, {"DiskDeviceMapping.1.size": "20"}],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_understood_makes_no_image(served, way, odd):
    cloud, ask = served
    before = cloud.contents()

    answer = ask(way, "CreateImage", {"SnapshotId": a_snapshot(cloud, volume=None).id} | odd)

    assert (answer["status"], answer["Code"]) == (400, "InvalidParameter")
    assert ".".join(next(iter(odd)).split(".")[:2]) in answer["Message"]
    assert cloud.contents()["images"] == before["images"]


@by_every_way
def test_a_filter_lets_pass_what_it_names_however_it_is_spelled(served, way):
    cloud, ask = served
    one, _ = an_instance(cloud, system_disk=False).id, an_instance(cloud, system_disk=False).id

    for sent, found in [
        ({"InstanceIds": json.dumps([one])}, 1), ({"InstanceIds.1": one}, 1), ({"InstanceIds": "[]"}, 0),
        ({"InstanceIds": "[ ]"}, 0), ({"Tag": "[]"}, 0), ({"Filter": "[]"}, 0), ({"InstanceIds.1": ""}, 0), ({}, 2),
    ]:  # fmt: skip
        assert ask(way, "DescribeInstances", sent)["TotalCount"] == found, sent


@by_every_body
def test_an_empty_array_of_a_json_body_does_not_let_everything_pass(served, way):
    cloud, ask = served
    an_instance(cloud, system_disk=False)

    for name in ("InstanceIds", "Tag", "Filter"):
        answer = ask(way, "DescribeInstances", {name: []})
        # The signature of ASAPI has no word for an empty list, so that door refuses it and says what to send.
        assert answer.get("TotalCount") == 0 or (answer["status"], answer["Code"]) == (400, "InvalidParameter")
        assert ask(way, "DescribeInstances", {name: "[]"})["TotalCount"] == 0
