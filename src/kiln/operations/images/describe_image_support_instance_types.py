"""List the instance types that an image can run on, those of its CPU.

The image is the caller's own or shared with it, and usable: Available or
Deprecated. What an instance can start with it can change to, so both values of
ActionType give the same list.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError, MissingParameter
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Doc, Example, OneOf
from kiln.declare.shapes import shape
from kiln.declare.states import USABLE
from kiln.operations.params import FilterInput, ImageId, RegionId
from kiln.operations.steps import platforms
from kiln.operations.steps.usable_images import find_usable


class InvalidParamterOfSupport(ApiError):
    """ActionType is none of the documented ones."""

    code = "InvalidParamter"
    message = "Invalid Parameter."


class InvalidImageIdNotFoundOfSupport(ApiError):
    """No image of that ID can be used by this account in the region."""

    code = "InvalidImageId.NotFound"
    status = 404
    message = (
        "The specified image is not found, please make sure image is exist in current region or image status is "
        "available."
    )


@shape
class Input:
    region_id: RegionId
    image_id: Annotated[ImageId | None, Doc("The ID of the image; it is always needed.")] = None
    action_type: Annotated[
        str | None,
        OneOf(("CreateEcs", "ChangeOS"), InvalidParamterOfSupport),
        Accepted("What an instance type can start with, it can change to."),
        Doc("What the image is wanted for."),
    ] = None
    filter: Annotated[
        tuple[FilterInput, ...] | None,
        Accepted("The documents of the API say that it has no effect."),
        Doc("Filters."),
    ] = None


@shape
class SupportedTypeOutput:
    """One instance type."""

    cpu_core_count: Annotated[int, Example("2"), Doc("CPUs.")]
    instance_type_family: Annotated[str, Example("ecs.g6"), Doc("The family.")]
    instance_type_id: Annotated[str, Example("ecs.g6.large"), Doc("The ID.")]
    memory_size: Annotated[float, Example("8"), Doc("GiB of memory.")]


@shape
class SupportedTypesOutput:
    """Instance types."""

    instance_type: Annotated[tuple[SupportedTypeOutput, ...], Doc("The types.")]


@shape
class Output:
    image_id: ImageId
    instance_types: Annotated[SupportedTypesOutput, Doc("The instance types.")]
    region_id: Annotated[str, Doc("The region.")]


def check(call: Call, p: Input) -> Output:
    if p.image_id is None:
        raise MissingParameter(parameter="ImageId")
    image = find_usable(call, p.image_id, p.region_id, InvalidImageIdNotFoundOfSupport)
    if image.status not in USABLE:
        raise InvalidImageIdNotFoundOfSupport(image_id=image.id, status=image.status)
    kinds = [k for k in call.deployment.instance_types if image.system.architecture in platforms.RUNS[k.architecture]]
    drawn = tuple(
        SupportedTypeOutput(
            cpu_core_count=kind.cpus,
            instance_type_family=kind.family,
            instance_type_id=kind.id,
            memory_size=kind.memory_mib / 1024,
        )
        for kind in kinds
    )
    return Output(image_id=image.id, instance_types=SupportedTypesOutput(instance_type=drawn), region_id=p.region_id)


describe_image_support_instance_types = Operation(
    input=Input, output=Output, check=check, errors=(MissingParameter, InvalidImageIdNotFoundOfSupport)
)
