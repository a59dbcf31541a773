"""ModifyVSwitchAttribute, as a caller meets it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiln.store.vswitches import vswitches
from tests.clouds import OTHER
from tests.nets import a_vpc, a_vswitch
from tests.reading import the


def test_changes_what_is_sent(cloud):
    before = a_vswitch(cloud, a_vpc(cloud), name="old", description="old")

    cloud.call("ModifyVSwitchAttribute", VSwitchId=before.id, VSwitchName="new", Description="")

    assert the(cloud, vswitches, id=before.id) == replace(before, name="new", description="")


def test_leaves_what_is_not_sent(cloud):
    before = a_vswitch(cloud, a_vpc(cloud), name="old", description="old")

    cloud.call("ModifyVSwitchAttribute", VSwitchId=before.id)

    assert the(cloud, vswitches, id=before.id) == before


@pytest.mark.parametrize(
    ("code", "status", "params"),
    [
        ("InvalidVSwitchId.NotFound", 404, {"VSwitchId": "vsw-none"}),
        ("InvalidVSwitchId.NotFound", 404, {"VSwitchId": "THEIRS"}),
        ("InvalidVSwitchName.Malformed", 400, {"VSwitchName": "http://x"}),
        ("InvalidVSwitchDiscription.Malformed", 400, {"Description": "http://x"}),
        ("InvalidParameter", 400, {"EnableIPv6": "true"}),
    ],
)
def test_refuses(cloud, code, status, params):
    known = {"THEIRS": a_vswitch(cloud, a_vpc(cloud, account=OTHER)).id}
    mine = a_vswitch(cloud, a_vpc(cloud)).id

    given = {"VSwitchId": mine} | {name: known.get(value, value) for name, value in params.items()}
    cloud.refuses("ModifyVSwitchAttribute", code, status, given)
