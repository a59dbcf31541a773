"""DescribeInstances, as a caller meets it."""

from __future__ import annotations

import re

import pytest

from kiln.declare.states import InstanceStatus
from kiln.ground.clock import from_text
from kiln.store.interfaces import interface_id
from kiln.store.tags import put
from tests.clouds import ACCOUNT, OTHER, REGION, Cloud
from tests.nets import a_group, a_vpc, a_vswitch, an_eip
from tests.operations.instances.things import shown
from tests.stock import an_instance


def found(cloud: Cloud, params=None, /, **more) -> list[str]:
    answer = cloud.call("DescribeInstances", params or {}, **more)
    names = [one["InstanceName"] for one in answer["Instances"]["Instance"]]
    assert answer["TotalCount"] >= len(names)
    return names


def named(cloud: Cloud, name: str, **changes) -> str:
    return an_instance(cloud, system_disk=False, name=name, **changes).id


class TestShows:
    def test_what_is_known_of_an_instance(self, cloud):
        instance = an_instance(
            cloud,
            name="web",
            description="a web server",
            host_name="web-1",
            image="m-1",
            created_at=from_text("2026-11-23T06:07:05Z"),
            started_at=from_text("2026-11-23T06:08:05Z"),
            status=InstanceStatus.RUNNING,
            resource_group="rg-tests",
            key_pair="ops",
            public_ip="127.64.0.9",
            deletion_protection=True,
        )

        one = shown(cloud, instance.id)

        assert one["InstanceId"] == instance.id
        assert (one["InstanceName"], one["Description"], one["HostName"]) == ("web", "a web server", "web-1")
        assert (one["Status"], one["ImageId"]) == ("Running", "m-1")
        assert (one["RegionId"], one["ZoneId"]) == (REGION, REGION + "-a")
        assert (one["CreationTime"], one["StartTime"]) == ("2026-11-23T06:07Z", "2026-11-23T06:08Z")
        assert (one["InstanceType"], one["InstanceTypeFamily"]) == ("ecs.t5-lc2m1.nano", "ecs.t5")
        assert (one["Cpu"], one["Memory"], one["CpuOptions"]["CoreCount"]) == (1, 512, 1)
        assert (one["OSType"], one["OSName"], one["OSNameEn"]) == ("linux", "Debian", "Debian")
        assert (one["ResourceGroupId"], one["KeyPairName"]) == ("rg-tests", "ops")
        assert one["PublicIpAddress"] == {"IpAddress": ["127.64.0.9"]}
        assert (one["DeletionProtection"], one["InstanceChargeType"]) == (True, "PostPaid")
        assert one["MetadataOptions"] == {
            "HttpEndpoint": "enabled", "HttpTokens": "optional", "HttpPutResponseHopLimit": 0,
        }  # fmt: skip

    def test_containers_as_objects_even_when_they_are_empty(self, cloud):
        one = shown(cloud, an_instance(cloud).id)

        assert one["Tags"] == {"Tag": []}
        assert one["OperationLocks"] == {"LockReason": []}
        assert one["PublicIpAddress"] == one["RdmaIpAddress"] == {"IpAddress": []}
        assert one["EipAddress"]["IpAddress"] == one["EipAddress"]["AllocationId"] == ""
        assert None not in one.values()

    def test_where_it_is_in_its_network(self, cloud):
        vpc = a_vpc(cloud)
        switch, group = a_vswitch(cloud, vpc), a_group(cloud, vpc)
        card = {"vpc": vpc.id, "vswitch": switch.id, "private_ip": "10.0.0.3", "groups": [group.id]}

        one = shown(cloud, an_instance(cloud, card=card).id)

        assert (one["InstanceNetworkType"], one["InnerIpAddress"]) == ("vpc", {"IpAddress": []})
        assert one["SecurityGroupIds"] == {"SecurityGroupId": [group.id]}
        assert one["VpcAttributes"] == {
            "VpcId": vpc.id,
            "VSwitchId": switch.id,
            "NatIpAddress": "",
            "PrivateIpAddress": {"IpAddress": ["10.0.0.3"]},
        }

    def test_one_network_interface(self, cloud):
        card = {"private_ip": "172.31.0.1", "mac": "00:16:3e:00:00:01"}
        instance = an_instance(cloud, card=card).id

        (interface,) = shown(cloud, instance)["NetworkInterfaces"]["NetworkInterface"]

        assert (interface["MacAddress"], interface["PrimaryIpAddress"]) == ("00:16:3e:00:00:01", "172.31.0.1")
        assert re.fullmatch(r"eni-[a-z0-9]{20}", interface["NetworkInterfaceId"])
        (address,) = interface["PrivateIpSets"]["PrivateIpSet"]
        assert (address["PrivateIpAddress"], address["Primary"]) == ("172.31.0.1", True)

    def test_the_elastic_address_that_leads_to_it(self, cloud):
        instance = an_instance(cloud).id
        an_eip(cloud, id="eip-1", instance=instance, interface=interface_id(instance), status="InUse")

        assert shown(cloud, instance)["EipAddress"] == {
            "AllocationId": "eip-1",
            "IpAddress": "127.88.0.1",
            "Bandwidth": 5,
            "InternetChargeType": "PayByTraffic",
            "IsSupportUnassociate": True,
        }

    def test_locks_and_tags(self, cloud):
        instance = an_instance(cloud, lock_reason="financial").id
        cloud.ports.database.write(lambda tx: put(tx, ACCOUNT, "instance", instance, {"a": "b"}))

        one = shown(cloud, instance)

        assert one["OperationLocks"] == {"LockReason": [{"LockReason": "financial", "LockMsg": ""}]}
        assert one["Tags"] == {"Tag": [{"TagKey": "a", "TagValue": "b"}]}

    def test_an_instance_of_a_type_that_is_offered_no_more(self, cloud):
        one = shown(cloud, an_instance(cloud, instance_type="ecs.gone.tiny").id)

        assert (one["Cpu"], one["Memory"], one["InstanceTypeFamily"]) == (0, 0, "ecs.gone")

    def test_no_others(self, cloud):
        mine = an_instance(cloud).id
        an_instance(cloud, region="elsewhere")

        assert shown(cloud, mine, account=OTHER) is None
        assert cloud.call("DescribeInstances")["TotalCount"] == 1
        assert cloud.call("DescribeInstances", account=OTHER)["TotalCount"] == 0


