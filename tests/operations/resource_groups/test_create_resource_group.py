"""CreateResourceGroup, as a caller meets it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiln.declare.deployment import Deployment, Quotas
from tests.clouds import ACCOUNT, OTHER, REGION
from tests.operations.resource_groups.groups import a_resource_group, names


def test_makes_one_that_can_be_used_at_once(cloud):
    cloud.clock.now = 1_795_414_028.0
    group = cloud.call("CreateResourceGroup", Name="web", DisplayName="Web servers")["ResourceGroup"]

    assert group.pop("Id").startswith("rg-")
    assert group == {
        "Name": "web",
        "DisplayName": "Web servers",
        "AccountId": ACCOUNT,
        "Status": "OK",
        "CreateDate": "2026-11-23T06:07:08Z",
        "RegionStatuses": {"RegionStatus": [{"RegionId": REGION, "Status": "OK"}]},
    }
    assert names(cloud) == ["default", "tests", "web"]


def test_what_is_made_may_be_named_by_its_account_alone(cloud):
    group = a_resource_group(cloud)
    disk = {"ZoneId": f"{REGION}-a", "Size": 20, "ResourceGroupId": group}

    assert cloud.call("CreateDisk", disk)
    cloud.refuses("CreateDisk", "InvalidResourceGroup.NotFound", 404, disk, account=OTHER)


def test_a_name_is_one_groups_in_its_account(cloud):
    a_resource_group(cloud)
    given = {"Name": "web", "DisplayName": "another"}

    cloud.refuses("CreateResourceGroup", "EntityAlreadyExists.ResourceGroup", 409, given)
    cloud.refuses("CreateResourceGroup", "EntityAlreadyExists.ResourceGroup", 409, given | {"Name": "default"})
    assert cloud.call("CreateResourceGroup", given, account=OTHER)


def test_refuses_more_than_there_may_be(cloud):
    cloud.refit(deployment=replace(Deployment(), quotas=Quotas(resource_groups=1)))

    cloud.refuses("CreateResourceGroup", "LimitExceeded.ResourceGroup", 409, Name="web", DisplayName="one more")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"Name": "1web"}, "InvalidParameter.Name.InvalidChars"),
        ({"Name": "w"}, "InvalidParameter.Name.InvalidChars"),
        ({"Name": ""}, "MissingParameter"),
        ({"DisplayName": ""}, "MissingParameter"),
        ({"DisplayName": "x" * 51}, "InvalidParameter.DisplayName.Length"),
        ({"Tag.1.Key": "a"}, "InvalidParameter"),
    ],
)
def test_refuses_what_is_malformed(cloud, params, code):
    cloud.refuses("CreateResourceGroup", code, 400, {"Name": "web", "DisplayName": "a", **params})
