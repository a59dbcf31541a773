"""Every declaration beside its twin in the official SDK: names, nesting and types of parameters and answers.

The SDK is generated from the service's own metadata, so it is what clients in
every language read. What differs is in a list here, with the reason.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest
from alibabacloud_ecs20140526 import models

from kiln.declare.operation import OwnerInput
from kiln.declare.products import ECS, VPC
from kiln.declare.shapes import Field, fields_of
from kiln.operations import ALL

_SAID = "DescribeLaunchTemplateVersions.LaunchTemplateVersionSets.LaunchTemplateVersionSet.LaunchTemplateData"

#: What is declared here and not there.
MORE = {
    "CreateImage.Features.NvmeSupport": "Features is one part, shared with ImportImage and ModifyImageAttribute.",
    "DescribeImageFromFamily.Image": "An image is described alike wherever it is described.",
    "DescribeInstanceAttribute.EipAddress": "An instance is described alike wherever it is described.",
    "DescribeInstanceAttribute.OperationLocks": "Likewise.",
    "DescribeInstanceAttribute.DedicatedHostAttribute": "Likewise.",
    "DescribeSnapshots.Snapshots.Snapshot.SnapshotGroupId": "Nothing else tells which others are of its instant.",
    "ReInitDisk.ClientToken": "Whoever sends it again must not lose what was written meanwhile.",
    "*.DryRun": "Whatever writes takes it: who asks for a rehearsal must not get the deed.",
    "*.TurboMode": "The classic SDK sends it; a part that is not declared is refused.",
    "*.EnableVISST": "Likewise.",
    "*.EnableVRDT": "Likewise.",
    "*.RegionId": "The classic SDK sends it with every call (ecs-api.md 1), so it is heeded.",
    "RunInstances.SystemDisk.DeleteWithInstance": "A launch template says it, and so may a request.",
    "CreateLaunchTemplate.ImageFamily": "A template that names a family boots its newest image.",
    "CreateLaunchTemplateVersion.ImageFamily": "Likewise.",
    f"{_SAID}.ImageFamily": "Likewise.",
    "CreateLaunchTemplate.SecurityOptions": "All that RunInstances has of them.",
    "CreateLaunchTemplateVersion.SecurityOptions": "Likewise.",
    f"{_SAID}.SecurityOptions": "Likewise.",
    **{
        operation.name: "Vpc's own version has more: test_vpc_models.py"
        for operation in ALL
        if operation.product == VPC
    },
} | {f"*.{field.wire}": "Almost every operation takes it (ecs-api.md 1)." for field in fields_of(OwnerInput)}

#: What is declared there and not here.
LESS = {
    "*.OssOutputDelivery": "Outputs are not put into buckets.",
    "*.OssOutputErrorCode": "Likewise.",
    "*.OssOutputErrorInfo": "Likewise.",
    "*.OssOutputStatus": "Likewise.",
    "*.OssOutputUri": "Likewise.",
    "*.ContainerId": "Commands run in the guest itself.",
    "*.ContainerName": "Likewise.",
    "*.Launcher": "A content names its program in its first line.",
    "*.TerminationMode": "There is one.",
    "DescribeCommands.Commands.Command.ParameterDefinitions": "Only public commands have them.",
    "DescribeTerminalSessions.Sessions.Session.PortNumber": "A console has no ports.",
    "DescribeTerminalSessions.Sessions.Session.TargetServer": "Nothing is forwarded.",
    "DescribeTerminalSessions.Sessions.Session.Username": "The guest's own login asks who it is.",
    "ImportImage.DiskDeviceMapping.DiskImSize": "The deprecated name of DiskImageSize.",
    "DescribeDisks.Disks.Disk.DataSource": "A disk here has no other source than its image or snapshot.",
    "DescribeInstances.Instances.Instance.AdditionalInfo": "There are no subscriptions to tell of.",
    "DescribeInstances.Instances.Instance.ClockOptions": "Guests have the clocks that QEMU gives them.",
    "DescribeInstances.Instances.Instance.CpuOptions": "Topology is QEMU's to choose; cores and threads are told.",
    "DescribeInstances.Instances.Instance.EnableNVS": "A feature of one family of real hosts.",
    "DescribeInstances.Instances.Instance.ImageOptions": "Disks are virtio; the rest of it is told.",
    "DescribeInstances.Instances.Instance.MetadataOptions": "Tags are not in the metadata; the rest of it is told.",
    "DescribeInstances.Instances.Instance.NetworkInterfaces": "Addresses come one by one; the rest of it is told.",
    "DescribeInstances.Instances.Instance.PrivateDnsNameOptions": "There is no private DNS.",
    "DescribeInstances.Instances.Instance.SecurityOptions": "Guests have no trusted modules.",
    "DescribeInstances.Instances.Instance.SpotInterruptionBehavior": "There are no spot instances.",
    "DescribeNetworkInterfaces.NetworkInterfaceSets.NetworkInterfaceSet": "There are no trunks or prefixes.",
    "DescribeInstanceTypes.InstanceTypes.InstanceType": "Facts of real hosts; what QEMU has is told.",
}

_MEMBER = re.compile(r"result\['([^']+)'\] = (?:\[\]\s+if )?self\.(\w+)")
_OBJECT = "Dict[str, Any]"  #: The SDK sends it as JSON.
_SCALARS = {bool: "bool", float: "float", int: "int", str: "str"}

#: What is Kiln's own has no twin.
TWINS = [operation for operation in ALL if ECS in {key.product for key in operation.keys}]

by_name = pytest.mark.parametrize("operation", TWINS, ids=lambda operation: operation.name)


@by_name
def test_parameters_have_the_names_and_types_of_the_sdk(operation):
    request = getattr(models, f"{operation.name}Request")

    assert list(differences(operation.parameters, request, operation.name)) == []


@by_name
def test_answers_have_the_names_and_types_of_the_sdk(operation):
    answer = getattr(models, f"{operation.name}ResponseBody")
    found = [one for one in differences(fields_of(operation.output), answer, operation.name) if ".RequestId" not in one]

    assert found == []


def test_no_difference_is_listed_that_there_is_not():
    names = {operation.name for operation in ALL}

    assert {path.partition(".")[0] for path in (*MORE, *LESS)} <= names | {"*"}


def differences(fields: tuple[Field, ...], model: type, at: str) -> Iterator[str]:
    """Where *fields* and *model* differ, in words."""
    theirs = members(model)
    for field in fields:
        path = f"{at}.{field.wire}"
        if field.wire in theirs:
            yield from difference(field, theirs[field.wire], path)
        elif not is_listed(path, MORE):
            yield f"{path} is not in the SDK"
    for name in theirs.keys() - {field.wire for field in fields}:
        if not is_listed(f"{at}.{name}", LESS):
            yield f"{at}.{name} is in the SDK only"


def difference(field: Field, kind: str, path: str) -> Iterator[str]:
    """Where *field* and what the SDK says of it differ."""
    is_list = kind.startswith("List[")
    one = kind[5:-1] if is_list else kind
    if is_list != (field.repeated and not field.packed):
        yield f"{path} is {'a list' if is_list else 'no list'} in the SDK"
    if field.is_shape and one.startswith("main_models."):
        yield from differences(fields_of(field.kind), getattr(models, one.partition(".")[2]), path)
    elif field.is_shape or (one != _SCALARS[field.kind] and (one, field.kind) != (_OBJECT, str)):
        yield f"{path} is {kind} in the SDK"


def members(model: type) -> dict[str, str]:
    """The SDK's names on the wire, and what it says that they are."""
    kinds = {name: str(p.annotation) for name, p in inspect.signature(model.__init__).parameters.items()}
    return {wire: kinds[name] for wire, name in _MEMBER.findall(inspect.getsource(model.to_map)) if name in kinds}


def is_listed(path: str, listed: dict[str, str]) -> bool:
    """Whether *path*, or something above it, is in the list."""
    return f"*.{path.rpartition('.')[2]}" in listed or any(f"{path}.".startswith(f"{known}.") for known in listed)
