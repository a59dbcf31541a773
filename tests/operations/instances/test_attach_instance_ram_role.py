"""AttachInstanceRamRole, as a caller meets it."""

from __future__ import annotations

import json

import pytest

from kiln.store.instances import instances
from tests.clouds import OTHER
from tests.reading import the
from tests.stock import an_instance


def test_gives_each_the_role(cloud):
    ids = [an_instance(cloud).id, an_instance(cloud, ram_role="build").id]

    answer = cloud.call("AttachInstanceRamRole", InstanceIds=json.dumps([*ids, ids[0]]), RamRoleName="build")

    told = [{"InstanceId": one, "Success": True, "Code": "200", "Message": "success"} for one in ids]
    assert answer == {
        "RamRoleName": "build",
        "TotalCount": 2,
        "FailCount": 0,
        "AttachInstanceRamRoleResults": {"AttachInstanceRamRoleResult": told},
    }
    assert [the(cloud, instances, id=one).ram_role for one in ids] == ["build"] * 2


def test_tells_which_could_not_be_done(cloud):
    one, other = an_instance(cloud).id, an_instance(cloud, ram_role="deploy").id

    answer = cloud.call("AttachInstanceRamRole", InstanceIds=json.dumps([one, other, "i-none"]), RamRoleName="build")

    results = answer["AttachInstanceRamRoleResults"]["AttachInstanceRamRoleResult"]
    assert [result["Code"] for result in results] == ["200", "OperationDenied", "InvalidInstanceId.NotFound"]
    assert (answer["TotalCount"], answer["FailCount"]) == (3, 2)
    assert the(cloud, instances, id=other).ram_role == "deploy"


@pytest.mark.parametrize(
    ("code", "status", "changes", "params"),
    [
        ("OperationDenied", 403, {"ram_role": "deploy"}, {}),
        ("InstanceLockedForSecurity", 403, {"lock_reason": "security"}, {}),
        ("InvalidInstanceId.NotFound", 404, {"account": OTHER}, {}),
        ("InvalidInstanceIds.Malformed", 400, {}, {"InstanceIds": "[]"}),
        ("InvalidInstanceIds.Malformed", 400, {}, {"InstanceIds": '["i-1"'}),
        ("InvalidInstanceIds.Malformed", 400, {}, {"InstanceIds": json.dumps([f"i-{n}" for n in range(101)])}),
        ("InvalidRamRole.NotFound", 404, {}, {"RamRoleName": "a role"}),
        ("InvalidParameter", 400, {}, {"Policy": '{"Version":"1"}'}),
    ],
)
def test_refuses_what_cannot_be(cloud, code, status, changes, params):
    instance = an_instance(cloud, **changes).id
    given = {"InstanceIds": json.dumps([instance]), "RamRoleName": "build"}

    cloud.refuses("AttachInstanceRamRole", code, status, given | params)
