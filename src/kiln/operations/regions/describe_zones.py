"""List the zones of a region, with what is to be had in them: everything that this deployment has."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.deployment import DISK_CATEGORIES
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.regions import LANGUAGES, zone_name
from kiln.declare.rules import Accepted, Doc, Example, OneOf, Wire
from kiln.declare.shapes import shape
from kiln.operations.errors.regions import InvalidRegionIdNotFoundSpecified
from kiln.operations.params import RegionId
from kiln.operations.regions.parts.languages import AcceptLanguage

_ALL_THE_SAME = Accepted("Nothing is billed, and every zone has everything.")

_RESOURCES = ("VSwitch", "IoOptimized", "Instance", "Disk")  #: Packer looks for the first (clients.md 3, row 8).
_GENERATIONS = ("ecs-1", "ecs-2", "ecs-3", "ecs-4", "ecs-5", "ecs-6")
_NETWORKS = ("vpc",)  #: As DescribeInstances has it: no instance is outside of a VPC.


class InvalidInstanceChargeTypeNotFound(ApiError):
    """The charge type is none of the documented ones."""

    code = "InvalidInstanceChargeType.NotFound"
    status = 404
    message = "The InstanceChargeType does not exist in our records"


class InvalidSpotStrategy(ApiError):
    """The spot strategy is none of the documented ones."""

    code = "InvalidSpotStrategy"
    message = "The specified SpotStrategy is not valid."


@shape
class Input:
    region_id: RegionId
    instance_charge_type: Annotated[
        str | None,
        OneOf(("PostPaid", "PrePaid"), InvalidInstanceChargeTypeNotFound),
        _ALL_THE_SAME,
        Doc("How instances are paid for."),
    ] = None
    spot_strategy: Annotated[
        str | None,
        OneOf(("NoSpot", "SpotWithPriceLimit", "SpotAsPriceGo"), InvalidSpotStrategy),
        _ALL_THE_SAME,
        Doc("How spot instances bid."),
    ] = None
    accept_language: AcceptLanguage = LANGUAGES[0]
    verbose: Annotated[bool, Doc("false leaves out what is to be had, and tells the zones alone.")] = True


@shape
class InstanceTypesOutput:
    """Instance types."""

    instance_types: Annotated[tuple[str, ...], Doc("Their IDs.")]


@shape
class ResourceCreationOutput:
    """Sorts of resources."""

    resource_types: Annotated[tuple[str, ...], Doc("What can be made here.")]


@shape
class DiskCategoriesOutput:
    """Disk categories."""

    disk_categories: Annotated[tuple[str, ...], Doc("The categories.")]


@shape
class VolumeCategoriesOutput:
    """Shared block storage."""

    volume_categories: Annotated[tuple[str, ...], Doc("Always none.")]


@shape
class HostTypesOutput:
    """Dedicated hosts."""

    dedicated_host_type: Annotated[tuple[str, ...], Doc("Always none.")]


@shape
class HostGenerationsOutput:
    """Generations of dedicated hosts."""

    dedicated_host_generation: Annotated[tuple[str, ...], Doc("Always none.")]


@shape
class SupportedSystemDisksOutput:
    """Categories of system disks."""

    category: Annotated[tuple[str, ...], Wire("supportedSystemDiskCategory"), Doc("The categories.")]


@shape
class SupportedDataDisksOutput:
    """Categories of data disks."""

    category: Annotated[tuple[str, ...], Wire("supportedDataDiskCategory"), Doc("The categories.")]


@shape
class SupportedGenerationsOutput:
    """Generations of instances."""

    generation: Annotated[tuple[str, ...], Wire("supportedInstanceGeneration"), Doc("The generations.")]


@shape
class SupportedFamiliesOutput:
    """Families of instance types."""

    family: Annotated[tuple[str, ...], Wire("supportedInstanceTypeFamily"), Doc("The families.")]


@shape
class SupportedTypesOutput:
    """Instance types."""

    type: Annotated[tuple[str, ...], Wire("supportedInstanceType"), Doc("Their IDs.")]


@shape
class SupportedNetworksOutput:
    """Network types."""

    network: Annotated[tuple[str, ...], Wire("supportedNetworkCategory"), Doc("vpc: every instance is in one.")]


@shape
class ResourcesInfoOutput:
    """What goes together."""

    io_optimized: Annotated[bool, Doc("Always true.")]
    instance_types: Annotated[SupportedTypesOutput, Doc("Instance types.")]
    instance_type_families: Annotated[SupportedFamiliesOutput, Doc("Their families.")]
    instance_generations: Annotated[SupportedGenerationsOutput, Doc("Their generations.")]
    system_disk_categories: Annotated[SupportedSystemDisksOutput, Doc("Categories of system disks.")]
    data_disk_categories: Annotated[SupportedDataDisksOutput, Doc("Categories of data disks.")]
    network_types: Annotated[SupportedNetworksOutput, Doc("Network types.")]


@shape
class AvailableResourcesOutput:
    """What goes together."""

    resources_info: Annotated[tuple[ResourcesInfoOutput, ...], Doc("One: everything goes with everything.")]


@shape
class ZoneOutput:
    """One zone. What follows ZoneType is left out when Verbose is false."""

    zone_id: Annotated[str, Example("cn-qingdao-env17-d01-a"), Doc("The zone.")]
    local_name: Annotated[str, Example("杭州 可用区H"), Doc("Its name; of a region that ECS does not have, its ID.")]
    zone_type: Annotated[str, Doc("Always AvailabilityZone.")]
    available_instance_types: Annotated[InstanceTypesOutput | None, Doc("Instance types.")] = None
    available_resource_creation: Annotated[ResourceCreationOutput | None, Doc("What can be made here.")] = None
    available_disk_categories: Annotated[DiskCategoriesOutput | None, Doc("Disk categories.")] = None
    available_resources: Annotated[AvailableResourcesOutput | None, Doc("What goes together.")] = None
    available_volume_categories: Annotated[VolumeCategoriesOutput | None, Doc("Always none.")] = None
    available_dedicated_host_types: Annotated[HostTypesOutput | None, Doc("Always none.")] = None
    dedicated_host_generations: Annotated[HostGenerationsOutput | None, Doc("Always none.")] = None


@shape
class ZonesOutput:
    """Zones."""

    zone: Annotated[tuple[ZoneOutput, ...], Doc("The zones.")]


@shape
class Output:
    zones: Annotated[ZonesOutput, Doc("The zones of the region.")]


def check(call: Call, p: Input) -> Output:
    describe = _describe if p.verbose else _name
    zones = (
        describe(call, zone, zone_name(p.region_id, zone, p.accept_language))
        for zone in call.deployment.zones(p.region_id)
    )
    return Output(zones=ZonesOutput(zone=tuple(zones)))


def _name(call: Call, zone: str, name: str) -> ZoneOutput:  # noqa: ARG001 - the same form as its fuller sister.
    return ZoneOutput(zone_id=zone, local_name=name, zone_type="AvailabilityZone")


def _describe(call: Call, zone: str, name: str) -> ZoneOutput:
    types = tuple(one.id for one in call.deployment.instance_types)
    families = tuple(dict.fromkeys(one.family for one in call.deployment.instance_types))
    categories = tuple(DISK_CATEGORIES)
    together = ResourcesInfoOutput(
        io_optimized=True,
        instance_types=SupportedTypesOutput(type=types),
        instance_type_families=SupportedFamiliesOutput(family=families),
        instance_generations=SupportedGenerationsOutput(generation=_GENERATIONS),
        system_disk_categories=SupportedSystemDisksOutput(category=categories),
        data_disk_categories=SupportedDataDisksOutput(category=categories),
        network_types=SupportedNetworksOutput(network=_NETWORKS),
    )
    return ZoneOutput(
        zone_id=zone,
        local_name=name,
        zone_type="AvailabilityZone",
        available_instance_types=InstanceTypesOutput(instance_types=types),
        available_resource_creation=ResourceCreationOutput(resource_types=_RESOURCES),
        available_disk_categories=DiskCategoriesOutput(disk_categories=categories),
        available_resources=AvailableResourcesOutput(resources_info=(together,)),
        available_volume_categories=VolumeCategoriesOutput(volume_categories=()),
        available_dedicated_host_types=HostTypesOutput(dedicated_host_type=()),
        dedicated_host_generations=HostGenerationsOutput(dedicated_host_generation=()),
    )


describe_zones = Operation(
    input=Input,
    output=Output,
    check=check,
    unknown_region=InvalidRegionIdNotFoundSpecified,
)
