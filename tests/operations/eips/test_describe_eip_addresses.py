"""DescribeEipAddresses, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.ground.clock import from_text
from tests.clouds import OTHER, REGION
from tests.nets import an_eip
from tests.stock import an_instance


def test_tells_all_that_is_known(cloud):
    eip = an_eip(cloud, name="web", description="Of the web", created_at=1_795_000_000.0)
    instance = an_instance(cloud).id
    cloud.call("AssociateEipAddress", AllocationId=eip.id, InstanceId=instance)

    (one,) = cloud.call("DescribeEipAddresses", AllocationId=eip.id)["EipAddresses"]["EipAddress"]

    assert one == {
        "AllocationId": eip.id,
        "IpAddress": "127.88.0.1",
        "Status": "InUse",
        "InstanceId": instance,
        "InstanceType": "EcsInstance",
        "Name": "web",
        "Description": "Of the web",
        "RegionId": REGION,
        "Bandwidth": "5",
        "EipBandwidth": "5",
        "InternetChargeType": "PayByTraffic",
        "ChargeType": "PostPaid",
        "ISP": "BGP",
        "AllocationTime": "2026-11-18T11:06:40Z",
        "ExpiredTime": "",
        "OperationLocks": {"LockReason": []},
        "ResourceGroupId": "",
    }


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, ["b", "a"]),
        ({"AllocationId": "eip-b,eip-none"}, ["b"]),
        ({"EipAddress": "127.88.0.1"}, ["a"]),
        ({"EipAddress": "127.88.0.1,127.88.0.2"}, ["b", "a"]),
        ({"EipName": "a"}, ["a"]),
        ({"Status": "Available"}, ["a"]),
        ({"Status": "InUse"}, ["b"]),
        ({"Status": "Associating"}, []),
        ({"AssociatedInstanceId": "i-b"}, ["b"]),
        ({"AssociatedInstanceType": "EcsInstance"}, ["b"]),
        ({"AssociatedInstanceType": "Nat"}, []),
        ({"ChargeType": "PrePaid"}, ["b"]),
        ({"ISP": "BGP_PRO"}, ["b"]),
        ({"LockReason": "financial"}, []),
        ({"ResourceGroupId": "rg-tests"}, ["b"]),
        ({"Filter.1.Key": "CreationStartTime", "Filter.1.Value": "2026-11-23T07:00Z"}, ["b"]),
        ({"PageSize": "1", "PageNumber": "2"}, ["a"]),
    ],
)
def test_narrows_the_list(cloud, params, names):
    an_eip(cloud, name="a", created_at=from_text("2026-11-23T06:00Z"))
    an_eip(
        cloud,
        id="eip-b",
        name="b",
        address="127.88.0.2",
        status="InUse",
        instance="i-b",
        interface="eni-b",
        charge_type="PrePaid",
        isp="BGP_PRO",
        resource_group="rg-tests",
        created_at=from_text("2026-11-23T08:00Z"),
    )
    an_eip(cloud, name="theirs", address="127.88.0.3", account=OTHER)

    answer = cloud.call("DescribeEipAddresses", params)

    assert [one["Name"] for one in answer["EipAddresses"]["EipAddress"]] == names


@pytest.mark.parametrize(
    ("code", "params"),
    [
        ("InvalidFilterKey.NotFound", {"Filter.1.Key": "Name", "Filter.1.Value": "a"}),
        ("InvalidFilterValue", {"Filter.1.Key": "CreationStartTime", "Filter.1.Value": "now"}),
    ],
)
def test_refuses(cloud, code, params):
    cloud.refuses("DescribeEipAddresses", code, 404, params)


def test_rehearses_when_asked(cloud):
    cloud.refuses("DescribeEipAddresses", "DryRunOperation", 400, {}, DryRun=True)
