"""DescribeInstanceRamRole, as a caller meets it."""

from __future__ import annotations

import json

from tests.clouds import OTHER, REGION
from tests.stock import an_instance


def told(answer):
    return {one["InstanceId"]: one["RamRoleName"] for one in answer["InstanceRamRoleSets"]["InstanceRamRoleSet"]}


def test_tells_the_roles_of_the_instances_that_are_named(cloud):
    with_one, without, other = an_instance(cloud, ram_role="build"), an_instance(cloud), an_instance(cloud)

    answer = cloud.call("DescribeInstanceRamRole", InstanceIds=json.dumps([with_one.id, without.id]))

    assert (answer["RegionId"], answer["TotalCount"]) == (REGION, 2)
    assert told(answer) == {with_one.id: "build", without.id: ""}
    assert other.id not in told(answer)


def test_tells_which_instances_have_a_role(cloud):
    one = an_instance(cloud, ram_role="build").id
    for changes in ({}, {"ram_role": "deploy"}, {"ram_role": "build", "account": OTHER}):
        an_instance(cloud, **changes)

    assert told(cloud.call("DescribeInstanceRamRole", RamRoleName="build")) == {one: "build"}
    assert told(cloud.call("DescribeInstanceRamRole", RamRoleName="none")) == {}
    assert told(cloud.call("DescribeInstanceRamRole", RamRoleName="deploy", InstanceIds=json.dumps([one]))) == {}


def test_tells_page_by_page_the_newest_first(cloud):
    ids = [an_instance(cloud, ram_role="build").id for _ in range(3)]

    pages = [cloud.call("DescribeInstanceRamRole", RamRoleName="build", PageSize=2, PageNumber=n) for n in (1, 2)]

    assert [list(told(page)) for page in pages] == [[ids[2], ids[1]], [ids[0]]]
    assert [page["TotalCount"] for page in pages] == [3, 3]


def test_refuses_a_question_about_nobody(cloud):
    foreign = an_instance(cloud, account=OTHER).id

    cloud.refuses("DescribeInstanceRamRole", "MissingParameter", 400)
    cloud.refuses("DescribeInstanceRamRole", "InvalidInstanceId.NotFound", 404, InstanceIds=json.dumps([foreign]))
    cloud.refuses("DescribeInstanceRamRole", "InvalidInstanceIds.Malformed", 400, InstanceIds='["i-1"')
