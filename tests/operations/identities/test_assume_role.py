"""AssumeRole, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.ground.clock import to_seconds_text
from tests.clouds import ACCOUNT, OTHER

TAKEN = {"RoleArn": f"acs:ram::{ACCOUNT}:role/packer", "RoleSessionName": "alice"}


def test_gives_a_key_for_an_hour(cloud):
    answer = cloud.call("AssumeRole", TAKEN)

    key, role = answer["Credentials"], answer["AssumedRoleUser"]
    assert key["Expiration"] == to_seconds_text(cloud.clock.now + 3600)
    assert key["AccessKeyId"].startswith("STS.")
    assert role["Arn"] == f"acs:ram::{ACCOUNT}:role/packer/alice"
    assert role["AssumedRoleId"].endswith(":alice")


def test_gives_another_key_each_time_of_one_role(cloud):
    one, other = (cloud.call("AssumeRole", TAKEN) for _ in range(2))

    assert one["AssumedRoleUser"] == other["AssumedRoleUser"]
    for name in ("AccessKeyId", "AccessKeySecret", "SecurityToken"):
        assert one["Credentials"][name] != other["Credentials"][name]


def test_keeps_nothing(cloud):
    before = cloud.contents()

    cloud.call("AssumeRole", TAKEN)

    assert cloud.contents() == before


def test_knows_no_role_of_another_account(cloud):
    cloud.refuses("AssumeRole", "EntityNotExist.Role", 404, TAKEN, RoleArn=f"acs:ram::{OTHER}:role/packer")


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("InvalidParameter.RoleArn", {"RoleArn": "packer"}),
        ("InvalidParameter.RoleArn", {"RoleArn": f"acs:ram::{ACCOUNT}:user/packer"}),
        ("InvalidParameter.RoleArn", {"RoleArn": f"acs:ram::{ACCOUNT}:role/a/b"}),
        ("InvalidParameter.RoleSessionName", {"RoleSessionName": "a"}),
        ("InvalidParameter.RoleSessionName", {"RoleSessionName": "a:b"}),
        ("InvalidParameter.DurationSeconds", {"DurationSeconds": 899}),
        ("InvalidParameter.DurationSeconds", {"DurationSeconds": 3601}),
        ("InvalidParameter", {"Policy": '{"Version": "1"}'}),
    ],
)
def test_refuses_what_it_cannot_hold_to(cloud, code, more):
    cloud.refuses("AssumeRole", code, 400, TAKEN | more)