class TestFilters:
    @pytest.mark.parametrize(
        ("params", "names"),
        [
            ({}, ["b", "a"]),
            ({"InstanceName": "a"}, ["a"]),
            ({"InstanceName": "*"}, ["b", "a"]),
            ({"Status": "Running"}, ["b"]),
            ({"ImageId": "m-b"}, ["b"]),
            ({"VpcId": "vpc-b"}, ["b"]),
            ({"VSwitchId": "vsw-b"}, ["b"]),
            ({"ZoneId": REGION + "-a"}, ["b", "a"]),
            ({"ZoneId": "elsewhere"}, []),
            ({"InstanceType": "ecs.g6.large"}, ["b"]),
            ({"InstanceTypeFamily": "ecs.g6"}, ["b"]),
            ({"InstanceTypeFamily": "ecs.t5"}, ["a"]),
            ({"SecurityGroupId": "sg-b"}, ["b"]),
            ({"InstanceNetworkType": "vpc"}, ["b", "a"]),
            ({"InstanceNetworkType": "classic"}, []),
            ({"InstanceChargeType": "PrePaid"}, ["b"]),
            ({"InternetChargeType": "PayByBandwidth"}, ["b"]),
            ({"KeyPairName": "b"}, ["b"]),
            ({"LockReason": "Financial"}, ["b"]),
            ({"ResourceGroupId": "rg-tests"}, ["b"]),
            ({"PrivateIpAddresses": '["172.16.0.3","172.16.0.2"]'}, ["b"]),
            ({"InnerIpAddresses": '["172.16.0.1","172.16.0.2"]'}, []),
            ({"PublicIpAddresses": '["127.64.0.2"]'}, ["b"]),
            ({"EipAddresses": '["127.64.0.2"]'}, []),
            ({"EipAddresses": '["127.64.0.2","127.88.0.1"]'}, ["b"]),
            ({"RdmaIpAddresses": '["127.64.0.2"]'}, []),
            ({"Ipv6Address.1": "::1"}, []),
            ({"HttpTokens": "required"}, ["b"]),
            ({"HttpEndpoint": "disabled"}, ["b"]),
            ({"IoOptimized": True}, ["b", "a"]),
            ({"IoOptimized": False}, []),
            ({"DeviceAvailable": False}, []),
            ({"HpcClusterId": "hpc-1"}, []),
            ({"Tag.1.Key": "k"}, ["b", "a"]),
            ({"Tag.1.Key": "k", "Tag.1.Value": "b"}, ["b"]),
            ({"Tag.1.Key": "k", "Tag.1.Value": "b", "Tag.2.Key": "only-a"}, []),
            ({"Filter.1.Key": "CreationStartTime", "Filter.1.Value": "2026-11-23T07:00Z"}, ["b"]),
            ({"Filter.1.Key": "CreationEndTime", "Filter.1.Value": "2026-11-23T07:00Z"}, ["a"]),
            ({"InstanceName": "b", "Status": "Stopped"}, []),
        ],
    )
    def test_narrow_the_list(self, cloud, params, names):
        a = named(cloud, "a", card={"private_ip": "172.16.0.1"}, created_at=from_text("2026-11-23T06:00Z"))
        b = named(
            cloud,
            "b",
            status=InstanceStatus.RUNNING,
            image="m-b",
            instance_type="ecs.g6.large",
            charge_type="PrePaid",
            internet_charge_type="PayByBandwidth",
            key_pair="b",
            lock_reason="financial",
            resource_group="rg-tests",
            public_ip="127.64.0.2",
            http_tokens="required",
            http_endpoint="disabled",
            created_at=from_text("2026-11-23T08:00Z"),
            card={"vpc": "vpc-b", "vswitch": "vsw-b", "groups": ["sg-x", "sg-b"], "private_ip": "172.16.0.2"},
        )
        an_eip(cloud, instance=b, interface=interface_id(b), status="InUse")

        def label(tx):
            put(tx, ACCOUNT, "instance", a, {"k": "a", "only-a": ""})
            put(tx, ACCOUNT, "instance", b, {"k": "b"})

        cloud.ports.database.write(label)

        assert found(cloud, params) == names

    def test_take_ids(self, cloud):
        one = named(cloud, "one")
        named(cloud, "two")

        assert found(cloud, InstanceIds=f'["{one}","i-unknown"]') == ["one"]
        assert found(cloud, InstanceIds=f"['{one}']") == ["one"]
        assert found(cloud, InstanceIds="[]") == []


