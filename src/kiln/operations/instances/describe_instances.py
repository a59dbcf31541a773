"""List instances with all that is known of them, newest first.

Instances that were made in one call come by their names.

Filters are joined by and. IDs that are unknown, or another account's, are
passed over; an empty list of IDs gives an empty answer. Pages are asked for by
NextToken and MaxResults, or by PageNumber and PageSize.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError, DryRunOperation, InvalidParameter
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Composed, Count, Doc, Example, JsonList, OneOf
from kiln.declare.shapes import shape
from kiln.declare.states import InstanceStatus
from kiln.operations import accepted, paging
from kiln.operations.errors.tags import InvalidTagCount
from kiln.operations.filters import (
    InvalidLockReasonNotFound,
    InvalidStatusNotFound,
    InvalidTagMismatch,
    TagFilter,
    by_creation,
    by_tags,
)
from kiln.operations.instances.parts.portrait import InstanceOutput
from kiln.operations.instances.parts.portraits import draw_all
from kiln.operations.params import (
    FilterInput,
    ImageId,
    InResourceGroup,
    InstanceId,
    NextToken,
    PageNumber,
    PageSize100,
    RegionId,
)
from kiln.store import instances as store
from kiln.store.conditions import NOTHING, Condition
from kiln.store.instances import instances

_LOCKS = ("financial", "security", "recycling", "dedicatedhostfinancial", "refunded")


class InvalidNetworkTypeNotFound(ApiError):
    """The network type is neither vpc nor classic."""

    code = "InvalidNetworkType.NotFound"
    status = 404
    message = "The specified InstanceNetworkType is not found."


class InvalidInstanceChargeTypeNotFound(ApiError):
    """The charge type is none of the documented ones."""

    code = "InvalidInstanceChargeType.NotFound"
    status = 404
    message = "The InstanceChargeType does not exist in our records."


class InvalidInternetChargeTypeValueNotSupported(ApiError):
    """The network's charge type is none of the documented ones."""

    code = "InvalidInternetChargeType.ValueNotSupported"
    status = 404
    message = "The specified InternetChargeType is not valid."


class InvalidFilterKeyNotFoundOfInstances(ApiError):
    """A Filter.N.Key that the operation does not know."""

    code = "InvalidFilterKey.NotFound"
    status = 404
    message = "Invalid filter.{key}."


class InvalidFilterValueOfInstances(ApiError):
    """A Filter.N.Value that is no time."""

    code = "InvalidFilterValue"
    status = 404
    message = "Invalid filter.{value}."


_Addresses = Annotated[tuple[str, ...] | None, JsonList(), Count(100), Example('["172.16.1.1"]')]


@shape
class Input:
    region_id: RegionId
    instance_ids: Annotated[
        tuple[InstanceId, ...] | None,
        JsonList(),
        Count(100),
        Example('["i-bp1g6zv0ce8oghu7k2d3"]'),
        Doc("Only these instances."),
    ] = None
    instance_name: Annotated[
        str | None,
        Composed(),
        Example("web-*"),
        Doc("The whole name, or a pattern in which * stands for any characters."),
    ] = None
    status: Annotated[str | None, OneOf(tuple(InstanceStatus), InvalidStatusNotFound), Doc("The status.")] = None
    image_id: Annotated[ImageId | None, Doc("The image that the system disk was made of.")] = None
    vpc_id: Annotated[str | None, Doc("The VPC.")] = None
    v_switch_id: Annotated[str | None, Doc("The vSwitch.")] = None
    zone_id: Annotated[str | None, Doc("The zone.")] = None
    instance_type: Annotated[str | None, Doc("The type.")] = None
    instance_type_family: Annotated[str | None, Example("ecs.g6"), Doc("The type's family.")] = None
    security_group_id: Annotated[str | None, Doc("A security group that it is in.")] = None
    instance_network_type: Annotated[
        str | None, OneOf(("vpc", "classic"), InvalidNetworkTypeNotFound), Doc("vpc: every instance is in one.")
    ] = None
    instance_charge_type: Annotated[
        str | None, OneOf(("PostPaid", "PrePaid"), InvalidInstanceChargeTypeNotFound), Doc("PostPaid or PrePaid.")
    ] = None
    internet_charge_type: Annotated[
        str | None,
        OneOf(("PayByTraffic", "PayByBandwidth"), InvalidInternetChargeTypeValueNotSupported),
        Doc("PayByTraffic or PayByBandwidth."),
    ] = None
    key_pair_name: Annotated[str | None, Composed(), Doc("The SSH key pair.")] = None
    lock_reason: Annotated[
        str | None, OneOf(_LOCKS, InvalidLockReasonNotFound, any_case=True), Doc("Why it is locked.")
    ] = None
    resource_group_id: InResourceGroup | None = None
    private_ip_addresses: Annotated[_Addresses, Doc("Private addresses.")] = None
    inner_ip_addresses: Annotated[_Addresses, Doc("Those of instances in no VPC: there are none.")] = None
    public_ip_addresses: Annotated[_Addresses, Doc("Public addresses.")] = None
    eip_addresses: Annotated[_Addresses, Doc("Elastic addresses.")] = None
    rdma_ip_addresses: Annotated[_Addresses, Doc("RDMA addresses, of which there are none.")] = None
    ipv6_address: Annotated[tuple[str, ...] | None, Doc("IPv6 addresses, of which there are none.")] = None
    http_endpoint: Annotated[str | None, OneOf(("enabled", "disabled")), Doc("enabled or disabled.")] = None
    http_tokens: Annotated[str | None, OneOf(("optional", "required")), Doc("optional or required.")] = None
    io_optimized: Annotated[bool | None, Doc("Every instance is.")] = None
    device_available: Annotated[bool | None, Doc("Whether disks can be attached: to every instance.")] = None
    hpc_cluster_id: Annotated[str | None, Doc("The HPC cluster, of which there are none.")] = None
    tag: Annotated[
        tuple[TagFilter, ...] | None,
        Count(20, InvalidTagCount),
        Doc("Instances that have all of these tags; without a value, any value will do."),
    ] = None
    filter: Annotated[
        tuple[FilterInput, ...] | None, Doc("CreationStartTime and CreationEndTime, as 2026-11-23T06:07Z.")
    ] = None
    next_token: NextToken | None = None
    max_results: Annotated[
        int | None, Example("10"), Doc("Rows an answer, 10 to 100; less counts as 10, more as 100.")
    ] = None
    page_number: PageNumber | None = None
    page_size: PageSize100 | None = None
    additional_attributes: Annotated[tuple[str, ...], accepted.WHOLE_ANSWER, Doc("More fields to tell.")] = ()
    need_sale_cycle: Annotated[bool | None, accepted.BILLING, Doc("Whether to tell it.")] = None
    http_put_response_hop_limit: Annotated[
        int | None, Accepted("It is 0 everywhere."), Doc("Hops that a metadata answer lives.")
    ] = None


