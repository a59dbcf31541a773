"""Tell what is to be had in each zone: all that this deployment has is in stock in all of its zones.

DestinationResource says what is asked for; the other words narrow it down. A
zone in which nothing fits is left out.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.deployment import DISK_CATEGORIES, InstanceType
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Doc, Example, Missing, OneOf
from kiln.declare.shapes import shape
from kiln.operations import accepted
from kiln.operations.params import RegionId

_DISKS = ("SystemDisk", "DataDisk")
_DESTINATIONS = ("Zone", "IoOptimized", "InstanceType", "Network", "ddh", *_DISKS)
_TYPES = ("instance", "disk", "reservedinstance", "ddh")
#: What is everywhere.
_ALWAYS = {"Network": ("vpc",), "IoOptimized": ("optimized",), "Zone": ("",)}
_SPOT = Accepted("There are no spot instances.")


class InvalidParam(ApiError):
    """DestinationResource is missing."""

    code = "Invalid.Param"
    message = "The input parameter DestinationResource that is mandatory for processing this request is not supplied."


class InvalidDestinationResource(ApiError):
    """DestinationResource is none of the documented ones."""

    code = "Invalid.DestinationResource"
    status = 404
    message = "The specified DestinationResource is not valid."


class InvalidResourceType(ApiError):
    """ResourceType is none of the documented ones."""

    code = "Invalid.ResourceType"
    status = 404
    message = "The ResourceType provided does not exist in our records."


class InvalidIoOptimized(ApiError):
    """IoOptimized is neither none nor optimized."""

    code = "Invalid.IoOptimized"
    status = 404
    message = "The specified IoOptimized is not valid."


class InvalidNetworkCategory(ApiError):
    """NetworkCategory is neither vpc nor classic."""

    code = "Invalid.NetworkCategory"
    status = 404
    message = "The specified NetworkCategory is not valid."


class InvalidInstanceChargeType(ApiError):
    """InstanceChargeType is neither PostPaid nor PrePaid."""

    code = "Invalid.InstanceChargeType"
    message = "The specified InstanceChargeType is not valid."


class InvalidSpotStrategyOfResource(ApiError):
    """SpotStrategy is none of the documented ones."""

    code = "Invalid.SpotStrategy"
    status = 404
    message = "The specified SpotStrategy is not valid."


class InvalidParamTypeAndCpuMemConflict(ApiError):
    """InstanceType, and Cores or Memory too."""

    code = "InvalidParam.TypeAndCpuMem.Conflict"
    status = 403
    message = "The specified 'InstanceType' and 'Cores','Memory' are not blank at the same time."


class InvalidParamCores(ApiError):
    """Cores, where no instance types are asked for."""

    code = "InvalidParam.Cores"
    status = 403
    message = "The specified parameter 'Cores' should be empty"


class InvalidParamMemory(ApiError):
    """Memory, where no instance types are asked for."""

    code = "InvalidParam.Memory"
    status = 403
    message = "The specified parameter 'Memory' should be empty"


@shape
class Input:
    region_id: RegionId
    destination_resource: Annotated[
        str,
        OneOf(_DESTINATIONS, InvalidDestinationResource),
        Missing(InvalidParam),
        Example("InstanceType"),
        Doc("What is asked for: Zone, IoOptimized, InstanceType, Network, ddh, SystemDisk or DataDisk."),
    ]
    resource_type: Annotated[
        str | None,
        OneOf(_TYPES, InvalidResourceType),
        Doc("What for: instance or disk. Of reservedinstance and ddh there is nothing."),
    ] = None
    zone_id: Annotated[str | None, Doc("Only this zone.")] = None
    instance_type: Annotated[str | None, Example("ecs.g6.large"), Doc("Only what goes with this type.")] = None
    cores: Annotated[int | None, Doc("With DestinationResource=InstanceType: only types with so many vCPUs.")] = None
    memory: Annotated[float | None, Doc("With DestinationResource=InstanceType: only types with so many GiB.")] = None
    io_optimized: Annotated[
        str | None, OneOf(("none", "optimized"), InvalidIoOptimized), Doc("Every instance is optimized.")
    ] = None
    network_category: Annotated[
        str | None, OneOf(("vpc", "classic"), InvalidNetworkCategory), Doc("Every instance is in a VPC.")
    ] = None
    system_disk_category: Annotated[str | None, Doc("Only what goes with such a system disk.")] = None
    data_disk_category: Annotated[str | None, Doc("Only what goes with such a data disk.")] = None
    instance_charge_type: Annotated[
        str, OneOf(("PostPaid", "PrePaid"), InvalidInstanceChargeType), accepted.BILLING, Doc("How it is paid for.")
    ] = "PostPaid"
    spot_strategy: Annotated[
        str | None,
        OneOf(("NoSpot", "SpotWithPriceLimit", "SpotAsPriceGo"), InvalidSpotStrategyOfResource),
        _SPOT,
        Doc("How it bids."),
    ] = None
    spot_duration: Annotated[int | None, _SPOT, Doc("For how long it is kept.")] = None
    dedicated_host_id: Annotated[str | None, accepted.HOSTS, Doc("The dedicated host.")] = None
    scope: Annotated[str | None, Accepted("There are no reserved instances."), Doc("Region or Zone.")] = None


@shape
class SupportedResourceOutput:
    """One thing that is to be had."""

    value: Annotated[str, Example("ecs.g6.large"), Doc("The instance type, the category, ...")]
    status: Annotated[str, Doc("Always Available.")] = "Available"
    status_category: Annotated[str, Doc("Always WithStock.")] = "WithStock"
    min: Annotated[int | None, Doc("Of a disk category the least size; else left out.")] = None
    max: Annotated[int | None, Doc("Of a disk category the greatest size; else left out.")] = None
    unit: Annotated[str | None, Doc("Of the two: GiB.")] = None


@shape
class SupportedResourcesOutput:
    """What is to be had."""

    supported_resource: Annotated[tuple[SupportedResourceOutput, ...], Doc("One by one.")]


@shape
class AvailableResourceOutput:
    """One sort of things."""

    type: Annotated[str, Doc("The DestinationResource.")]
    supported_resources: Annotated[SupportedResourcesOutput, Doc("What is to be had of it.")]


@shape
class AvailableResourcesOutput:
    """Sorts of things."""

    available_resource: Annotated[tuple[AvailableResourceOutput, ...], Doc("One; none where zones are asked for.")]


@shape
class AvailableZoneOutput:
    """A zone, and what is to be had there."""

    region_id: RegionId
    zone_id: Annotated[str, Doc("The zone.")]
    status: Annotated[str, Doc("Always Available.")] = "Available"
    status_category: Annotated[str, Doc("Always WithStock.")] = "WithStock"
    available_resources: Annotated[AvailableResourcesOutput, Doc("What is to be had.")]


@shape
class AvailableZonesOutput:
    """Zones."""

    available_zone: Annotated[tuple[AvailableZoneOutput, ...], Doc("Those in which there is something.")]


@shape
class Output:
    available_zones: Annotated[AvailableZonesOutput, Doc("Zones.")]


def check(call: Call, p: Input) -> Output:
    _check_size(p)
    found = _found(call, p) if _is_anything(call, p) else ()
    sort = AvailableResourceOutput(
        type=p.destination_resource, supported_resources=SupportedResourcesOutput(supported_resource=found)
    )
    of_zone = AvailableResourcesOutput(available_resource=() if p.destination_resource == "Zone" else (sort,))
    zones = (zone for zone in call.deployment.zones(p.region_id) if found and p.zone_id in (None, zone))
    described = (
        AvailableZoneOutput(region_id=p.region_id, zone_id=zone, available_resources=of_zone) for zone in zones
    )
    return Output(available_zones=AvailableZonesOutput(available_zone=tuple(described)))


def _check_size(p: Input) -> None:
    if p.instance_type is not None and (p.cores is not None or p.memory is not None):
        raise InvalidParamTypeAndCpuMemConflict
    if p.destination_resource != "InstanceType":
        if p.cores is not None:
            raise InvalidParamCores
        if p.memory is not None:
            raise InvalidParamMemory


def _is_anything(call: Call, p: Input) -> bool:
    """Whether what the words narrow it down to is there at all."""
    categories = [one for one in (p.system_disk_category, p.data_disk_category) if one is not None]
    return (
        p.resource_type in (None, "instance", "disk")
        and p.io_optimized != "none"
        and p.network_category != "classic"
        and all(one in DISK_CATEGORIES for one in categories)
        and (p.instance_type is None or call.deployment.instance_type(p.instance_type) is not None)
    )


def _found(call: Call, p: Input) -> tuple[SupportedResourceOutput, ...]:
    """What is asked for; of zones, which are told by themselves, something, and of dedicated hosts nothing."""
    wanted = p.destination_resource
    if wanted in _DISKS:
        return _disks(p.system_disk_category if wanted == "SystemDisk" else p.data_disk_category)
    if wanted == "InstanceType":
        values = [one.id for one in call.deployment.instance_types if _fits(one, p)]
    else:
        values = list(_ALWAYS.get(wanted, ()))
    return tuple(SupportedResourceOutput(value=value) for value in values)


def _fits(one: InstanceType, p: Input) -> bool:
    return (
        p.instance_type in (None, one.id)
        and p.cores in (None, one.cpus)
        and (p.memory is None or p.memory * 1024 == one.memory_mib)
    )


def _disks(category: str | None) -> tuple[SupportedResourceOutput, ...]:
    return tuple(
        SupportedResourceOutput(value=one.id, min=one.least_gib, max=one.most_gib, unit="GiB")
        for one in DISK_CATEGORIES.values()
        if category in (None, one.id)
    )


describe_available_resource = Operation(
    input=Input,
    output=Output,
    check=check,
    errors=(InvalidParamTypeAndCpuMemConflict, InvalidParamCores, InvalidParamMemory),
)
