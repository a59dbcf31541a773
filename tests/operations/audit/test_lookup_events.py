"""LookupEvents, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.calls.origin import Origin
from kiln.calls.sessions import Session
from kiln.declare.ids import PREFIXES
from kiln.ground.clock import to_seconds_text
from kiln.operations.audit.parts.events import TYPES
from kiln.store.audit import audit
from kiln.wire.telling import MASK
from tests.catalogue import key_of
from tests.clouds import ACCOUNT, OTHER, REGION
from tests.reading import every
from tests.stock import an_instance

A_DISK = {"ZoneId": f"{REGION}-a", "Size": "20", "DiskName": "first"}


def events(cloud, account=None, **more):
    return cloud.call("LookupEvents", _flat(more), account=account)["Events"]


def _flat(more):
    """``LookupAttribute=(("EventName", "CreateDisk"),)`` as the wire has it."""
    pairs = more.pop("LookupAttribute", ())
    return more | {
        f"LookupAttribute.{n}.{name}": text
        for n, pair in enumerate(pairs, 1)
        for name, text in zip(("Key", "Value"), pair, strict=True)
    }


def test_tells_what_a_call_was_and_what_came_of_it(cloud):
    origin = Origin(
        access_key_id="LTAI5t", host="ecs.example.com", peer="192.0.2.7", request_id="R-1", user_agent="aliyun-cli/3"
    )
    answer = cloud.dispatcher.dispatch(ACCOUNT, key_of("CreateDisk"), {"RegionId": REGION, **A_DISK}, origin)

    (event,) = events(cloud)

    assert event == {
        "eventId": "R-1",
        "eventVersion": 1,
        "eventCategory": "Management",
        "eventType": "ApiCall",
        "eventName": "CreateDisk",
        "eventRW": "Write",
        "eventSource": "ecs.example.com",
        "eventTime": event["eventTime"],
        "serviceName": "Ecs",
        "apiVersion": "2014-05-26",
        "acsRegion": REGION,
        "isGlobal": False,
        "requestId": "R-1",
        "recipientAccountId": ACCOUNT,
        "sourceIpAddress": "192.0.2.7",
        "userAgent": "aliyun-cli/3",
        "userIdentity": {
            "type": "root-account",
            "principalId": ACCOUNT,
            "accountId": ACCOUNT,
            "userName": "root",
            "accessKeyId": "LTAI5t",
        },
        "referencedResources": {"ACS::ECS::Disk": [answer["DiskId"]]},
        "additionalEventData": {"Scheme": "http"},
        "errorCode": "",
        "errorMessage": "",
        "requestParameters": {"RegionId": REGION, **A_DISK},
        "responseElements": answer,
    }


@pytest.mark.parametrize(
    ("origin", "kind", "name"),
    [
        (Origin(person="alice@example.com"), "ram-user", "alice@example.com"),
        (
            Origin(session=Session(role="packer", name="build-7", parent="LTAI5t", expires_at=2e9)),
            "assumed-role",
            "packer:build-7",
        ),
    ],
)
def test_tells_persons_and_roles_apart(cloud, origin, kind, name):
    cloud.dispatcher.dispatch(ACCOUNT, key_of("CreateDisk"), {"RegionId": REGION, **A_DISK}, origin)
    cloud.call("CreateDisk", A_DISK)

    (event,) = events(cloud, LookupAttribute=(("User", name),))

    assert (event["userIdentity"]["type"], event["userIdentity"]["userName"]) == (kind, name)


def test_tells_every_resource_that_has_an_identifier_by_its_type():
    assert set(PREFIXES) - set(TYPES) == {"volume", "terminal_session"}


def test_tells_what_became_of_a_webhook(cloud):
    made = cloud.call("CreateWebhook", Url="https://events.example.com/")["WebhookId"]
    cloud.call("DeleteWebhook", WebhookId=made)

    found = events(cloud, LookupAttribute=(("ResourceType", "ACS::Kiln::Webhook"),))
    assert [event["eventName"] for event in found] == ["DeleteWebhook", "CreateWebhook"]
    assert [event["referencedResources"] for event in found] == [{"ACS::Kiln::Webhook": [made]}] * 2


def test_tells_nothing_of_another_account(cloud):
    cloud.call("CreateDisk", A_DISK)
    cloud.call("CreateDisk", A_DISK | {"DiskName": "theirs"}, account=OTHER)

    (event,) = events(cloud)

    assert event["requestParameters"]["DiskName"] == "first"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ServiceName", "Vpc"),
        ("EventName", "CreateVpc"),
        ("ResourceType", "ACS::VPC::VPC"),
        ("ResourceName", "the VPC"),
        ("EventId", "its event"),
        ("EventAccessKeyId", "LTAI5t"),
    ],
)
def test_finds_by(cloud, key, value):
    cloud.call("CreateDisk", A_DISK)
    origin = Origin(access_key_id="LTAI5t", request_id="R-1")
    vpc = cloud.dispatcher.dispatch(ACCOUNT, key_of("CreateVpc"), {"RegionId": REGION}, origin)["VpcId"]

    told = events(cloud, LookupAttribute=((key, {"the VPC": vpc, "its event": "R-1"}.get(value, value)),))

    assert [event["eventName"] for event in told] == ["CreateVpc"]


def test_finds_only_what_meets_all_conditions(cloud):
    cloud.call("CreateDisk", A_DISK)
    cloud.call("CreateVpc")

    assert events(cloud, LookupAttribute=(("EventName", "CreateDisk"), ("ServiceName", "Vpc"))) == []
    assert events(cloud, LookupAttribute=(("EventName", "CreateDisk"), ("EventRW", "Read"))) == []
    assert len(events(cloud, LookupAttribute=(("EventName", "CreateDisk"), ("EventRW", "Write")))) == 1


@pytest.mark.parametrize(("direction", "names"), [("BACKWARD", "cba"), ("FORWARD", "abc")])
def test_gives_all_of_them_page_by_page(cloud, direction, names):
    for name in "abc":
        cloud.call("CreateDisk", A_DISK | {"DiskName": name * 2})

    found, token = [], ""
    while True:
        answer = cloud.call("LookupEvents", Direction=direction, MaxResults=2, NextToken=token)
        found += [event["requestParameters"]["DiskName"][0] for event in answer["Events"]]
        token = answer["NextToken"]
        if not token:
            break

    assert found == list(names)


def test_gives_those_of_a_time_the_whole_second(cloud):
    cloud.call("CreateDisk", A_DISK)
    then = to_seconds_text(cloud.clock.now)
    cloud.clock.now += 60
    cloud.call("CreateVpc")

    names = [[event["eventName"] for event in events(cloud, **span)] for span in ({"EndTime": then}, {})]

    assert names == [["CreateDisk"], ["CreateVpc", "CreateDisk"]]
    assert [event["eventName"] for event in events(cloud, StartTime=then, EndTime=then)] == ["CreateDisk"]
    assert events(cloud, EndTime="0001-01-02T00:00:00Z") == []
    cloud.clock.now += 8 * 86400
    assert events(cloud) == []


@pytest.mark.parametrize(
    "params",
    [
        {"StartTime": "yesterday"},
        {"EndTime": "2026-11-23"},
        {"NextToken": "bm90aGluZw"},
        {"MaxResults": 51},
        {"Direction": "SIDEWAYS"},
        {"LookupAttribute.1.Key": "Colour", "LookupAttribute.1.Value": "red"},
    ],
)
def test_refuses_what_it_cannot_look_for(cloud, params):
    cloud.refuses("LookupEvents", "InvalidParameter", 400, params)


def test_tells_a_second_answer_to_one_token_as_a_call_of_its_own(cloud):
    first, again = (cloud.call("CreateDisk", A_DISK | {"ClientToken": "one"}) for _ in range(2))

    told = events(cloud)

    assert first == again
    assert [event["responseElements"] for event in told] == [first, again]
    assert len({event["eventId"] for event in told}) == 2


def test_tells_neither_reads_nor_dry_runs_nor_what_was_rolled_back(cloud):
    cloud.call("DescribeDisks")
    cloud.refuses("CreateDisk", "DryRunOperation", 400, A_DISK | {"DryRun": "true"})
    cloud.refuses("CreateDisk", "InvalidDiskName.Malformed", 400, A_DISK | {"DiskName": "1"})

    assert events(cloud) == []


def test_tells_no_secret(cloud):
    cloud.call("ModifyInstanceAttribute", InstanceId=an_instance(cloud).id, Password="Secret-0-Word")
    cloud.call("CreateLaunchTemplate", LaunchTemplateName="web", UserData="c2VjcmV0LXdvcmQ=")
    pair = cloud.call("CreateKeyPair", KeyPairName="mine")

    key, template, changed = events(cloud)

    assert changed["requestParameters"]["Password"] == template["requestParameters"]["UserData"] == MASK
    assert key["responseElements"]["PrivateKeyBody"] == MASK
    assert set(key["referencedResources"]["ACS::ECS::KeyPair"]) == {pair["KeyPairId"], "mine"}
    kept = repr(every(cloud, audit))
    assert "Secret-0-Word" not in kept
    assert "c2VjcmV0LXdvcmQ=" not in kept
    assert "PRIVATE KEY" not in kept
