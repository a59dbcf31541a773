"""Share an image with other accounts, or take that back.

An account that an image is shared with sees it in DescribeImages as another's,
and may make instances of it and copy it within the region; all else is its
owner's alone. When it is not shared any more, nothing new is made of it, and
the instances that were go on.

A copy may be shared while it is Creating. Of each list the first ten accounts
count, and the rest are passed over; an account in both lists is not shared
with. With neither list nothing is changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Declined, Doc, Example, Unordered
from kiln.declare.shapes import shape
from kiln.declare.states import ImageStatus
from kiln.ground.values import dataclass
from kiln.operations.errors.images import InvalidImageIdNotFound
from kiln.operations.params import ImageId, NothingMore, RegionId
from kiln.store import images
from kiln.store.accounts import accounts
from kiln.store.shares import ImageShare, image_shares

_READ_MOST = 10  #: Of each list. Source: ecs-api.md 6.
_ACCOUNTS_MOST = 50  #: That an image is shared with. Source: ecs-api.md 6.


class UnnecessaryParameterLaunchPermission(ApiError):
    """LaunchPermission was sent beside accounts."""

    code = "UnnecessaryParameter.LaunchPermission"
    message = (
        'The specified parameter "LaunchPermission" is unnecessary if paramter "AddAccounts" or "RemoveAccounts" exist.'
    )


class ForbiddenParameterLaunchPermission(ApiError):
    """LaunchPermission was sent: no account here may use it."""

    code = "ForbiddenParameter.LaunchPermission"
    message = 'The specified parameter "LaunchPermission" is forbidden for current account.'
    hint = "Share the image with accounts: `kiln image share IMAGE ACCOUNT`."


class CurrentRegionNotSupportPublicImage(ApiError):
    """IsPublic is true: there are no community images here."""

    code = "CurrentRegion.NotSupportPublicImage"
    status = 403
    message = "Public image is not supported for current region."


class OperationDeniedInvalidImageStatus(ApiError):
    """The image is Deprecated, and is to be shared."""

    code = "OperationDenied.InvalidImageStatus"
    status = 403
    message = "The specified image cannot be shared when it is deprecated."


class AssumeRoleError(ApiError):
    """A disk of the image is encrypted with its owner's key, which nobody else has."""

    code = "AssumeRoleError"
    status = 403
    message = "Requires a RAM role of AliyunECSShareEncryptImageDefaultRole before sharing encrypted image."
    hint = "There are no RAM roles here: share the image that the encrypted one was copied from."


class InvalidAccountNotFound(ApiError):
    """There is no account of that ID."""

    code = "InvalidAccount.NotFound"
    status = 404
    message = 'The specified account {account} in parameter "AddAccount.n" or "RemoveAccount.n" does not exist.'
    hint = "An account is named by its ID: `kiln account list`, on the machine of the service, has it beside its name."


class InvalidAccountForbbiden(ApiError):
    """The account is the image's own."""

    code = "InvalidAccount.Forbbiden"
    status = 404
    message = "The specified Account does not yourself."


class QuotaExceedShareImageUser(ApiError):
    """The image would be shared with more accounts than it may."""

    code = "QuotaExceed.ShareImageUser"
    status = 403
    message = "The shared Image user Quota exceeds."


_Accounts = Annotated[tuple[str, ...], Unordered(), Example("1000000000000002")]


@shape
class Input:
    region_id: RegionId
    image_id: ImageId
    add_account: Annotated[_Accounts, Doc("The accounts to share it with.")] = ()
    remove_account: Annotated[_Accounts, Doc("The accounts to share it with no longer.")] = ()
    is_public: Annotated[
        bool | None,
        Declined("there are no community images", CurrentRegionNotSupportPublicImage),
        Doc("Whether everybody may use it."),
    ] = None
    launch_permission: Annotated[
        str | None, Doc("Not public; refused with any value, as for any account that has no leave to use it.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    image: str
    add: tuple[str, ...]
    remove: tuple[str, ...]


def check(call: Call, p: Input) -> Plan:
    if p.launch_permission is not None:
        if p.add_account or p.remove_account:
            raise UnnecessaryParameterLaunchPermission
        raise ForbiddenParameterLaunchPermission
    image = call.the(images.images, p.image_id, p.region_id, InvalidImageIdNotFound)
    add, remove = (_read(call, given) for given in (p.add_account, p.remove_account))
    if add and image.status == ImageStatus.DEPRECATED:
        raise OperationDeniedInvalidImageStatus(image_id=image.id)
    if add and any(disk.kms_key for disk in images.disks_of(call.tx, [image.id])[image.id]):
        raise AssumeRoleError(image_id=image.id)
    before = {share.account for share in image_shares.all(call.tx, image=image.id)}
    after = (before | set(add)) - set(remove)
    if len(after) > max(_ACCOUNTS_MOST, len(before)):
        raise QuotaExceedShareImageUser(limit=_ACCOUNTS_MOST)
    return Plan(
        image=image.id,
        add=tuple(sorted(after - before)),
        remove=tuple(sorted(before - after)),
    )


def commit(call: Call, plan: Plan) -> NothingMore:
    for account in plan.remove:
        image_shares.delete(call.tx, image=plan.image, account=account)
    shares = (ImageShare(image=plan.image, account=account, shared_at=call.now) for account in plan.add)
    image_shares.insert(call.tx, *shares)
    return NothingMore()


def _read(call: Call, given: Sequence[str]) -> list[str]:
    """The accounts that count. Raises InvalidAccountForbbiden, InvalidAccountNotFound."""
    named = list(dict.fromkeys(given[:_READ_MOST]))
    for account in named:
        if account == call.account:
            raise InvalidAccountForbbiden(account=account)
        if re.fullmatch("[0-9]{1,32}", account) is None or accounts.find(call.tx, id=account) is None:
            raise InvalidAccountNotFound(account=account)
    return named


modify_image_share_permission = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    errors=(
        UnnecessaryParameterLaunchPermission,
        ForbiddenParameterLaunchPermission,
        InvalidImageIdNotFound,
        InvalidAccountForbbiden,
        InvalidAccountNotFound,
        OperationDeniedInvalidImageStatus,
        AssumeRoleError,
        QuotaExceedShareImageUser,
    ),
)
