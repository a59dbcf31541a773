"""What counts as the same request when a ClientToken comes again."""

from __future__ import annotations

import hashlib
import json

import pytest

from kiln.operations import ALL
from kiln.operations.network_words import NoTag
from kiln.store.tokens import Token, tokens
from kiln.wire.decode import decode
from kiln.wire.idempotence import digest_of, is_of
from tests.catalogue import BY_NAME
from tests.clouds import ACCOUNT, REGION, Cloud
from tests.samples import around, least, places
from tests.stock import a_snapshot

#: As Kiln wrote it before digests bore a version, of REQUEST.
FIRST = "730ea911f634f3b69c56d9ee163c050639ef8e2fb4da953642a33f64de2929ba"
SECOND = "2:3d2b93fb15a6d0dfcfea9e8e8d3aed3a5abcd998f0b2a7358085822c9d313422"
THIRD = "3:3d2b93fb15a6d0dfcfea9e8e8d3aed3a5abcd998f0b2a7358085822c9d313422"
REQUEST = {
    "RegionId": "r", "SnapshotId": "s-1", "ImageName": "web", "Tag.1.Key": "b", "Tag.2.Key": "a", "Tag.2.Value": "x",
    "DiskDeviceMapping.1.Size": "20", "Features.ImdsSupport": "v2",
}  # fmt: skip

LISTS = [
    place
    for operation in ALL
    if operation.idempotent is not None
    for place in places(operation)
    # One of which every part is declined has no order: nothing can be said of it.
    if place.field.repeated and not place.under and place.field.kind is not NoTag
]
PARTS = {
    "Permissions": "IpProtocol",
    "DataDisk": "Size",
    "Disk": "DiskId",
    "DiskDeviceMapping": "Device",
    "Arn": "Rolearn",
    "NetworkInterface": "VSwitchId",
}
SETS = {
    *("Tag", "Arn", "SecurityGroupIds", "Ipv6Address", "InstanceId", "ResourceTag"),
    *("Disk", "DiskId", "ExcludeDiskId"),
}


def given(action: str, params: dict[str, str]) -> object:
    return decode(BY_NAME[action].input, params)


def test_a_digest_is_what_it_was():
    """Tokens are kept for days: a change here is a new version, beside which the older ones are still read."""
    assert digest_of(given("CreateImage", REQUEST)) == THIRD


@pytest.mark.parametrize("digest", [FIRST, SECOND, THIRD])
def test_digests_of_every_version_are_compared(digest):
    assert is_of(digest, given("CreateImage", REQUEST))
    assert not is_of(digest, given("CreateImage", REQUEST | {"ImageName": "other"}))
    assert not is_of("4:" + digest[-64:], given("CreateImage", REQUEST))


def test_a_set_of_an_older_kiln_has_the_order_in_which_it_came():
    """``InstanceId`` of DeleteInstances was a list to the second version."""
    asked = {"RegionId": "r", "InstanceId.1": "i-2", "InstanceId.2": "i-1"}
    second = hashlib.sha256(json.dumps({"RegionId": "r", "InstanceId": ["i-2", "i-1"]}).encode()).hexdigest()

    assert is_of(f"2:{second}", given("DeleteInstances", asked))
    assert not is_of(f"3:{second}", given("DeleteInstances", asked))


def test_what_comes_twice_in_a_set_counts_once():
    once = {"RegionId": "r", "InstanceId.1": "i-2", "InstanceId.2": "i-1"}

    twice = digest_of(given("DeleteInstances", once | {"InstanceId.3": "i-2"}))

    assert twice == digest_of(given("DeleteInstances", once))
    assert twice != digest_of(given("DeleteInstances", once | {"InstanceId.3": "i-3"}))


@pytest.mark.parametrize("place", LISTS, ids=str)
def test_the_order_of_a_set_means_nothing_and_that_of_a_list_counts(place):
    field = place.field
    if field.is_shape:
        part = PARTS.get(field.wire, "Key")
        values = ("20", "30") if part.endswith("Size") else ("a1", "b2")
        names = [f"{field.wire}.{n}.{part}" for n in (1, 2)]
        beside = least(field.kind, f"{field.wire}.1.") | least(field.kind, f"{field.wire}.2.")
    else:
        values, names, beside = ("a1", "b2"), [f"{field.wire}.{n}" for n in (1, 2)], {}
    base = {k: v for k, v in around(place).items() if not k.startswith(field.wire + ".")} | beside

    one, other = (
        digest_of(decode(place.shape, base | dict(zip(names, order, strict=True)))) for order in (values, values[::-1])
    )

    assert (one == other) == (field.wire in SETS)


def image(cloud: Cloud, **more) -> str:
    return cloud.call("CreateImage", {"ClientToken": "t"} | more)["ImageId"]


def test_a_retry_with_the_same_tags_in_another_order_gives_the_same(cloud: Cloud):
    snapshot = a_snapshot(cloud).id
    tags = [
        {"Tag.1.Key": "a", "Tag.2.Key": "b"},
        {"Tag.1.Key": "b", "Tag.2.Key": "a"},
        {"Tag.7.key": "b", "Tag.9.Key": "a"},
    ]

    assert len({image(cloud, SnapshotId=snapshot, **one) for one in tags}) == 1


def test_a_token_that_an_older_kiln_wrote_is_heeded(cloud: Cloud):
    snapshot = a_snapshot(cloud).id
    content = {"RegionId": REGION, "SnapshotId": snapshot, "Tag": [{"Key": "b"}, {"Key": "a"}]}
    row = Token(
        account=ACCOUNT, action="CreateImage", token="t", answer='{"ImageId": "m-old"}', created_at=cloud.clock(),
        digest=hashlib.sha256(json.dumps(content).encode()).hexdigest(),
    )  # fmt: skip
    cloud.ports.database.write(lambda tx: tokens.insert(tx, row))

    assert image(cloud, SnapshotId=snapshot, **{"Tag.1.Key": "b", "Tag.2.Key": "a"}) == "m-old"
    cloud.refuses("CreateImage", "IdempotenceParamNotMatch", 400, ClientToken="t", SnapshotId="s-other")


class TestDryRun:
    def test_of_a_token_that_was_used_for_the_same_passes(self, cloud: Cloud):
        snapshot = a_snapshot(cloud).id
        image(cloud, SnapshotId=snapshot, ImageName="web")

        # Without the token the name is taken by now; with it the request would only be answered again.
        cloud.refuses(
            "CreateImage", "InvalidImageName.Duplicated", 400, SnapshotId=snapshot, ImageName="web", DryRun=True
        )
        cloud.refuses(
            "CreateImage", "DryRunOperation", 400, SnapshotId=snapshot, ImageName="web", DryRun=True, ClientToken="t"
        )

    def test_of_a_token_that_was_used_for_other_says_so(self, cloud: Cloud):
        snapshot = a_snapshot(cloud).id
        image(cloud, SnapshotId=snapshot)

        cloud.refuses(
            "CreateImage",
            "IdempotenceParamNotMatch",
            400,
            SnapshotId=snapshot,
            ImageName="web",
            DryRun=True,
            ClientToken="t",
        )

    def test_uses_no_token_up(self, cloud: Cloud):
        snapshot = a_snapshot(cloud).id
        cloud.refuses("CreateImage", "DryRunOperation", 400, SnapshotId=snapshot, DryRun=True, ClientToken="t")

        assert image(cloud, SnapshotId=snapshot, ImageName="other")
