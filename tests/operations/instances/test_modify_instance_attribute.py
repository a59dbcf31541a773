"""ModifyInstanceAttribute, as a caller meets it."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from kiln.declare.states import InstanceStatus
from kiln.ground.units import KiB
from kiln.store.instances import instances
from kiln.store.vpcs import vpcs
from tests.clouds import OTHER
from tests.nets import a_group, a_vpc, the_default_vpc
from tests.operations.instances.things import shown
from tests.reading import the
from tests.stock import an_instance


def test_changes_what_is_sent(cloud):
    instance = an_instance(cloud, name="old", description="old").id
    data = base64.b64encode(b"#!/bin/sh\n").decode()
    vpc = the_default_vpc(cloud)
    one, other, before = a_group(cloud, vpc), a_group(cloud, vpc), the(cloud, vpcs, id=vpc.id)

    cloud.call(
        "ModifyInstanceAttribute",
        {"SecurityGroupIds.1": one.id, "SecurityGroupIds.2": other.id},
        InstanceId=instance,
        InstanceName="web",
        Description="a web server",
        HostName="web-1",
        Password="EcsV587!",
        UserData=data,
        DeletionProtection=True,
    )

    found = shown(cloud, instance)
    assert (found["InstanceName"], found["Description"], found["HostName"]) == ("web", "a web server", "web-1")
    assert found["DeletionProtection"] is True
    assert set(found["SecurityGroupIds"]["SecurityGroupId"]) == {one.id, other.id}
    assert the(cloud, vpcs, id=vpc.id).revision > before.revision
    row = the(cloud, instances, id=instance)
    assert (row.password, row.password_due, row.user_data) == ("sealed:EcsV587!", True, data)


def test_leaves_what_is_not_sent(cloud):
    before = an_instance(cloud, name="old", deletion_protection=True)

    cloud.call("ModifyInstanceAttribute", InstanceId=before.id, InstanceName="", HostName="", Password="")

    assert the(cloud, instances, id=before.id) == before


def test_takes_away_what_is_sent_empty(cloud):
    before = an_instance(cloud, name="old", description="About it.", user_data="Zm9v")

    cloud.call("ModifyInstanceAttribute", InstanceId=before.id, Description="", UserData="")

    assert the(cloud, instances, id=before.id) == replace(before, description="", user_data="")


def test_lifts_the_deletion_protection(cloud):
    instance = an_instance(cloud, deletion_protection=True).id

    cloud.call("ModifyInstanceAttribute", InstanceId=instance, DeletionProtection=False)

    assert shown(cloud, instance)["DeletionProtection"] is False


def test_names_a_running_instance(cloud):
    instance = an_instance(cloud, status=InstanceStatus.RUNNING).id

    cloud.call("ModifyInstanceAttribute", InstanceId=instance, InstanceName="web")

    assert shown(cloud, instance)["InstanceName"] == "web"


class TestRefuses:
    @pytest.mark.parametrize(
        ("code", "status", "params"),
        [
            ("InvalidInstanceName.Malformed", 400, {"InstanceName": "1"}),
            ("InvalidDescription.Malformed", 400, {"Description": "http://x"}),
            ("InvalidHostName.Malformed", 400, {"HostName": "-web"}),
            ("InvalidPassword.Malformed", 400, {"Password": "weakpassword"}),
            ("InvalidUserData.Base64FormatInvalid", 403, {"UserData": "%%%"}),
            ("InvalidUserData.SizeExceeded", 400, {"UserData": base64.b64encode(b"x" * (32 * KiB + 1)).decode()}),
        ],
    )
    def test_what_is_not_valid(self, cloud, code, status, params):
        cloud.refuses("ModifyInstanceAttribute", code, status, params, InstanceId=an_instance(cloud).id)

    def test_a_password_that_windows_does_not_take(self, cloud):
        instance = an_instance(cloud, os_type="windows").id

        cloud.refuses(
            "ModifyInstanceAttribute", "InvalidPassword.Malformed", 400, InstanceId=instance, Password="/EcsV587!"
        )

    def test_user_data_for_an_instance_that_is_not_stopped(self, cloud):
        instance = an_instance(cloud, status=InstanceStatus.RUNNING).id

        cloud.refuses("ModifyInstanceAttribute", "IncorrectInstanceStatus", 403, InstanceId=instance, UserData="YQ==")

    def test_an_instance_that_is_not_there(self, cloud):
        cloud.refuses("ModifyInstanceAttribute", "InvalidInstanceId.NotFound", 404, InstanceId="i-unknown")

    def test_another_accounts_instance(self, cloud):
        mine = an_instance(cloud).id

        cloud.refuses("ModifyInstanceAttribute", "InvalidInstanceId.NotFound", 404, account=OTHER, InstanceId=mine)

    def test_a_locked_instance(self, cloud):
        instance = an_instance(cloud, lock_reason="security").id

        cloud.refuses("ModifyInstanceAttribute", "InstanceLockedForSecurity", 403, InstanceId=instance)


def test_refuses_groups_that_are_not_of_its_vpc(cloud):
    instance, other = an_instance(cloud).id, a_group(cloud, a_vpc(cloud)).id

    for group, code, status in (
        ("sg-none", "InvalidSecurityGroupId.NotFound", 404),
        (other, "InvalidParameter.Mismatch", 400),
    ):
        given = {"InstanceId": instance, "SecurityGroupIds.1": group}
        cloud.refuses("ModifyInstanceAttribute", code, status, given)
