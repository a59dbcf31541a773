"""List the accounts that an image of the caller's is shared with, in the order in which it was.

An image that others share with the caller is not found here: with whom else
they share it is theirs to know.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.params import ImageId, PageNumber, PageSize100, RegionId
from kiln.store import images
from kiln.store.shares import OLDEST, image_shares


class InvalidImageIdNotFoundOfShares(ApiError):
    """The account has no image of that ID in the region."""

    code = "InvalidImageId.NotFound"
    status = 404
    message = "The specified image {id} does not exist."


@shape
class Input:
    region_id: RegionId
    image_id: ImageId
    page_number: PageNumber = 1
    page_size: PageSize100 = 10


@shape
class AccountOutput:
    """One account that the image is shared with."""

    aliyun_id: Annotated[str, Example("1000000000000002"), Doc("The ID of the account.")]
    shared_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("Since when.")]


@shape
class AccountsOutput:
    """Accounts."""

    account: Annotated[tuple[AccountOutput, ...], Doc("The accounts of this page.")]


@shape
class ShareGroupOutput:
    """A group that the image is shared with."""

    group: Annotated[str, Doc("all: everybody.")]


@shape
class ShareGroupsOutput:
    """Groups."""

    share_group: Annotated[tuple[ShareGroupOutput, ...], Doc("Always none: there are no community images.")]


@shape
class Output:
    accounts: Annotated[AccountsOutput, Doc("The accounts.")]
    image_id: ImageId
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]
    region_id: Annotated[str, Doc("The region.")]
    share_groups: Annotated[ShareGroupsOutput, Doc("The groups.")]
    total_count: Annotated[int, Doc("How many accounts there are on all pages.")]


def check(call: Call, p: Input) -> Output:
    image = call.the(images.images, p.image_id, p.region_id, InvalidImageIdNotFoundOfShares)
    offset = (p.page_number - 1) * p.page_size
    shares = image_shares.page(call.tx, order=OLDEST, limit=p.page_size, offset=offset, image=image.id)
    drawn = tuple(
        AccountOutput(aliyun_id=share.account, shared_time=to_seconds_text(share.shared_at)) for share in shares
    )
    return Output(
        accounts=AccountsOutput(account=drawn),
        image_id=image.id,
        page_number=p.page_number,
        page_size=p.page_size,
        region_id=p.region_id,
        share_groups=ShareGroupsOutput(share_group=()),
        total_count=image_shares.count(call.tx, image=image.id),
    )


describe_image_share_permission = Operation(
    input=Input, output=Output, check=check, errors=(InvalidImageIdNotFoundOfShares,)
)
