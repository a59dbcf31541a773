"""Allocate an elastic IP address: a public address that stays the account's until it is released.

It is one of this host's (`KILN_PUBLIC_NETWORK`), of its loopback by default, at
which whoever is on the host reaches the instance that AssociateEipAddress leads
it to. It is Available at once.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.declare.rules import Composed, Declined, Doc, Example, OneOf, Pattern, Text, Wire
from kiln.declare.shapes import shape
from kiln.declare.states import EipStatus
from kiln.operations import accepted
from kiln.operations.errors.requests import IDEMPOTENT
from kiln.operations.network_words import AllocationId, NoTags, network_description, network_name
from kiln.operations.params import RegionId, ResourceGroupId
from kiln.operations.steps import resource_groups
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.store.addresses import NoAddressLeft, free_public
from kiln.store.eips import Eip, eips

_CHOSEN = Declined("addresses are given out as they are free")


class QuotaExceededEip(ApiError):
    """The account has as many elastic addresses in the region as it may, or every public one is somebody's."""

    code = "QuotaExceeded.Eip"
    message = "Elastic IP address quota exceeded."
    hint = "`kiln eip delete EIP` gives one back that is not needed."


@shape
class Input:
    region_id: RegionId
    bandwidth: Annotated[
        str,
        Pattern(r"[1-9][0-9]{0,3}", "a whole number from 1 to 9999", "0"),
        Example("5"),
        Doc("Mbit/s. Remembered."),
    ] = "5"
    internet_charge_type: Annotated[
        str, OneOf(("PayByBandwidth", "PayByTraffic")), Doc("PayByBandwidth or PayByTraffic. Remembered.")
    ] = "PayByBandwidth"
    instance_charge_type: Annotated[
        str, OneOf(("PostPaid", "PrePaid")), Doc("PostPaid or PrePaid. Remembered; nothing is billed.")
    ] = "PostPaid"
    isp: Annotated[str, Wire("ISP"), Text(1, 64), Example("BGP"), Doc("The line. Remembered.")] = "BGP"
    name: Annotated[str | None, network_name(), Composed(), Example("web"), Doc("The name.")] = None
    description: Annotated[str | None, network_description(), Doc("A description.")] = None
    resource_group_id: ResourceGroupId | None = None
    ip_address: Annotated[str | None, _CHOSEN, Doc("The address that is wanted.")] = None
    instance_id: Annotated[str | None, _CHOSEN, Doc("The ID of the address that is wanted.")] = None
    public_ip_address_pool_id: Annotated[
        str | None, Declined("there are no pools of addresses"), Doc("A pool that the address is taken from.")
    ] = None
    activity_id: Annotated[int | None, accepted.BILLING, Doc("An activity.")] = None
    auto_pay: Annotated[bool | None, accepted.BILLING, Doc("Whether it is paid at once.")] = None
    period: Annotated[int | None, accepted.BILLING, Doc("The length of a subscription.")] = None
    pricing_cycle: Annotated[str | None, accepted.BILLING, Doc("Its unit.")] = None
    netmode: Annotated[str | None, OneOf(("public",)), Doc("public.")] = None
    tag: NoTags = ()


@shape
class Output:
    allocation_id: AllocationId
    eip_address: Annotated[str, Doc("The address.")]
    resource_group_id: Annotated[str, Doc("The resource group, or empty.")]
    order_id: Annotated[int, Doc("Always 0: nothing is billed.")] = 0


def check(call: Call, p: Input) -> Eip:
    resource_groups.check_there(call, p.resource_group_id)
    if eips.count(call.tx, **call.own(p.region_id)) >= call.deployment.quotas.eips:
        raise QuotaExceededEip
    try:
        (address,) = free_public(call.tx, call.deployment.public_network, 1)
    except NoAddressLeft as e:
        raise QuotaExceededEip(network=str(e)) from e
    return Eip(
        id=new_id("eip"),
        account=call.account,
        region=p.region_id,
        address=address,
        status=EipStatus.AVAILABLE,
        name=p.name or "",
        description=p.description or "",
        bandwidth=int(p.bandwidth),
        internet_charge_type=p.internet_charge_type,
        charge_type=p.instance_charge_type,
        isp=p.isp,
        interface="",
        instance="",
        resource_group=p.resource_group_id or "",
        created_at=call.now,
    )


def commit(call: Call, row: Eip) -> Output:
    eips.insert(call.tx, row)
    return Output(allocation_id=row.id, eip_address=row.address, resource_group_id=row.resource_group)


allocate_eip_address = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    idempotent=IDEMPOTENT,
    also_in=(ECS,),
    errors=(InvalidResourceGroupNotFound, QuotaExceededEip),
)
