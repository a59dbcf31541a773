"""What a template says: parameters of RunInstances, as requests give them and as answers show them.

Which ones it takes is CreateLaunchTemplate's list in the official SDK, and the
family of an image, since a template that names a family boots its newest image.
Nothing is looked up before RunInstances is called with the template.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from kiln.declare.rules import Accepted, Count, Doc, Example, Unordered
from kiln.declare.shapes import borrows, essence, fields_of, of_essence, shape
from kiln.operations import accepted
from kiln.operations.errors.tags import QuotaExceedTags
from kiln.operations.params import TagInput
from kiln.operations.steps.run_input import DataDiskInput, NetworkInterface, RunInput, SystemDiskInput

#: As RunInstances has them, in its order.
_AS_THEY_ARE = (
    *("instance_type", "image_id", "image_family", "security_group_id", "v_switch_id", "zone_id"),
    *("private_ip_address", "instance_name", "host_name", "description", "password_inherit", "key_pair_name"),
    *("user_data", "instance_charge_type", "internet_charge_type", "internet_max_bandwidth_in"),
    *("internet_max_bandwidth_out", "deletion_protection", "http_endpoint", "http_tokens", "resource_group_id"),
    *("auto_renew", "auto_renew_period", "credit_specification", "deployment_set_id", "http_put_response_hop_limit"),
    *("io_optimized", "period", "period_unit", "ram_role_name", "security_enhancement_strategy", "spot_duration"),
    *("spot_price_limit", "spot_strategy", "auto_release_time", "image_options", "ipv6_address_count"),
    "security_options",
)
_OF_ANY_DISK = (
    *("category", "disk_name", "description", "performance_level", "auto_snapshot_policy_id", "bursting_enabled"),
    *("encrypted", "kms_key_id", "provisioned_iops", "delete_with_instance"),
)
_OF_AN_INTERFACE = (
    *("delete_on_release", "description", "instance_type", "network_interface_name"),
    *("network_interface_traffic_mode", "primary_ip_address", "security_group_id", "v_switch_id"),
)


@shape
@borrows(SystemDiskInput, _OF_ANY_DISK)
class TemplateSystemDisk:
    """The system disk."""

    size: Annotated[int | None, Example("40"), Doc("GiB, as RunInstances takes it.")] = None
    iops: Annotated[int | None, accepted.CATEGORIES, Doc("IOPS.")] = None


@shape
@borrows(DataDiskInput, (*_OF_ANY_DISK, "size", "snapshot_id", "device"))
class TemplateDataDisk:
    """A data disk."""


@shape
@borrows(NetworkInterface, (*_OF_AN_INTERFACE, "security_group_ids"))
class TemplateInterface:
    """A network interface."""


@shape
@borrows(RunInput, _AS_THEY_ARE)
class Template:
    """What a template and what an answer that shows it have in common."""

    image_owner_alias: Annotated[str | None, Accepted("ImageId says it."), Doc("Whose the image is.")] = None
    network_type: Annotated[str | None, Accepted("Every instance is in a VPC."), Doc("vpc or classic.")] = None
    vpc_id: Annotated[str | None, Accepted("VSwitchId says it."), Doc("The VPC.")] = None
    enable_vm_os_config: Annotated[
        bool | None, Accepted("cloud-init decides."), Doc("Whether the guest is configured.")
    ] = None
    system_disk: Annotated[TemplateSystemDisk | None, Doc("The system disk.")] = None


@shape
@borrows(RunInput, ("security_group_ids",))
class TemplateInput(Template):
    """What a template is to say."""

    data_disk: Annotated[tuple[TemplateDataDisk, ...], Count(16), Doc("Data disks.")] = ()
    network_interface: Annotated[
        tuple[TemplateInterface, ...], Doc("The primary interface, in place of VSwitchId and its like.")
    ] = ()
    tag: Annotated[tuple[TagInput, ...], Unordered(), Count(20, QuotaExceedTags), Doc("Tags of the instances.")] = ()


@shape
class DataDisksOutput:
    """Data disks."""

    data_disk: Annotated[tuple[TemplateDataDisk, ...], Doc("The data disks.")]


@shape
class GroupIdsOutput:
    """Security groups."""

    security_group_id: Annotated[tuple[str, ...], Doc("Their IDs.")]


@shape
@borrows(NetworkInterface, _OF_AN_INTERFACE)
class InterfaceOutput:
    """A network interface."""

    security_group_ids: Annotated[GroupIdsOutput, Doc("The security groups.")]


@shape
class InterfacesOutput:
    """Network interfaces."""

    network_interface: Annotated[tuple[InterfaceOutput, ...], Doc("The primary interface.")]


@shape
class InstanceTagOutput:
    """One tag."""

    key: Annotated[str, Doc("The key.")]
    value: Annotated[str, Doc("The value.")]


@shape
class InstanceTagsOutput:
    """Tags."""

    instance_tag: Annotated[tuple[InstanceTagOutput, ...], Doc("The tags.")]


@shape
class DataOutput(Template):
    """What a version says, as far as it says anything."""

    data_disks: Annotated[DataDisksOutput, Doc("Data disks.")]
    network_interfaces: Annotated[InterfacesOutput, Doc("The primary interface.")]
    security_group_ids: Annotated[GroupIdsOutput, Doc("The security groups.")]
    tags: Annotated[InstanceTagsOutput, Doc("Tags of the instances.")]


def dump(given: TemplateInput) -> str:
    """What is said of instances in a request that makes a version, as a row keeps it."""
    known = {field.wire for field in fields_of(TemplateInput)}
    return json.dumps({name: part for name, part in essence(given).items() if name in known})


def draw(data: str) -> DataOutput:
    """What a row keeps, as answers show it."""
    said = of_essence(TemplateInput, json.loads(data))
    return DataOutput(
        **_fields(Template, said),
        data_disks=DataDisksOutput(data_disk=said.data_disk),
        network_interfaces=InterfacesOutput(network_interface=tuple(map(_interface, said.network_interface))),
        security_group_ids=GroupIdsOutput(security_group_id=_fields(TemplateInput, said)["security_group_ids"]),
        tags=InstanceTagsOutput(
            instance_tag=tuple(InstanceTagOutput(key=tag.key or "", value=tag.value or "") for tag in said.tag)
        ),
    )


def _interface(said: TemplateInterface) -> InterfaceOutput:
    known = _fields(TemplateInterface, said)
    groups = GroupIdsOutput(security_group_id=known.pop("security_group_ids"))
    return InterfaceOutput(**known, security_group_ids=groups)


def _fields(kind: type, value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields_of(kind)}
