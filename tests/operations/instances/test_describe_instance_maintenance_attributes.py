"""DescribeInstanceMaintenanceAttributes, as a caller meets it."""

from __future__ import annotations

from tests.clouds import OTHER
from tests.stock import an_instance


def ask(cloud, params=None, /, **more):
    return cloud.call("DescribeInstanceMaintenanceAttributes", params or {}, **more)


def ids(answer):
    return [one["InstanceId"] for one in answer["MaintenanceAttributes"]["MaintenanceAttribute"]]


def test_tells_what_becomes_of_an_instance(cloud):
    instance = an_instance(cloud).id

    assert ask(cloud, {"InstanceId.1": instance, "InstanceId.2": "i-unknown"})["MaintenanceAttributes"] == {
        "MaintenanceAttribute": [
            {
                "InstanceId": instance,
                "ActionOnMaintenance": {
                    "Value": "Stop",
                    "DefaultValue": "Stop",
                    "SupportedValues": {"SupportedValue": ["Stop"]},
                },
                "MaintenanceWindows": {"MaintenanceWindow": []},
                "NotifyOnMaintenance": False,
            }
        ]
    }


def test_tells_of_all_in_pages_newest_first(cloud):
    made = [an_instance(cloud, system_disk=False).id for _ in range(3)]

    first, second = (ask(cloud, PageNumber=number, PageSize=2) for number in (1, 2))

    assert ids(first) + ids(second) == made[::-1]
    assert (second["TotalCount"], second["PageNumber"], second["PageSize"]) == (3, 2, 2)


def test_tells_of_no_others(cloud):
    an_instance(cloud)

    assert ids(ask(cloud, account=OTHER)) == []


def test_refuses_more_than_a_hundred_ids(cloud):
    many = {f"InstanceId.{n}": f"i-{n}" for n in range(1, 102)}

    cloud.refuses("DescribeInstanceMaintenanceAttributes", "InvalidParameter.TooManyInstanceIds", 403, many)