class TestPages:
    def test_by_number(self, cloud):
        for n in range(5):
            named(cloud, f"n{n}")

        answer = cloud.call("DescribeInstances", PageNumber=2, PageSize=2)

        assert [one["InstanceName"] for one in answer["Instances"]["Instance"]] == ["n2", "n1"]
        assert (answer["TotalCount"], answer["PageNumber"], answer["PageSize"]) == (5, 2, 2)

    def test_of_ten_when_nothing_is_said(self, cloud):
        for n in range(11):
            named(cloud, f"n{n}")

        answer = cloud.call("DescribeInstances")

        assert len(answer["Instances"]["Instance"]) == answer["PageSize"] == 10
        assert answer["PageNumber"] == 1

    def test_by_token(self, cloud):
        for n in range(25):
            named(cloud, f"n{n}", created_at=1_795_000_000.0 + n // 3)

        seen, token = [], ""
        for _ in range(3):
            answer = cloud.call("DescribeInstances", NextToken=token, MaxResults=10)
            seen += [one["InstanceName"] for one in answer["Instances"]["Instance"]]
            token = answer["NextToken"]

        assert len(seen) == len(set(seen)) == 25
        assert token == ""

    @pytest.mark.parametrize(("said", "size"), [(1, 10), (11, 11), (1000, 100)])
    def test_of_no_less_than_ten_and_no_more_than_a_hundred(self, cloud, said, size):
        for n in range(12):
            named(cloud, f"n{n}")

        answer = cloud.call("DescribeInstances", MaxResults=said)

        assert len(answer["Instances"]["Instance"]) == min(size, 12)
        assert answer["PageSize"] == size


class TestRefuses:
    @pytest.mark.parametrize(
        ("code", "status", "params"),
        [
            ("DryRunOperation", 400, {"DryRun": True}),
            ("InvalidStatus.NotFound", 404, {"Status": "Sleeping"}),
            ("InvalidNetworkType.NotFound", 404, {"InstanceNetworkType": "mesh"}),
            ("InvalidInstanceChargeType.NotFound", 404, {"InstanceChargeType": "Free"}),
            ("InvalidInternetChargeType.ValueNotSupported", 404, {"InternetChargeType": "Free"}),
            ("InvalidLockReason.NotFound", 404, {"LockReason": "boredom"}),
            ("InvalidTag.Mismatch", 400, {"Tag.1.Value": "x"}),
            ("InvalidTagCount", 400, {f"Tag.{n}.Key": f"k{n}" for n in range(1, 22)}),
            ("InvalidFilterKey.NotFound", 404, {"Filter.1.Key": "Colour", "Filter.1.Value": "red"}),
            ("InvalidFilterValue", 404, {"Filter.1.Key": "CreationStartTime", "Filter.1.Value": "noon"}),
            ("InvalidParameter", 400, {"NextToken": "made-up"}),
            ("InvalidParameter", 400, {"PageSize": 101}),
            ("InvalidParameter", 400, {"InstanceIds": "[1]"}),
            ("InvalidParameter", 400, {"InstanceIds": "[" + ",".join(f'"i-{n}"' for n in range(101)) + "]"}),
        ],
    )
    def test_what_is_not_valid(self, cloud, code, status, params):
        cloud.refuses("DescribeInstances", code, status, params)
