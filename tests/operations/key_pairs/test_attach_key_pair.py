"""AttachKeyPair, as a caller meets it."""

from __future__ import annotations

import json

import pytest

from kiln.store.instances import instances
from tests.clouds import OTHER
from tests.reading import the
from tests.stock import a_key_pair, an_instance


def attach(cloud, *ids, name="ops"):
    return cloud.call("AttachKeyPair", KeyPairName=name, InstanceIds=json.dumps(ids))


class TestAttaches:
    def test_it_to_each_instance_in_place_of_another(self, cloud):
        a_key_pair(cloud)
        running = an_instance(cloud, status="Running", system_disk=False).id
        other = an_instance(cloud, key_pair="other", system_disk=False).id

        answer = attach(cloud, running, other, running)

        assert answer == {
            "KeyPairName": "ops",
            "TotalCount": "2",
            "FailCount": "0",
            "Results": {
                "Result": [
                    {"InstanceId": one, "Success": "true", "Code": "200", "Message": "successful"}
                    for one in (running, other)
                ]
            },
        }
        assert {the(cloud, instances, id=one).key_pair for one in (running, other)} == {"ops"}

    def test_it_to_those_that_take_it_and_tells_of_the_others(self, cloud):
        a_key_pair(cloud)
        linux = an_instance(cloud, system_disk=False).id
        windows = an_instance(cloud, os_type="windows", system_disk=False).id
        locked = an_instance(cloud, lock_reason="security", system_disk=False).id

        answer = attach(cloud, "i-unknown", linux, windows, locked)

        told = {one["InstanceId"]: (one["Success"], one["Code"]) for one in answer["Results"]["Result"]}
        assert told == {
            "i-unknown": ("false", "InvalidInstanceIds.ValueNotSupported"),
            linux: ("true", "200"),
            windows: ("false", "DependencyViolation.WindowsInstance"),
            locked: ("false", "InstanceLockedForSecurity"),
        }
        assert (answer["TotalCount"], answer["FailCount"]) == ("4", "3")
        assert [the(cloud, instances, id=one).key_pair for one in (linux, windows, locked)] == ["ops", "", ""]


class TestRefuses:
    def test_a_key_pair_that_is_not_there(self, cloud):
        a_key_pair(cloud, account=OTHER)
        a_key_pair(cloud, region="elsewhere")
        given = {"InstanceIds": json.dumps([an_instance(cloud, system_disk=False).id])}

        cloud.refuses("AttachKeyPair", "InvalidKeyPairName.NotFound", 400, given, KeyPairName="ops")

    @pytest.mark.parametrize(
        ("ids", "code", "status"),
        [
            ("[]", "InvalidInstanceIds.ValueNotSupported", 400),
            ('["i-1"', "InvalidInstanceIds.ValueNotSupported", 400),
            ('["i-unknown"]', "InvalidInstanceIds.ValueNotSupported", 400),
            (json.dumps([f"i-{n}" for n in range(51)]), "InstanceKeyPairLimitExceeded", 403),
            ("", "MissingParameter", 400),
        ],
    )
    def test_what_names_no_instance(self, cloud, ids, code, status):
        a_key_pair(cloud)

        cloud.refuses("AttachKeyPair", code, status, KeyPairName="ops", InstanceIds=ids)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"os_type": "windows"}, "DependencyViolation.WindowsInstance"),
            ({"lock_reason": "security"}, "InstanceLockedForSecurity"),
        ],
    )
    def test_an_instance_that_takes_none_when_it_is_alone(self, cloud, changes, code):
        a_key_pair(cloud)
        given = {"InstanceIds": json.dumps([an_instance(cloud, system_disk=False, **changes).id])}

        cloud.refuses("AttachKeyPair", code, 403, given, KeyPairName="ops")

    def test_an_instance_of_another_account(self, cloud):
        a_key_pair(cloud)
        given = {"InstanceIds": json.dumps([an_instance(cloud, account=OTHER, system_disk=False).id])}

        cloud.refuses("AttachKeyPair", "InvalidInstanceIds.ValueNotSupported", 400, given, KeyPairName="ops")
