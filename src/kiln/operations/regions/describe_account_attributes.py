"""Tell what the account may have in a region, and how much of it it has.

Told are the attributes of which there is something to tell here. Of what
nothing limits but the host, such as vCPUs, only the use is told, and what there
is not at all is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example, OneOf
from kiln.declare.shapes import shape
from kiln.operations.params import RegionId
from kiln.store.conditions import Condition
from kiln.store.instances import count_by_type, is_spot

_NOT_HERE = (
    "max-elastic-network-interfaces",
    "max-postpaid-instance-vcpu-count",
    "max-spot-instance-vcpu-count",
    "max-postpaid-yundisk-capacity",
    "used-postpaid-yundisk-capacity",
    "max-axt-invocation-daily",
    "max-cloud-assistant-activation-count",
)


def _cpus(call: Call, region: str, *of: Condition) -> Sequence[str]:
    counted = count_by_type(call.tx, *of, account=call.account, region=region, charge_type="PostPaid")
    kinds = {kind: call.deployment.instance_type(kind) for kind in counted}
    return (str(sum(kind.cpus * counted[name] for name, kind in kinds.items() if kind is not None)),)


_TOLD: dict[str, Callable[[Call, str], Sequence[str]]] = {
    "instance-network-type": lambda _call, _region: ("vpc",),
    "max-security-groups": lambda call, _region: (str(call.deployment.quotas.security_groups),),
    "used-postpaid-instance-vcpu-count": lambda call, region: _cpus(call, region, ~is_spot()),
    "used-spot-instance-vcpu-count": lambda call, region: _cpus(call, region, is_spot()),
    "max-dedicated-hosts": lambda _call, _region: ("0",),
    "supported-postpaid-instance-types": lambda call, _region: tuple(one.id for one in call.deployment.instance_types),
    "max-axt-command-count": lambda call, _region: (str(call.deployment.quotas.commands),),
    "real-name-authentication": lambda _call, _region: ("unnecessary",),
}


@shape
class Input:
    region_id: RegionId
    zone_id: Annotated[str | None, Doc("Instance types are told with this zone; it changes nothing else.")] = None
    attribute_name: Annotated[
        tuple[str, ...] | None,
        OneOf((*_TOLD, *_NOT_HERE)),
        Count(15),
        Example("max-security-groups"),
        Doc("Only these attributes; all that there are when none is given."),
    ] = None


@shape
class ValueItemOutput:
    """A value of an attribute."""

    value: Annotated[str, Example("1000"), Doc("The value.")]
    zone_id: Annotated[str, Doc("Of an instance type the zone; else empty.")] = ""
    instance_type: Annotated[str, Doc("Of an instance type the same as the value; else empty.")] = ""
    instance_charge_type: Annotated[str, Doc("Of an instance type PostPaid; else empty.")] = ""
    disk_category: Annotated[str, Doc("Always empty.")] = ""
    expired_time: Annotated[str, Doc("Always empty: nothing of it ends.")] = ""
    count: Annotated[int, Doc("Always 0.")] = 0


@shape
class AttributeValuesOutput:
    """The values of an attribute."""

    value_item: Annotated[tuple[ValueItemOutput, ...], Doc("The values.")]


@shape
class AccountAttributeItemOutput:
    """An attribute."""

    attribute_name: Annotated[str, Example("max-security-groups"), Doc("Its name.")]
    attribute_values: Annotated[AttributeValuesOutput, Doc("Its values.")]


@shape
class AccountAttributeItemsOutput:
    """Attributes."""

    account_attribute_item: Annotated[tuple[AccountAttributeItemOutput, ...], Doc("The attributes.")]


@shape
class Output:
    account_attribute_items: Annotated[AccountAttributeItemsOutput, Doc("The attributes.")]


def check(call: Call, p: Input) -> Output:
    asked = dict.fromkeys(_TOLD if p.attribute_name is None else p.attribute_name)
    items = (_item(call, p, name) for name in asked if name in _TOLD)
    return Output(account_attribute_items=AccountAttributeItemsOutput(account_attribute_item=tuple(items)))


def _item(call: Call, p: Input, name: str) -> AccountAttributeItemOutput:
    values = _TOLD[name](call, p.region_id)
    if name == "supported-postpaid-instance-types":
        zones = (p.zone_id,) if p.zone_id else call.deployment.zones(p.region_id)
        told = tuple(
            ValueItemOutput(value=one, zone_id=zone, instance_type=one, instance_charge_type="PostPaid")
            for zone in zones
            for one in values
        )
    else:
        told = tuple(ValueItemOutput(value=value) for value in values)
    return AccountAttributeItemOutput(attribute_name=name, attribute_values=AttributeValuesOutput(value_item=told))


describe_account_attributes = Operation(input=Input, output=Output, check=check)
