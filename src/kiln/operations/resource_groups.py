"""The resource group that a request names: one of the deployment's, which every account has, or one of its own."""

from __future__ import annotations

from kiln.operations.call import Call
from kiln.operations.errors import InvalidResourceGroupNotFound
from kiln.store import accounts


def check_there(call: Call, group: str | None) -> None:
    """Raise InvalidResourceGroupNotFound unless the account has the group; None, for no group, is always right."""
    if group is None or group in call.deployment.resource_groups:
        return
    if accounts.resource_groups.find(call.tx, account=call.account, id=group) is None:
        raise InvalidResourceGroupNotFound(resource_group_id=group)
