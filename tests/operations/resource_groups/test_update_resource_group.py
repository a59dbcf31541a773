"""UpdateResourceGroup, as a caller meets it."""

from __future__ import annotations

from tests.operations.resource_groups.groups import NOT_THERE, a_resource_group, default_group

ACTION = "UpdateResourceGroup"


def test_shows_it_under_another_name(cloud):
    group = a_resource_group(cloud)

    told = cloud.call(ACTION, ResourceGroupId=group, NewDisplayName="Web")["ResourceGroup"]

    assert (told["Name"], told["DisplayName"]) == ("web", "Web")
    assert cloud.call("GetResourceGroup", ResourceGroupId=group)["ResourceGroup"]["DisplayName"] == "Web"


def test_refuses_one_that_is_not_there_or_not_the_accounts_to_change(cloud):
    cloud.refuses(ACTION, NOT_THERE, 404, ResourceGroupId="rg-nowhere", NewDisplayName="a")
    code = "InvalidStatus.ResourceGroup"
    cloud.refuses(ACTION, code, 409, ResourceGroupId=default_group(cloud), NewDisplayName="a")
