"""Show the newest Available image of a family.

Images that are still Creating, and Deprecated ones, are passed over. A family
without an Available image gives an answer without Image, not an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.states import ImageStatus
from kiln.operations import portrait
from kiln.operations.call import Call
from kiln.operations.params import RegionId
from kiln.operations.portrait import ImageOutput
from kiln.store import images, tags


class InvalidRegionIdNotFoundOfFamily(ApiError):
    """The RegionId is none of this deployment's."""

    code = "InvalidRegionId.NotFound"
    status = 404
    message = "The RegionId provided does not exist."


@dataclass(frozen=True, kw_only=True)
class Input:
    region_id: RegionId
    image_family: Annotated[str, Example("hangzhou-daily-update"), Doc("The family.")]


@dataclass(frozen=True, kw_only=True)
class Output:
    image: Annotated[ImageOutput | None, Doc("The image; absent when the family has no Available one.")] = None


def check(call: Call, p: Input) -> Output:
    c = images.images.c
    conditions = (
        c.account == call.account,
        c.region == p.region_id,
        c.family == p.image_family,
        c.status == ImageStatus.AVAILABLE,
    )
    found = images.page(call.tx, conditions, limit=1, offset=0)
    if not found:
        return Output(image=None)
    image, is_used = found[0]
    disks, labels = images.disks_of(call.tx, [image.id]), tags.of(call.tx, "image", [image.id])
    return Output(image=portrait.draw(image, disks[image.id], labels[image.id], is_used=is_used))


describe_image_from_family = Operation(
    input=Input, output=Output, check=check, unknown_region=InvalidRegionIdNotFoundOfFamily
)
