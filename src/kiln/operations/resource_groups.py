"""The resource group that a request names: one of the deployment's, which every account has, or one of its own."""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.store import accounts


class InvalidResourceGroupNotFound(ApiError):
    """The account has no resource group of that ID."""

    code = "InvalidResourceGroup.NotFound"
    status = 404
    message = "The ResourceGroup provided does not exist in our records."
    hint = "`kiln account add-resource-group ACCOUNT ID` makes one."


def check_there(call: Call, group: str | None) -> None:
    """Raise InvalidResourceGroupNotFound unless the account has the group; None, for no group, is always right."""
    if group is None or group in call.deployment.resource_groups:
        return
    if accounts.resource_groups.find(call.tx, account=call.account, id=group) is None:
        raise InvalidResourceGroupNotFound(resource_group_id=group)
