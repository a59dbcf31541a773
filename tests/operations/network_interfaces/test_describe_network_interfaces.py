"""DescribeNetworkInterfaces, as a caller meets it."""

from __future__ import annotations

import pytest

from tests.clouds import ACCOUNT, OTHER, REGION
from tests.nets import a_group, an_eip, the_default_vpc
from tests.stock import an_instance


def ids(answer):
    return [one["NetworkInterfaceId"] for one in answer["NetworkInterfaceSets"]["NetworkInterfaceSet"]]


def test_tells_all_that_is_known(cloud):
    instance = an_instance(cloud, system_disk=False, created_at=1_795_000_000.0, resource_group="rg-tests").id
    eip = an_eip(cloud)
    cloud.call("AssociateEipAddress", AllocationId=eip.id, InstanceId=instance)
    (seen,) = cloud.call("DescribeInstances")["Instances"]["Instance"]
    (card,) = seen["NetworkInterfaces"]["NetworkInterface"]
    public = {"AllocationId": eip.id, "PublicIpAddress": eip.address}

    answer = cloud.call("DescribeNetworkInterfaces", {"NetworkInterfaceId.1": card["NetworkInterfaceId"]})

    assert answer == {
        "NetworkInterfaceSets": {
            "NetworkInterfaceSet": [
                {
                    "NetworkInterfaceId": card["NetworkInterfaceId"],
                    "NetworkInterfaceName": "",
                    "Description": "",
                    "Type": "Primary",
                    "Status": "InUse",
                    "InstanceId": instance,
                    "Attachment": {"InstanceId": ""},
                    "MacAddress": card["MacAddress"],
                    "PrivateIpAddress": card["PrimaryIpAddress"],
                    "PrivateIpSets": {
                        "PrivateIpSet": [
                            {
                                "PrivateIpAddress": card["PrimaryIpAddress"],
                                "PrivateDnsName": "",
                                "Primary": True,
                                "AssociatedPublicIp": public,
                            }
                        ]
                    },
                    "Ipv6Sets": {"Ipv6Set": []},
                    "AssociatedPublicIp": public,
                    "SecurityGroupIds": seen["SecurityGroupIds"],
                    "VpcId": seen["VpcAttributes"]["VpcId"],
                    "VSwitchId": seen["VpcAttributes"]["VSwitchId"],
                    "ZoneId": seen["ZoneId"],
                    "ResourceGroupId": "rg-tests",
                    "OwnerId": ACCOUNT,
                    "CreationTime": "2026-11-18T11:06:40Z",
                    "DeleteOnRelease": True,
                    "NetworkInterfaceTrafficMode": "Standard",
                    "QueueNumber": 1,
                    "ServiceManaged": False,
                    "ServiceID": 0,
                    "Tags": {"Tag": []},
                }
            ]
        },
        "TotalCount": 1,
        "PageNumber": 1,
        "PageSize": 10,
        "NextToken": "",
    }


def test_tells_an_address_of_the_instances_own(cloud):
    an_instance(cloud, system_disk=False, public_ip="127.88.0.9")

    (one,) = cloud.call("DescribeNetworkInterfaces")["NetworkInterfaceSets"]["NetworkInterfaceSet"]

    assert one["AssociatedPublicIp"] == {"AllocationId": "", "PublicIpAddress": "127.88.0.9"}


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, "ba"),
        ({"NetworkInterfaceId.1": "eni-a", "NetworkInterfaceId.2": "eni-none"}, "a"),
        ({"Type": "Primary"}, "ba"),
        ({"Type": "Secondary"}, ""),
        ({"Status": "InUse"}, "ba"),
        ({"Status": "Available"}, ""),
        ({"InstanceId": "i-b"}, "b"),
        ({"VpcId": "vpc-b"}, "b"),
        ({"VSwitchId": "vsw-b"}, "b"),
        ({"PrimaryIpAddress": "10.9.0.1"}, "b"),
        ({"PrivateIpAddress.1": "10.9.0.1", "PrivateIpAddress.2": "10.9.0.7"}, "b"),
        ({"Ipv6Address.1": "fd00::1"}, ""),
        ({"ResourceGroupId": "rg-b"}, "b"),
        ({"NetworkInterfaceName": "web"}, ""),
        ({"ServiceManaged": "true"}, ""),
        ({"ServiceManaged": "false"}, "ba"),
        ({"Tag.1.Key": "owner"}, ""),
        ({"PageSize": "1", "PageNumber": "2"}, "a"),
    ],
)
def test_narrows_the_list(cloud, params, found):
    an_instance(cloud, id="i-a", system_disk=False, created_at=1_795_000_000.0)
    elsewhere = {"vpc": "vpc-b", "vswitch": "vsw-b", "private_ip": "10.9.0.1"}
    an_instance(cloud, id="i-b", system_disk=False, created_at=1_795_000_060.0, resource_group="rg-b", card=elsewhere)
    an_instance(cloud, id="i-c", system_disk=False, account=OTHER)

    assert ids(cloud.call("DescribeNetworkInterfaces", params)) == [f"eni-{name}" for name in found]


def test_finds_the_interfaces_of_a_security_group(cloud):
    one, two = (an_instance(cloud, system_disk=False).id for _ in range(2))
    group = a_group(cloud, the_default_vpc(cloud)).id
    cloud.call("JoinSecurityGroup", SecurityGroupId=group, InstanceId=two)

    (card,) = cloud.call("DescribeNetworkInterfaces", SecurityGroupId=group)["NetworkInterfaceSets"][
        "NetworkInterfaceSet"
    ]

    assert card["InstanceId"] == two
    assert group in card["SecurityGroupIds"]["SecurityGroupId"]
    assert len(ids(cloud.call("DescribeNetworkInterfaces"))) == len({one, two})


def test_goes_on_by_token_in_answers_of_ten_or_more(cloud):
    for n in range(12):
        an_instance(cloud, id=f"i-{n:02}", system_disk=False, created_at=1_795_000_000.0 + n, card={"vswitch": f"{n}"})

    first = cloud.call("DescribeNetworkInterfaces", MaxResults="1")
    second = cloud.call("DescribeNetworkInterfaces", MaxResults="9999", NextToken=first["NextToken"])

    assert ids(first) == [f"eni-{n:02}" for n in range(11, 1, -1)]
    assert ids(second) == ["eni-01", "eni-00"]
    assert (first["PageSize"], second["PageSize"], second["NextToken"]) == (10, 500, "")


def test_is_empty_once_the_instance_is_gone(cloud):
    instance = an_instance(cloud).id
    cloud.call("DeleteInstance", InstanceId=instance)
    cloud.settle()

    assert ids(cloud.call("DescribeNetworkInterfaces", InstanceId=instance)) == []
    assert ids(cloud.call("DescribeNetworkInterfaces")) == []


def test_is_of_one_region(cloud):
    an_instance(cloud, system_disk=False)

    regions = {one["RegionId"] for one in cloud.call("DescribeRegions")["Regions"]["Region"]} - {REGION}

    for region in regions:
        assert ids(cloud.call("DescribeNetworkInterfaces", RegionId=region)) == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"NextToken": "anybody's"}, "InvalidParameter"),
        ({"Tag.1.Value": "lonely"}, "InvalidTag.Mismatch"),
    ],
)
def test_refuses_what_no_list_takes(cloud, params, code):
    cloud.refuses("DescribeNetworkInterfaces", code, 400, params)
