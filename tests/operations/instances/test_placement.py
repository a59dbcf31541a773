"""Where RunInstances and CreateInstance join instances to a network, as a caller meets it."""

from __future__ import annotations

import threading

import pytest

from kiln.declare.deployment import Deployment
from kiln.store.eips import eips
from kiln.store.instances import instances
from kiln.store.interfaces import interfaces, memberships, primary_of
from kiln.store.security_groups import security_group_rules, security_groups
from kiln.store.vpcs import vpcs
from kiln.store.vswitches import vswitches
from tests.clouds import ACCOUNT, OTHER, REGION
from tests.nets import a_group, a_vpc, a_vswitch, an_eip
from tests.operations.instances.things import TYPE, fill, image_with, outlive_kills, shown
from tests.reading import every, the
from tests.stock import an_instance

FAR = "cn-hangzhou"


@pytest.fixture
def image(cloud):
    return image_with(cloud).id


def run(cloud, image, params=None, /, **more) -> list[str]:
    given = {"InstanceType": TYPE, "ImageId": image, **more}
    return cloud.call("RunInstances", params, **given)["InstanceIdSets"]["InstanceIdSet"]


def attributes(cloud, instance):
    """VPC, VSwitch, private address and security groups, as they are told."""
    one = shown(cloud, instance)
    where = one["VpcAttributes"]
    (address,) = where["PrivateIpAddress"]["IpAddress"]
    return where["VpcId"], where["VSwitchId"], address, one["SecurityGroupIds"]["SecurityGroupId"]


