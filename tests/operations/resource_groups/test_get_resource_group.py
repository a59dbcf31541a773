"""GetResourceGroup, as a caller meets it."""

from __future__ import annotations

from tests.clouds import OTHER, REGION
from tests.operations.resource_groups.groups import NOT_THERE, a_resource_group, default_group


def test_tells_of_one(cloud):
    group = a_resource_group(cloud)

    told = cloud.call("GetResourceGroup", ResourceGroupId=group)["ResourceGroup"]

    assert (told["Id"], told["Name"], told["DisplayName"], told["Status"]) == (group, "web", "All of web", "OK")
    assert told["RegionStatuses"] == {"RegionStatus": [{"RegionId": REGION, "Status": "OK"}]}


def test_tells_of_one_that_nobody_made_and_of_one_of_the_operators(cloud):
    assert cloud.call("GetResourceGroup", ResourceGroupId=default_group(cloud))["ResourceGroup"]["Name"] == "default"
    told = cloud.call("GetResourceGroup", ResourceGroupId="rg-tests")["ResourceGroup"]
    assert (told["Name"], told["DisplayName"]) == ("tests", "tests")
    assert not told["CreateDate"].startswith("1970")


def test_refuses_one_that_is_not_there(cloud):
    cloud.refuses("GetResourceGroup", NOT_THERE, 404, ResourceGroupId="rg-nowhere")
    cloud.refuses("GetResourceGroup", NOT_THERE, 404, ResourceGroupId="rg-tests", account=OTHER)
