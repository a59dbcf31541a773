"""DetachInstanceRamRole, as a caller meets it."""

from __future__ import annotations

import json

import pytest

from kiln.store.instances import instances
from tests.clouds import OTHER
from tests.reading import the
from tests.stock import an_instance


@pytest.mark.parametrize(("named", "is_taken"), [(None, True), ("build", True), ("deploy", False)])
def test_takes_the_role_from_who_has_it(cloud, named, is_taken):
    ids = [an_instance(cloud, ram_role="build").id, an_instance(cloud).id]

    answer = cloud.call("DetachInstanceRamRole", InstanceIds=json.dumps(ids), RamRoleName=named)

    first, second = answer["DetachInstanceRamRoleResults"]["DetachInstanceRamRoleResult"]
    taken = [{"InstanceId": ids[0], "RamRoleName": "build"}] if is_taken else []
    assert (answer["TotalCount"], answer["FailCount"], answer["RamRoleName"]) == (2, 0, named or "")
    assert (first["Success"], first["Code"], second["Success"]) == (True, "200", True)
    assert first["InstanceRamRoleSets"] == {"InstanceRamRoleSet": taken}
    assert second["InstanceRamRoleSets"] == {"InstanceRamRoleSet": []}
    assert the(cloud, instances, id=ids[0]).ram_role == ("" if is_taken else "build")


def test_tells_which_could_not_be_done(cloud):
    one = an_instance(cloud, ram_role="build").id
    locked = an_instance(cloud, ram_role="build", lock_reason="security").id

    answer = cloud.call("DetachInstanceRamRole", InstanceIds=json.dumps([locked, one]))

    first, second = answer["DetachInstanceRamRoleResults"]["DetachInstanceRamRoleResult"]
    assert (first["Code"], first["Success"], second["Code"], answer["FailCount"]) == (
        "InstanceLockedForSecurity",
        False,
        "200",
        1,
    )
    assert first["InstanceRamRoleSets"] == {"InstanceRamRoleSet": []}
    assert the(cloud, instances, id=locked).ram_role == "build"


@pytest.mark.parametrize(
    ("code", "status", "changes", "given"),
    [
        ("InvalidInstanceId.NotFound", 404, {"account": OTHER}, None),
        ("InstanceLockedForSecurity", 403, {"lock_reason": "security"}, None),
        ("InvalidInstanceIds.Malformed", 400, {}, "[]"),
        ("InvalidInstanceIds.Malformed", 400, {}, '["i-1"'),
    ],
)
def test_refuses_what_cannot_be(cloud, code, status, changes, given):
    instance = an_instance(cloud, ram_role="build", **changes).id

    cloud.refuses("DetachInstanceRamRole", code, status, InstanceIds=given or json.dumps([instance]))
