"""List the regions of this deployment.

Every region is one address, the one that DescribeRegions itself was asked at,
so that clients which go to the endpoint of the region they find come back here.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.regions import LANGUAGES, region_name
from kiln.declare.rules import Accepted, Doc, Example, OneOf
from kiln.declare.shapes import shape
from kiln.operations.errors.tags import InvalidResourceTypeNotFound
from kiln.operations.regions.parts.languages import AcceptLanguage

_ALL_THE_SAME = Accepted("Every region has everything.")


class InvalidInstanceChargeTypeOfRegions(ApiError):
    """The charge type is none of the documented ones."""

    code = "Invalid.InstanceChargeType"
    status = 403
    message = "The specified instanceChargeType is not valid."


@shape
class Input:
    instance_charge_type: Annotated[
        str | None,
        OneOf(("PostPaid", "PrePaid", "SpotWithPriceLimit", "SpotAsPriceGo"), InvalidInstanceChargeTypeOfRegions),
        _ALL_THE_SAME,
        Doc("How instances are paid for."),
    ] = None
    resource_type: Annotated[
        str | None,
        OneOf(("instance", "disk", "reservedinstance", "scu"), InvalidResourceTypeNotFound),
        _ALL_THE_SAME,
        Doc("What is to be had in the region."),
    ] = None
    accept_language: AcceptLanguage = LANGUAGES[0]


@shape
class RegionOutput:
    """One region."""

    region_id: Annotated[str, Example("cn-qingdao-env17-d01"), Doc("The region.")]
    local_name: Annotated[str, Example("华东1（杭州）"), Doc("Its name; of a region that ECS does not have, its ID.")]
    region_endpoint: Annotated[str, Example("127.0.0.1:8787"), Doc("The address that serves it.")]
    status: Annotated[str, Doc("Always available.")]


@shape
class RegionsOutput:
    """Regions."""

    region: Annotated[tuple[RegionOutput, ...], Doc("The regions.")]


@shape
class Output:
    regions: Annotated[RegionsOutput, Doc("All regions.")]


def check(call: Call, p: Input) -> Output:
    endpoint = call.deployment.endpoint
    regions = (
        RegionOutput(
            region_id=region,
            local_name=region_name(region, p.accept_language),
            region_endpoint=endpoint,
            status="available",
        )
        for region in call.deployment.regions
    )
    return Output(regions=RegionsOutput(region=tuple(regions)))


describe_regions = Operation(input=Input, output=Output, check=check)
