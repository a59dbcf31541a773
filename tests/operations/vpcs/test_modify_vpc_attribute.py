"""ModifyVpcAttribute, as a caller meets it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiln.store.vpcs import vpcs
from tests.clouds import OTHER
from tests.nets import a_vpc
from tests.reading import the


def test_changes_what_is_sent(cloud):
    before = a_vpc(cloud, name="old", description="old")

    cloud.call("ModifyVpcAttribute", VpcId=before.id, VpcName="new", Description="")

    assert the(cloud, vpcs, id=before.id) == replace(before, name="new", description="")


def test_leaves_what_is_not_sent(cloud):
    before = a_vpc(cloud, name="old", description="old")

    cloud.call("ModifyVpcAttribute", VpcId=before.id, VpcName="")

    assert the(cloud, vpcs, id=before.id) == before


@pytest.mark.parametrize(
    ("code", "status", "params"),
    [
        ("InvalidVpcId.NotFound", 404, {"VpcId": "vpc-none"}),
        ("InvalidVpcId.NotFound", 404, {"VpcId": "THEIRS"}),
        ("InvalidVpcName.Malformed", 400, {"VpcName": "http://x"}),
        ("InvalidVpcDiscription.Malformed", 400, {"Description": "http://x"}),
        ("InvalidParameter", 400, {"CidrBlock": "10.0.0.0/8"}),
        ("InvalidParameter", 400, {"EnableIPv6": "true"}),
    ],
)
def test_refuses(cloud, code, status, params):
    known = {"THEIRS": a_vpc(cloud, account=OTHER).id}
    mine = a_vpc(cloud).id

    given = {"VpcId": mine} | {name: known.get(value, value) for name, value in params.items()}
    cloud.refuses("ModifyVpcAttribute", code, status, given)