@shape
class InstancesOutput:
    """Instances."""

    instance: Annotated[tuple[InstanceOutput, ...], Doc("The instances of this page.")]


@shape
class Output:
    instances: Annotated[InstancesOutput, Doc("The instances.")]
    total_count: Annotated[int, Doc("How many instances there are on all pages.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]
    next_token: Annotated[str, Doc("Where the next answer begins; empty with the last.")]


def check(call: Call, p: Input) -> Output:
    conditions = [
        *_by_column(p),
        *_by_address(p),
        *_by_network(p),
        *by_tags("instance", instances, p.tag),
        *by_creation(instances, p.filter, InvalidFilterKeyNotFoundOfInstances, InvalidFilterValueOfInstances),
    ]
    found = paging.page(
        call,
        p,
        instances,
        store.NEWEST,
        conditions,
        least=10,
        account=call.account,
        region=p.region_id,
    )
    return Output(
        instances=InstancesOutput(instance=draw_all(call, found.rows)),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
        next_token=found.next_token,
    )


def _by_column(p: Input) -> list[Condition]:
    c = instances.c
    wanted = (
        (c.status, p.status),
        (c.image, p.image_id),
        (c.zone, p.zone_id),
        (c.instance_type, p.instance_type),
        (c.charge_type, p.instance_charge_type),
        (c.internet_charge_type, p.internet_charge_type),
        (c.key_pair, p.key_pair_name),
        (c.lock_reason, p.lock_reason.lower() if p.lock_reason else None),
        (c.resource_group, p.resource_group_id),
        (c.http_endpoint, p.http_endpoint),
        (c.http_tokens, p.http_tokens),
    )
    conditions: list[Condition] = [column == value for column, value in wanted if value is not None]
    if p.instance_ids is not None:
        conditions.append(c.id.in_(p.instance_ids))
    if p.instance_name is not None:
        conditions.append(store.named(p.instance_name))
    if p.instance_type_family is not None:
        conditions.append(store.is_of_family(p.instance_type_family))
    return conditions


def _by_network(p: Input) -> list[Condition]:
    conditions: list[Condition] = []
    if p.vpc_id is not None:
        conditions.append(store.is_where(vpc=p.vpc_id))
    if p.v_switch_id is not None:
        conditions.append(store.is_where(vswitch=p.v_switch_id))
    if p.security_group_id is not None:
        conditions.append(store.is_in_group(p.security_group_id))
    is_classic = p.instance_network_type == "classic"
    if is_classic or p.io_optimized is False or p.device_available is False or p.hpc_cluster_id is not None:
        conditions.append(NOTHING)
    return conditions


def _by_address(p: Input) -> list[Condition]:
    conditions: list[Condition] = []
    if p.private_ip_addresses is not None:
        conditions.append(store.has_private_ip(p.private_ip_addresses))
    if p.public_ip_addresses is not None:
        conditions.append(instances.c.public_ip.in_(p.public_ip_addresses))
    if p.eip_addresses is not None:
        conditions.append(store.has_eip(p.eip_addresses))
    if any(given is not None for given in (p.inner_ip_addresses, p.rdma_ip_addresses, p.ipv6_address)):
        conditions.append(NOTHING)
    return conditions


describe_instances = Operation(
    input=Input,
    output=Output,
    check=check,
    dry_run=DryRunOperation,
    errors=(
        InvalidParameter,
        InvalidTagMismatch,
        InvalidFilterKeyNotFoundOfInstances,
        InvalidFilterValueOfInstances,
    ),
)
