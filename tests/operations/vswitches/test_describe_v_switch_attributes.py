"""DescribeVSwitchAttributes, as a caller meets it."""

from __future__ import annotations

from tests.clouds import OTHER
from tests.nets import a_vpc, a_vswitch


def test_tells_what_the_list_tells(cloud):
    switch = a_vswitch(cloud, a_vpc(cloud), name="a")
    (listed,) = cloud.call("DescribeVSwitches")["VSwitches"]["VSwitch"]

    assert cloud.call("DescribeVSwitchAttributes", VSwitchId=switch.id) == listed


def test_refuses_what_is_not_the_callers(cloud):
    theirs = a_vswitch(cloud, a_vpc(cloud, account=OTHER))

    cloud.refuses("DescribeVSwitchAttributes", "InvalidVSwitchId.NotFound", 404, VSwitchId=theirs.id)
    cloud.refuses("DescribeVSwitchAttributes", "InvalidVSwitchId.NotFound", 404, VSwitchId="vsw-none")


def test_rehearses_when_asked(cloud):
    cloud.refuses(
        "DescribeVSwitchAttributes",
        "DryRunOperation",
        400,
        {"VSwitchId": a_vswitch(cloud, a_vpc(cloud)).id},
        DryRun=True,
    )
