"""The resource groups that an account has, and the one that a request names.

They are the default group, which every account has, those of the deployment,
and those that the account made or the operator made for it.
"""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.deployment import Deployment
from kiln.declare.errors import ApiError
from kiln.declare.ids import derived_id
from kiln.ground.values import dataclass
from kiln.store import accounts


class InvalidResourceGroupNotFound(ApiError):
    """The account has no resource group of that ID."""

    code = "InvalidResourceGroup.NotFound"
    status = 404
    message = "The ResourceGroup provided does not exist in our records."
    hint = (
        "`kiln resource-group create NAME` makes one, and `kiln account add-resource-group ACCOUNT ID` one with an "
        "ID of your own."
    )


@dataclass(frozen=True, kw_only=True)
class Group:
    """A resource group as its account sees it."""

    id: str
    name: str
    display_name: str
    created_at: float
    is_own: bool  #: Whether the account can rename and delete it.


def default_of(account: str) -> str:
    """The ID of the account's default group."""
    return derived_id("resource_group", account)


def known_to_all(deployment: Deployment, account: str) -> tuple[str, ...]:
    """The IDs of the groups that an account has though nobody made them for it."""
    return (*deployment.resource_groups, default_of(account))


def check_there(call: Call, group: str | None) -> None:
    """Raise InvalidResourceGroupNotFound unless the account has the group; None, for no group, is always right."""
    if group is None or group in known_to_all(call.deployment, call.account):
        return
    if accounts.resource_groups.find(call.tx, account=call.account, id=group) is None:
        raise InvalidResourceGroupNotFound(resource_group_id=group)


def of_account(call: Call) -> list[Group]:
    """Every group of the caller's: the default group, those of the deployment, and its own, the oldest first."""
    account = accounts.accounts.find(call.tx, id=call.account)
    began = account.created_at if account is not None else 0.0
    everybodys = [("default", default_of(call.account)), *((one, one) for one in call.deployment.resource_groups)]
    own = accounts.resource_groups.all(call.tx, account=call.account)
    return [
        *(Group(id=id_, name=name, display_name=name, created_at=began, is_own=False) for name, id_ in everybodys),
        *sorted((_own(row, began) for row in own), key=lambda group: (group.created_at, group.id)),
    ]


def _own(row: accounts.ResourceGroup, began: float) -> Group:
    return Group(
        id=row.id,
        name=row.name,
        display_name=row.display_name or row.name,
        created_at=row.created_at or began,
        is_own=True,
    )