class TestNothingNamed:
    def test_has_a_default_network_made(self, cloud, image):
        (instance,) = run(cloud, image)

        (vpc,), (switch,), (group,) = every(cloud, vpcs), every(cloud, vswitches), every(cloud, security_groups)
        where = attributes(cloud, instance)
        assert where == (vpc.id, switch.id, where[2], [group.id])
        assert (vpc.cidr, vpc.is_default, vpc.status) == ("172.31.0.0/16", True, "Available")
        assert (switch.cidr, switch.zone, switch.is_default) == ("172.31.0.0/20", REGION + "-a", True)
        assert (switch.vpc, group.vpc, group.inner_access_policy) == (vpc.id, vpc.id, "Accept")
        opened = {(rule.direction, rule.protocol, rule.ports, rule.peer) for rule in every(cloud, security_group_rules)}
        assert opened == {
            ("ingress", protocol, ports, "0.0.0.0/0")
            for protocol, ports in (("tcp", "22/22"), ("tcp", "3389/3389"), ("icmp", "-1/-1"))
        }

    def test_finds_what_was_made(self, cloud, image):
        (one,), (other,) = run(cloud, image), run(cloud, image)

        assert attributes(cloud, one)[:2] == attributes(cloud, other)[:2]
        assert len(every(cloud, vpcs)) == len(every(cloud, vswitches)) == len(every(cloud, security_groups)) == 1

    def test_makes_nothing_where_the_request_is_refused(self, cloud):
        cloud.refuses("RunInstances", "InvalidImageId.NotFound", 404, ImageId="m-none", InstanceType=TYPE)

        assert every(cloud, vpcs) == []

    def test_has_a_vswitch_in_each_zone_that_is_used(self, cloud):
        cloud.refit(deployment=Deployment(regions=(REGION, FAR)))
        image = image_with(cloud, region=FAR).id

        for zone in (FAR + "-b", FAR + "-a", FAR + "-b"):
            run(cloud, image, RegionId=FAR, ZoneId=zone)

        found = {row.zone: row.cidr for row in every(cloud, vswitches)}
        assert found == {FAR + "-b": "172.31.0.0/20", FAR + "-a": "172.31.16.0/20"}

    def test_is_of_the_account_alone(self, cloud, image):
        theirs = image_with(cloud, account=OTHER).id
        run(cloud, image)
        cloud.call("RunInstances", account=OTHER, ImageId=theirs, InstanceType=TYPE)

        assert {row.account for row in every(cloud, vpcs)} == {ACCOUNT, OTHER}

    def test_is_made_once_by_those_who_need_it_at_once(self, cloud, image):
        start, failed = threading.Barrier(6), []

        def launch():
            start.wait()
            try:
                run(cloud, image)
            except Exception as error:  # noqa: BLE001 - told by the assertion below.
                failed.append(error)

        threads = [threading.Thread(target=launch) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert failed == []
        assert len(every(cloud, vpcs)) == len(every(cloud, vswitches)) == len(every(cloud, security_groups)) == 1
        assert len({row.private_ip for row in every(cloud, interfaces)}) == 6


class TestNamed:
    @pytest.fixture
    def vpc(self, cloud):
        return a_vpc(cloud)

    @pytest.fixture
    def switch(self, cloud, vpc):
        return a_vswitch(cloud, vpc)

    def test_vswitch_groups_and_address(self, cloud, image, vpc, switch):
        one, other = a_group(cloud, vpc), a_group(cloud, vpc)

        (instance,) = run(
            cloud,
            image,
            {"SecurityGroupIds.1": one.id, "SecurityGroupIds.2": other.id},
            VSwitchId=switch.id,
            PrivateIpAddress="10.0.0.3",
        )

        found = attributes(cloud, instance)
        assert found == (vpc.id, switch.id, "10.0.0.3", sorted([one.id, other.id]))
        assert len(every(cloud, vpcs)) == 1

    def test_by_the_primary_interface(self, cloud, image, vpc, switch):
        group = a_group(cloud, vpc)
        card = {
            "NetworkInterface.1.InstanceType": "Primary",
            "NetworkInterface.1.VSwitchId": switch.id,
            "NetworkInterface.1.SecurityGroupIds.1": group.id,
            "NetworkInterface.1.PrimaryIpAddress": "10.0.0.2",
        }

        (instance,) = run(cloud, image, card)

        assert attributes(cloud, instance) == (vpc.id, switch.id, "10.0.0.2", [group.id])

    def test_a_vswitch_alone_has_the_default_group_of_its_vpc(self, cloud, image, vpc, switch):
        (instance,) = run(cloud, image, VSwitchId=switch.id)

        (group,) = every(cloud, security_groups)
        assert (group.vpc, group.is_default) == (vpc.id, True)
        assert attributes(cloud, instance)[3] == [group.id]

    def test_a_group_of_the_default_vpc_alone(self, cloud, image):
        run(cloud, image)
        (vpc,) = every(cloud, vpcs)
        group = a_group(cloud, vpc)

        (instance,) = run(cloud, image, SecurityGroupId=group.id)

        assert attributes(cloud, instance)[3] == [group.id]

    def test_the_zone_is_that_of_the_vswitch(self, cloud):
        cloud.refit(deployment=Deployment(regions=(REGION, FAR)))
        far = a_vpc(cloud, region=FAR)
        switch = a_vswitch(cloud, far, zone=FAR + "-c")

        (instance,) = run(cloud, image_with(cloud, region=FAR).id, RegionId=FAR, VSwitchId=switch.id)

        assert the(cloud, instances, id=instance).zone == FAR + "-c"

    def test_addresses_follow_each_other(self, cloud, image, switch):
        ids = run(cloud, image, VSwitchId=switch.id, PrivateIpAddress="10.0.0.2", Amount=3)

        assert [attributes(cloud, one)[2] for one in ids] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]

    def test_all_addresses_of_a_vswitch_can_be_had(self, cloud, image, switch):
        ids = run(cloud, image, VSwitchId=switch.id, Amount=4)

        assert sorted(attributes(cloud, one)[2] for one in ids) == [f"10.0.0.{n}" for n in (1, 2, 3, 4)]

    def test_create_instance_takes_them_too(self, cloud, image, vpc, switch):
        group = a_group(cloud, vpc)

        made = cloud.call(
            "CreateInstance",
            ImageId=image,
            InstanceType=TYPE,
            VSwitchId=switch.id,
            SecurityGroupId=group.id,
            PrivateIpAddress="10.0.0.4",
        )

        assert attributes(cloud, made["InstanceId"]) == (vpc.id, switch.id, "10.0.0.4", [group.id])

    @pytest.mark.parametrize(
        ("code", "status", "params"),
        [
            ("InvalidVSwitchId.NotFound", 404, {"VSwitchId": "vsw-none"}),
            ("InvalidVSwitchId.NotFound", 404, {"VSwitchId": "THEIRS"}),
            ("InvalidSecurityGroupId.NotFound", 404, {"SecurityGroupId": "sg-none"}),
            ("InvalidSecurityGroupId.NotFound", 404, {"VSwitchId": "MINE", "SecurityGroupId": "sg-none"}),
            ("InvalidSecurityGroupId.NotFound", 404, {"VSwitchId": "MINE", "SecurityGroupId": "THEIR_GROUP"}),
            ("InvalidParameter.Mismatch", 400, {"VSwitchId": "MINE", "SecurityGroupId": "OTHER_GROUP"}),
            ("InvalidSecurityGroup.NotInDefaultVpc", 400, {"SecurityGroupId": "OTHER_GROUP"}),
            ("InvalidPrivateIpAddress.Malformed", 400, {"VSwitchId": "MINE", "PrivateIpAddress": "10.0.0"}),
            ("InvalidPrivateIpAddress.Malformed", 400, {"VSwitchId": "MINE", "PrivateIpAddress": "10.0.0.01"}),
            ("InvalidPrivateIpAddress.Malformed", 400, {"VSwitchId": "MINE", "PrivateIpAddress": "::1"}),
            ("InvalidPrivateIpAddress", 400, {"VSwitchId": "MINE", "PrivateIpAddress": "10.0.0.0"}),
            ("InvalidPrivateIpAddress", 400, {"VSwitchId": "MINE", "PrivateIpAddress": "10.0.0.5"}),
            ("InvalidPrivateIpAddress", 400, {"VSwitchId": "MINE", "PrivateIpAddress": "10.0.1.1"}),
            ("InvalidPrivateIpAddress", 400, {"PrivateIpAddress": "10.0.0.1"}),
            ("InvalidPrivateIpAddress", 400, {"PrivateIpAddress": "255.255.255.255", "Amount": "2"}),
            ("InvalidPrivateIpAddress", 400, {"VSwitchId": "MINE", "PrivateIpAddress": "10.0.0.4", "Amount": "2"}),
            ("InvalidPrivateIpAddress.Duplicated", 400, {"VSwitchId": "MINE", "PrivateIpAddress": "10.0.0.1"}),
            ("InvalidVSwitchId.IpNotEnough", 403, {"VSwitchId": "MINE", "Amount": "4"}),
            ("InvalidZoneId.NotFound", 404, {"ZoneId": "cn-nowhere-a"}),
            ("InvalidParameter", 400, {"NetworkInterface.1.VSwitchId": "MINE"}),
            ("InvalidParameter", 400, {"NetworkInterface.1.InstanceType": "Secondary"}),
            (
                "InvalidParameter",
                400,
                {"NetworkInterface.1.InstanceType": "Primary", "NetworkInterface.2.InstanceType": "Primary"},
            ),
            ("InvalidParameter", 400, {"NetworkInterface.1.InstanceType": "Primary", "VSwitchId": "MINE"}),
            (
                "InvalidParameter",
                400,
                {
                    "NetworkInterface.1.InstanceType": "Primary",
                    "NetworkInterface.1.SecurityGroupId": "sg-1",
                    "NetworkInterface.1.SecurityGroupIds.1": "sg-2",
                },
            ),
            ("InvalidParameter", 400, {f"SecurityGroupIds.{n}": f"sg-{n}" for n in range(1, 18)}),
        ],
    )
    def test_refuses(self, cloud, image, switch, code, status, params):  # noqa: PLR0917 - fixtures.
        theirs = a_vpc(cloud, account=OTHER)
        known = {
            "MINE": switch.id,
            "THEIRS": a_vswitch(cloud, theirs).id,
            "THEIR_GROUP": a_group(cloud, theirs).id,
            "OTHER_GROUP": a_group(cloud, a_vpc(cloud)).id,
        }
        an_instance(cloud, card={"vpc": switch.vpc, "vswitch": switch.id, "private_ip": "10.0.0.1"})
        asked = {name: known.get(value, value) for name, value in params.items()}

        cloud.refuses("RunInstances", code, status, asked, ImageId=image, InstanceType=TYPE)
        if params.keys() <= {"VSwitchId", "SecurityGroupId", "PrivateIpAddress", "ZoneId"}:
            cloud.refuses("CreateInstance", code, status, asked, ImageId=image, InstanceType=TYPE)

    def test_refuses_another_zone_than_that_of_the_vswitch(self, cloud):
        cloud.refit(deployment=Deployment(regions=(REGION, FAR)))
        image = image_with(cloud, region=FAR).id
        switch = a_vswitch(cloud, a_vpc(cloud, region=FAR), zone=FAR + "-c")
        given = {"RegionId": FAR, "ImageId": image, "InstanceType": TYPE, "VSwitchId": switch.id}

        for action in ("RunInstances", "CreateInstance"):
            cloud.refuses(action, "InvalidParameter.Mismatch", 400, given, ZoneId=FAR + "-a")

    def test_refuses_where_the_default_vpc_has_no_room_for_a_vswitch(self, cloud, image):
        vpc = a_vpc(cloud, is_default=True, cidr="172.31.0.0/16")
        a_vswitch(cloud, vpc, cidr="172.31.0.0/16")

        cloud.refuses("RunInstances", "InvalidVSwitchId.IpNotEnough", 403, ImageId=image, InstanceType=TYPE)

    def test_refuses_where_every_public_address_is_somebodys(self, cloud, image):
        cloud.refit(deployment=Deployment(public_network="127.64.0.0/30"))
        run(cloud, image, InternetMaxBandwidthOut=1, Amount=2)

        given = {"ImageId": image, "InstanceType": TYPE, "InternetMaxBandwidthOut": "1"}
        cloud.refuses("RunInstances", "OperationDenied.NoStock", 403, given)


