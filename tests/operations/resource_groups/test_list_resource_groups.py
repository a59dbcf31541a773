"""ListResourceGroups, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.deployment import Deployment
from tests.clouds import ACCOUNT, OTHER
from tests.operations.resource_groups.groups import a_resource_group, default_group, names


def test_shows_the_default_group_those_of_the_deployment_and_its_own(cloud):
    cloud.refit(deployment=Deployment(resource_groups=("rg-all",)))
    a_resource_group(cloud, "web")
    a_resource_group(cloud, "db")

    assert names(cloud) == ["default", "rg-all", "tests", "web", "db"]
    assert names(cloud, account=OTHER) == ["default", "rg-all"]


def test_each_account_has_a_default_group_of_its_own_which_stays_the_same(cloud):
    mine, others = default_group(cloud), cloud.call("ListResourceGroups", account=OTHER)

    assert default_group(cloud) == mine
    assert others["ResourceGroups"]["ResourceGroup"][0]["Id"] != mine


def test_tells_of_each_what_is_known(cloud):
    cloud.clock.now = 1_795_414_028.0
    group = a_resource_group(cloud)

    answer = cloud.call("ListResourceGroups", ResourceGroupId=group)

    assert answer["ResourceGroups"]["ResourceGroup"] == [
        {
            "Id": group,
            "Name": "web",
            "DisplayName": "All of web",
            "AccountId": ACCOUNT,
            "Status": "OK",
            "CreateDate": "2026-11-23T06:07:08Z",
        }
    ]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"Name": "we"}, ["web"]),
        ({"DisplayName": "All of"}, ["web", "db"]),
        ({"Status": "OK"}, ["default", "tests", "web", "db"]),
        ({"Status": "PendingDelete"}, []),
        ({"ResourceGroupIds.1": "rg-tests", "ResourceGroupIds.2": "rg-nowhere"}, ["tests"]),
        ({"PageSize": 2, "PageNumber": 2}, ["web", "db"]),
        ({"Name": "e", "DisplayName": "All"}, ["web"]),
    ],
)
def test_all_filters_hold(cloud, params, found):
    a_resource_group(cloud, "web")
    a_resource_group(cloud, "db")

    assert names(cloud, params) == found
