"""DescribeUserData, as a caller meets it."""

from __future__ import annotations

import pytest

from tests.clouds import OTHER, REGION
from tests.stock import an_instance


def test_gives_back_what_was_given(cloud):
    instance = an_instance(cloud, user_data="Zm9v").id

    answer = cloud.call("DescribeUserData", InstanceId=instance)

    assert answer == {"RegionId": REGION, "InstanceId": instance, "UserData": "Zm9v"}


def test_is_empty_when_there_is_none(cloud):
    instance = an_instance(cloud).id

    assert cloud.call("DescribeUserData", InstanceId=instance)["UserData"] == ""


def test_finds_the_region_by_itself(cloud):
    instance = an_instance(cloud, user_data="Zm9v").id

    assert cloud.call("DescribeUserData", InstanceId=instance, RegionId=None)["RegionId"] == REGION


def test_shows_what_was_changed(cloud):
    instance = an_instance(cloud, user_data="Zm9v").id
    cloud.call("ModifyInstanceAttribute", InstanceId=instance, UserData="YmFy")

    assert cloud.call("DescribeUserData", InstanceId=instance)["UserData"] == "YmFy"


class TestRefuses:
    @pytest.mark.parametrize("odd", ["i-unknown", "*", "i-' OR 1=1 --", "../i-1"])
    def test_an_instance_that_is_not_there(self, cloud, odd):
        an_instance(cloud, user_data="Zm9v")

        cloud.refuses("DescribeUserData", "InvalidInstanceId.NotFound", 404, InstanceId=odd)

    def test_another_accounts_instance(self, cloud):
        mine = an_instance(cloud, user_data="Zm9v").id

        cloud.refuses("DescribeUserData", "InvalidInstanceId.NotFound", 404, account=OTHER, InstanceId=mine)

    def test_another_region(self, cloud):
        mine = an_instance(cloud, user_data="Zm9v").id

        cloud.refuses("DescribeUserData", "InvalidRegionId.NotFound", 404, InstanceId=mine, RegionId="elsewhere")
