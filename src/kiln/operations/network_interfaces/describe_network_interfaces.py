"""List network interfaces, the newest first.

Each instance has one, its primary, which comes and ends with it: there are no
others. All filters that are sent must hold. An ID that is unknown, or another
account's, is no error: it is not in the answer.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from kiln.calls.call import Call
from kiln.declare.errors import InvalidParameter
from kiln.declare.operation import Operation
from kiln.declare.rules import Between, Count, Doc, Example, OneOf, Wire
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.errors.tags import InvalidTagCount
from kiln.operations.filters import InvalidTagMismatch, TagFilter, by_tags
from kiln.operations.paging import page
from kiln.operations.params import (
    InstanceId,
    NextToken,
    PageNumber,
    RegionId,
    ResourceGroupId,
    SecurityGroupId,
    TagsOutput,
    draw_tags,
)
from kiln.store import eips
from kiln.store.conditions import NOTHING, Condition
from kiln.store.eips import Eip
from kiln.store.instances import Instance, has_owner_in, instances
from kiln.store.interfaces import NEWEST, NetworkInterface, groups_of, interfaces, is_member

_LEAST, _MOST = 10, 500  #: Of MaxResults, as the service documents it.


@shape
class Input:
    region_id: RegionId
    network_interface_id: Annotated[
        tuple[str, ...] | None, Count(100), Example("eni-bp13kd656hxambfe2k8q"), Doc("Only these, up to 100.")
    ] = None
    network_interface_name: Annotated[str | None, Doc("Only interfaces of this name. None has one here.")] = None
    type: Annotated[
        str | None,
        OneOf(("Primary", "Secondary")),
        Doc("Primary, which all are here, or Secondary, of which there are none."),
    ] = None
    status: Annotated[
        str | None,
        OneOf(("Available", "Attaching", "InUse", "Detaching", "Deleting")),
        Doc("Only interfaces in this status. All here are InUse."),
    ] = None
    instance_id: Annotated[InstanceId | None, Doc("Only the interface of this instance.")] = None
    vpc_id: Annotated[str | None, Doc("Only interfaces in this VPC.")] = None
    v_switch_id: Annotated[str | None, Doc("Only interfaces in this VSwitch.")] = None
    security_group_id: Annotated[SecurityGroupId | None, Doc("Only interfaces in this security group.")] = None
    primary_ip_address: Annotated[str | None, Example("172.16.0.1"), Doc("Only interfaces of this address.")] = None
    private_ip_address: Annotated[
        tuple[str, ...] | None, Count(100), Doc("Only interfaces that have one of these private addresses, up to 100.")
    ] = None
    ipv6_address: Annotated[
        tuple[str, ...] | None, Count(100), Doc("Only interfaces that have one of these addresses: none has one.")
    ] = None
    resource_group_id: Annotated[
        ResourceGroupId | None, Doc("Only interfaces whose instance is in this resource group.")
    ] = None
    service_managed: Annotated[bool | None, Doc("true: only those that a service manages: there are none.")] = None
    tag: Annotated[
        tuple[TagFilter, ...] | None, Count(20, InvalidTagCount), Doc("Only interfaces that have all these tags.")
    ] = None
    next_token: NextToken | None = None
    max_results: Annotated[
        int | None,
        Example("10"),
        Doc("Rows an answer, when paging by NextToken: 10 to 500; less counts as 10, more as 500."),
    ] = None
    page_number: PageNumber | None = None
    page_size: Annotated[int | None, Between(1, _MOST), Example("10"), Doc("Rows a page.")] = None


@shape
class PublicIpOutput:
    """What leads to it from outside."""

    allocation_id: Annotated[str, Doc("The ID of the elastic address; empty of an instance's own public address.")]
    public_ip_address: Annotated[str, Doc("The address, or empty.")]


@shape
class PrivateIpOutput:
    """A private address."""

    private_ip_address: Annotated[str, Doc("The address.")]
    private_dns_name: Annotated[str, Doc("Always empty.")] = ""
    primary: Annotated[bool, Doc("Always true: each interface has one address.")] = True
    associated_public_ip: Annotated[PublicIpOutput, Doc("What leads to it from outside.")]


@shape
class PrivateIpsOutput:
    """Private addresses."""

    private_ip_set: Annotated[tuple[PrivateIpOutput, ...], Doc("The addresses.")]


@shape
class Ipv6Output:
    """An IPv6 address."""

    ipv6_address: Annotated[str, Doc("The address.")]
    primary: Annotated[bool, Doc("Whether it is the first.")]


@shape
class Ipv6sOutput:
    """IPv6 addresses."""

    ipv6_set: Annotated[tuple[Ipv6Output, ...], Doc("Always empty.")] = ()


@shape
class GroupIdsOutput:
    """Security groups."""

    security_group_id: Annotated[tuple[str, ...], Doc("Their IDs.")]


@shape
class AttachmentOutput:
    """Where a member of another interface is attached."""

    instance_id: Annotated[str, Doc("Always empty.")] = ""


@shape
class InterfaceOutput:
    """One network interface."""

    network_interface_id: Annotated[str, Doc("The ID.")]
    network_interface_name: Annotated[str, Doc("Always empty.")] = ""
    description: Annotated[str, Doc("Always empty.")] = ""
    type: Annotated[str, Doc("Primary.")]
    status: Annotated[str, Doc("InUse.")]
    instance_id: Annotated[str, Doc("Whose it is.")]
    attachment: Annotated[AttachmentOutput, Doc("Always empty, as of every interface that is no member of another.")]
    mac_address: Annotated[str, Example("00:16:3e:32:b4:26"), Doc("The MAC address.")]
    private_ip_address: Annotated[str, Doc("The private address.")]
    private_ip_sets: Annotated[PrivateIpsOutput, Doc("Its addresses.")]
    ipv6_sets: Annotated[Ipv6sOutput, Doc("Its IPv6 addresses.")]
    associated_public_ip: Annotated[PublicIpOutput, Doc("What leads to it from outside.")]
    security_group_ids: Annotated[GroupIdsOutput, Doc("The security groups that it is in.")]
    vpc_id: Annotated[str, Doc("The VPC.")]
    v_switch_id: Annotated[str, Doc("The VSwitch.")]
    zone_id: Annotated[str, Doc("The zone.")]
    resource_group_id: Annotated[str, Doc("The resource group of its instance, or empty.")]
    owner_id: Annotated[str, Doc("The account.")]
    creation_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("When it was made, UTC.")]
    delete_on_release: Annotated[bool, Doc("Always true: it ends with its instance.")] = True
    network_interface_traffic_mode: Annotated[str, Doc("Always Standard.")] = "Standard"
    queue_number: Annotated[int, Doc("Always 1.")] = 1
    service_managed: Annotated[bool, Doc("Always false.")] = False
    service_id: Annotated[int, Wire("ServiceID"), Doc("Always 0.")] = 0
    tags: Annotated[TagsOutput, Doc("Always empty.")]


@shape
class InterfacesOutput:
    """Network interfaces."""

    network_interface_set: Annotated[tuple[InterfaceOutput, ...], Doc("The interfaces of this page.")]


@shape
class Output:
    network_interface_sets: Annotated[InterfacesOutput, Doc("The interfaces.")]
    total_count: Annotated[int, Doc("How many interfaces there are on all pages.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]
    next_token: Annotated[str, Doc("Where the next answer begins; empty with the last.")]


class _Beside(NamedTuple):
    """What other rows say of the interfaces of a page, by instance."""

    groups: dict[str, list[str]]
    elastic: dict[str, Eip]
    owners: dict[str, Instance]


def check(call: Call, p: Input) -> Output:
    found = page(
        call, p, interfaces, NEWEST, _conditions(p), least=_LEAST, most=_MOST, account=call.account, region=p.region_id
    )
    ids = [card.instance for card in found.rows]
    beside = _Beside(
        groups=groups_of(call.tx, ids),
        elastic=eips.of_instances(call.tx, ids),
        owners={one.id: one for one in instances.among(call.tx, "id", ids)},
    )
    drawn = tuple(_draw(card, beside) for card in found.rows)
    return Output(
        network_interface_sets=InterfacesOutput(network_interface_set=drawn),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
        next_token=found.next_token,
    )


def _conditions(p: Input) -> list[Condition]:
    c = interfaces.c
    wanted = (
        (c.status, p.status),
        (c.instance, p.instance_id),
        (c.vpc, p.vpc_id),
        (c.vswitch, p.v_switch_id),
        (c.private_ip, p.primary_ip_address),
    )
    conditions: list[Condition] = [column == value for column, value in wanted if value is not None]
    if p.network_interface_id is not None:
        conditions.append(c.id.in_(p.network_interface_id))
    if p.private_ip_address is not None:
        conditions.append(c.private_ip.in_(p.private_ip_address))
    if p.type is not None:
        conditions.append(c.is_primary == (p.type == "Primary"))
    if p.security_group_id is not None:
        conditions.append(is_member(p.security_group_id))
    if p.resource_group_id is not None:
        conditions.append(has_owner_in(p.resource_group_id))
    if p.network_interface_name is not None or p.ipv6_address is not None or p.service_managed:
        conditions.append(NOTHING)
    return conditions + by_tags("eni", interfaces, p.tag)


def _draw(card: NetworkInterface, beside: _Beside) -> InterfaceOutput:
    owner, eip = beside.owners.get(card.instance), beside.elastic.get(card.instance)
    if eip is not None and eip.interface == card.id:
        outside = PublicIpOutput(allocation_id=eip.id, public_ip_address=eip.address)
    else:
        outside = PublicIpOutput(allocation_id="", public_ip_address=owner.public_ip if owner else "")
    address = PrivateIpOutput(private_ip_address=card.private_ip, associated_public_ip=outside)
    return InterfaceOutput(
        network_interface_id=card.id,
        type="Primary" if card.is_primary else "Secondary",
        status=card.status,
        instance_id=card.instance,
        attachment=AttachmentOutput(),
        mac_address=card.mac,
        private_ip_address=card.private_ip,
        private_ip_sets=PrivateIpsOutput(private_ip_set=(address,)),
        ipv6_sets=Ipv6sOutput(),
        associated_public_ip=outside,
        security_group_ids=GroupIdsOutput(security_group_id=tuple(beside.groups[card.instance])),
        vpc_id=card.vpc,
        v_switch_id=card.vswitch,
        zone_id=card.zone,
        resource_group_id=owner.resource_group if owner else "",
        owner_id=card.account,
        creation_time=to_seconds_text(card.created_at),
        tags=draw_tags(()),
    )


describe_network_interfaces = Operation(
    input=Input,
    output=Output,
    check=check,
    errors=(InvalidParameter, InvalidTagMismatch),
)
