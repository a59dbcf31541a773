"""ModifyInstanceMetadataOptions, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.states import InstanceStatus
from kiln.store.instances import instances
from tests.clouds import OTHER
from tests.stock import an_instance


def options_of(cloud, instance):
    (one,) = cloud.call("DescribeInstances", InstanceIds=f'["{instance}"]')["Instances"]["Instance"]
    return one["MetadataOptions"]


@pytest.mark.parametrize("status", [InstanceStatus.RUNNING, InstanceStatus.STOPPED])
def test_changes_what_is_sent_in_whatever_status(cloud, status):
    instance = an_instance(cloud, system_disk=False, status=status).id

    answer = cloud.call(
        "ModifyInstanceMetadataOptions",
        InstanceId=instance,
        HttpEndpoint="disabled",
        HttpTokens="required",
        HttpPutResponseHopLimit="3",
    )

    assert answer == {}
    assert options_of(cloud, instance) == {
        "HttpEndpoint": "disabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 3,
    }


def test_leaves_what_is_not_sent(cloud):
    instance = an_instance(cloud, system_disk=False, http_tokens="required").id

    cloud.call("ModifyInstanceMetadataOptions", InstanceId=instance, HttpEndpoint="enabled")

    assert options_of(cloud, instance)["HttpTokens"] == "required"


def test_opens_again_what_was_closed(cloud):
    instance = an_instance(cloud, system_disk=False, http_tokens="required", http_endpoint="disabled").id

    cloud.call("ModifyInstanceMetadataOptions", InstanceId=instance, HttpEndpoint="enabled", HttpTokens="optional")

    shown = options_of(cloud, instance)
    assert (shown["HttpEndpoint"], shown["HttpTokens"]) == ("enabled", "optional")


class TestRefuses:
    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"HttpEndpoint": "on"}, "InvalidHttpEndpoint.NotSupported"),
            ({"HttpEndpoint": "enabled", "HttpTokens": "v2"}, "InvalidHttpTokens.NotSupported"),
        ],
    )
    def test_a_word_that_is_none(self, cloud, params, code):
        instance = an_instance(cloud, system_disk=False)

        cloud.refuses("ModifyInstanceMetadataOptions", code, 400, params, InstanceId=instance.id)

        with cloud.ports.database.read() as tx:
            assert instances.find(tx, id=instance.id) == instance

    def test_an_instance_that_is_not_there(self, cloud):
        cloud.refuses(
            "ModifyInstanceMetadataOptions", "InvalidInstanceId.NotFound", 404, InstanceId="i-1", HttpEndpoint="enabled"
        )

    def test_another_accounts_instance(self, cloud):
        theirs = an_instance(cloud, system_disk=False, account=OTHER).id

        cloud.refuses(
            "ModifyInstanceMetadataOptions",
            "InvalidInstanceId.NotFound",
            404,
            InstanceId=theirs,
            HttpEndpoint="enabled",
        )

    def test_a_locked_instance(self, cloud):
        locked = an_instance(cloud, system_disk=False, lock_reason="security").id

        cloud.refuses(
            "ModifyInstanceMetadataOptions", "InstanceLockedForSecurity", 403, InstanceId=locked, HttpEndpoint="enabled"
        )
