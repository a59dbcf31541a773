"""Show the newest Available image of a family.

Images that are still Creating, and Deprecated ones, are passed over. A family
without an Available image gives an answer without Image, not an error.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Composed, Doc, Example
from kiln.declare.shapes import shape
from kiln.declare.states import ImageStatus
from kiln.operations.images.parts import portrait
from kiln.operations.images.parts.portrait import ImageOutput
from kiln.operations.params import RegionId
from kiln.store import images


class InvalidRegionIdNotFoundOfFamily(ApiError):
    """The RegionId is none of this deployment's."""

    code = "InvalidRegionId.NotFound"
    status = 404
    message = "The RegionId provided does not exist."


@shape
class Input:
    region_id: RegionId
    image_family: Annotated[str, Composed(), Example("hangzhou-daily-update"), Doc("The family.")]


@shape
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
    drawn = portrait.draw(images.page(call.tx, conditions, limit=1, offset=0), call.account)
    return Output(image=drawn[0] if drawn else None)


describe_image_from_family = Operation(
    input=Input, output=Output, check=check, unknown_region=InvalidRegionIdNotFoundOfFamily
)