class TestEnds:
    def test_with_a_release_and_lets_go_of_the_elastic_address(self, cloud):
        instance = an_instance(cloud).id
        with cloud.ports.database.read() as tx:
            card = primary_of(tx, instance)
        eip = an_eip(cloud, status="InUse", instance=instance, interface=card.id)
        before = the(cloud, vpcs, id=card.vpc)

        cloud.call("DeleteInstance", InstanceId=instance)
        cloud.settle()

        assert every(cloud, interfaces) == every(cloud, memberships) == []
        found = the(cloud, eips, id=eip.id)
        assert (found.status, found.interface, found.instance) == ("Available", "", "")
        assert the(cloud, vpcs, id=card.vpc).revision > before.revision

    def test_with_an_instance_whose_disks_cannot_be_made(self, cloud, image):
        run(cloud, image)
        fill(cloud)

        cloud.settle()

        assert every(cloud, instances) == every(cloud, interfaces) == every(cloud, memberships) == []

    def test_however_often_a_release_is_killed(self, cloud):
        def begin():
            instance = an_instance(cloud).id
            cloud.call("DeleteInstance", InstanceId=instance)
            return instance

        def judge(instance):
            assert every(cloud, instances, id=instance) == every(cloud, interfaces, instance=instance) == []

        outlive_kills(cloud, begin, judge, least=3)
