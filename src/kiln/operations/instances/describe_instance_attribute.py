"""Tell all that is known of one instance: what DescribeInstances tells of it, in the form that ECS has for one."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc
from kiln.declare.shapes import shape
from kiln.operations.errors.instances import InvalidInstanceIdNotFound
from kiln.operations.instances.parts.portrait import (
    DedicatedHostAttributeOutput,
    EipAddressOutput,
    IpAddressesOutput,
    OperationLocksOutput,
    SecurityGroupIdsOutput,
    VpcAttributesOutput,
)
from kiln.operations.instances.parts.portraits import draw_all
from kiln.operations.params import InstanceId, OwnRegionId, RegionId
from kiln.store.instances import instances


@shape
class Input:
    region_id: OwnRegionId = None
    instance_id: InstanceId


@shape
class NetworkOptionsOutput:
    """The network."""

    bandwidth_weighting: Annotated[str, Doc("Always empty.")] = ""
    enable_jumbo_frame: Annotated[bool, Doc("Always false.")] = False
    enable_network_encryption: Annotated[bool, Doc("Always false.")] = False


@shape
class SecurityOptionsOutput:
    """Secure boot."""

    enable_secure_boot: Annotated[bool, Doc("Always false.")] = False


@shape
class Output:
    instance_id: InstanceId
    instance_name: Annotated[str, Doc("The name.")]
    description: Annotated[str, Doc("The description.")]
    host_name: Annotated[str, Doc("The host name.")]
    status: Annotated[str, Doc("Pending, Starting, Running, Stopping or Stopped.")]
    image_id: Annotated[str, Doc("The image that the system disk was made of.")]
    instance_type: Annotated[str, Doc("The type.")]
    cpu: Annotated[int, Doc("Virtual CPUs.")]
    memory: Annotated[int, Doc("MiB.")]
    region_id: RegionId
    zone_id: Annotated[str, Doc("The zone.")]
    cluster_id: Annotated[str, Doc("Always empty.")]
    creation_time: Annotated[str, Doc("When it was created, UTC.")]
    expired_time: Annotated[str, Doc("Always in the year 2099.")]
    stopped_mode: Annotated[str, Doc("KeepCharging or StopCharging while Stopped, else Not-applicable.")]
    serial_number: Annotated[str, Doc("Made of the ID.")]
    instance_network_type: Annotated[str, Doc("Always vpc.")]
    vpc_attributes: Annotated[VpcAttributesOutput, Doc("The instance in its VPC.")]
    inner_ip_address: Annotated[IpAddressesOutput, Doc("Always empty: every instance is in a VPC.")]
    public_ip_address: Annotated[IpAddressesOutput, Doc("The public address.")]
    eip_address: Annotated[EipAddressOutput, Doc("The elastic address.")]
    security_group_ids: Annotated[SecurityGroupIdsOutput, Doc("Security groups.")]
    instance_charge_type: Annotated[str, Doc("As it was asked for.")]
    internet_charge_type: Annotated[str, Doc("As it was asked for.")]
    internet_max_bandwidth_in: Annotated[int, Doc("As it was asked for.")]
    internet_max_bandwidth_out: Annotated[int, Doc("As it was asked for.")]
    credit_specification: Annotated[str, Doc("As it was asked for.")]
    dedicated_host_attribute: Annotated[DedicatedHostAttributeOutput, Doc("The dedicated host.")]
    operation_locks: Annotated[OperationLocksOutput, Doc("Locks.")]
    vlan_id: Annotated[str, Doc("Always empty.")]
    io_optimized: Annotated[str, Doc("Always optimized.")] = "optimized"
    enable_jumbo_frame: Annotated[bool, Doc("Always false.")] = False
    enable_network_encryption: Annotated[bool, Doc("Always false.")] = False
    network_options: Annotated[NetworkOptionsOutput, Doc("The network.")] = NetworkOptionsOutput()
    security_options: Annotated[SecurityOptionsOutput, Doc("Secure boot.")] = SecurityOptionsOutput()


#: What DescribeInstances tells in another form.
_OTHERWISE = frozenset({"io_optimized"})


def check(call: Call, p: Input) -> Output:
    (drawn,) = draw_all(call, [call.the(instances, p.instance_id, p.region_id, InvalidInstanceIdNotFound)])
    told = vars(drawn)
    return Output(**{f.name: told[f.name] for f in fields(Output) if f.name in told.keys() - _OTHERWISE})


describe_instance_attribute = Operation(input=Input, output=Output, check=check, errors=(InvalidInstanceIdNotFound,))
