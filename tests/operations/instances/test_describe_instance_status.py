"""DescribeInstanceStatus, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.states import InstanceStatus
from tests.clouds import OTHER, REGION
from tests.stock import an_instance


def statuses(cloud, params=None, /, **more):
    answer = cloud.call("DescribeInstanceStatus", params or {}, **more)
    return [(one["InstanceId"], one["Status"]) for one in answer["InstanceStatuses"]["InstanceStatus"]]


def test_lists_the_status_of_all_newest_first(cloud):
    first = an_instance(cloud).id
    second = an_instance(cloud, status=InstanceStatus.RUNNING).id

    assert statuses(cloud) == [(second, "Running"), (first, "Stopped")]


def test_lists_those_that_are_asked_for(cloud):
    first = an_instance(cloud).id
    an_instance(cloud)

    assert statuses(cloud, {"InstanceId.1": first, "InstanceId.2": "i-unknown"}) == [(first, "Stopped")]


def test_lists_pages(cloud):
    made = [an_instance(cloud, system_disk=False).id for _ in range(3)]

    answer = cloud.call("DescribeInstanceStatus", PageNumber=2, PageSize=2)

    assert [one["InstanceId"] for one in answer["InstanceStatuses"]["InstanceStatus"]] == made[:1]
    assert (answer["TotalCount"], answer["PageNumber"], answer["PageSize"]) == (3, 2, 2)


def test_lists_a_zone(cloud):
    instance = an_instance(cloud).id

    assert statuses(cloud, ZoneId=REGION + "-a") == [(instance, "Stopped")]


def test_lists_no_others(cloud):
    an_instance(cloud)
    an_instance(cloud, account=OTHER, region="elsewhere")

    assert statuses(cloud, account=OTHER) == []


class TestRefuses:
    def test_more_than_a_hundred_ids(self, cloud):
        ids = {f"InstanceId.{n}": f"i-{n}" for n in range(1, 102)}

        cloud.refuses("DescribeInstanceStatus", "InvalidParameter.TooManyInstanceIds", 403, ids)

    def test_another_zone(self, cloud):
        cloud.refuses("DescribeInstanceStatus", "InvalidZoneId.NotFound", 404, ZoneId="elsewhere-a")

    @pytest.mark.parametrize("params", [{"PageSize": 51}, {"PageSize": 0}, {"PageNumber": 0}])
    def test_pages_that_cannot_be(self, cloud, params):
        cloud.refuses("DescribeInstanceStatus", "InvalidParameter", 400, params)
