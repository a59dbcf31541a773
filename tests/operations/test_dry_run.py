"""DryRun, whatever writes: who asks for a rehearsal does not get the deed, whether the API documents it or not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kiln.declare.states import InstanceStatus
from kiln.store.disks import disks
from kiln.store.interfaces import interface_id
from tests.catalogue import BY_NAME
from tests.clouds import OTHER, REGION
from tests.nets import a_group, a_vpc, a_vswitch, an_eip, the_default_vpc
from tests.operations.images.gallery import an_image
from tests.operations.launch_templates.shelf import a_template, a_version
from tests.operations.tasks.agenda import a_task
from tests.reading import every
from tests.samples import least
from tests.stock import ED25519, a_disk, a_key_pair, a_snapshot, a_snapshot_group, an_instance

_COMMAND = {"Type": "RunShellScript", "CommandContent": "dHJ1ZQ=="}
RULE = {"IpProtocol": "tcp", "PortRange": "80/80"}

_POLICY = {"timePoints": '["0"]', "repeatWeekdays": '["1"]', "retentionDays": 30}

#: What each is asked for so that all is well, but for DryRun.
_ASKED = {
    "AddTags": lambda it: {"ResourceType": "disk", "ResourceId": it.disk, "Tag.1.Key": "a", "Tag.1.Value": "b"},
    "AllocateEipAddress": lambda _: {},
    "AllocatePublicIpAddress": lambda it: {"InstanceId": it.instance},
    "ApplyAutoSnapshotPolicy": lambda it: {"autoSnapshotPolicyId": it.policy, "diskIds": f'["{it.disk}"]'},
    "AssociateEipAddress": lambda it: {"AllocationId": it.eip, "InstanceId": it.instance},
    "AttachInstanceRamRole": lambda it: {"InstanceIds": f'["{it.instance}"]', "RamRoleName": "build"},
    "AttachKeyPair": lambda it: {"KeyPairName": it.key_pair, "InstanceIds": f'["{it.instance}"]'},
    "AttachDisk": lambda it: {"InstanceId": it.instance, "DiskId": it.disk},
    "AuthorizeSecurityGroup": lambda it: {"SecurityGroupId": it.group, **RULE, "SourceCidrIp": "10.0.0.0/8"},
    "AuthorizeSecurityGroupEgress": lambda it: {"SecurityGroupId": it.group, **RULE, "DestCidrIp": "10.0.0.0/8"},
    "CancelAutoSnapshotPolicy": lambda it: {"diskIds": f'["{it.attached}"]'},
    "CancelCopyImage": lambda it: {"ImageId": it.copy},
    "CancelTask": lambda it: {"TaskId": it.task},
    "CopyImage": lambda it: {"ImageId": it.image},
    "CopySnapshot": lambda it: {"SnapshotId": it.snapshot},
    "CreateAutoSnapshotPolicy": lambda _: _POLICY,
    "CreateCommand": lambda _: _COMMAND | {"Name": "b"},
    "CreateDisk": lambda _: {"ZoneId": REGION + "-a", "Size": 20},
    "CreateImage": lambda it: {"InstanceId": it.instance},
    "CreateInstance": lambda it: {"ImageId": it.image, "InstanceType": "ecs.t5-lc2m1.nano"},
    "CreateKeyPair": lambda _: {"KeyPairName": "new"},
    "CreateLaunchTemplate": lambda _: {"LaunchTemplateName": "new"},
    "CreateLaunchTemplateVersion": lambda it: {"LaunchTemplateId": it.template},
    "CreateResourceGroup": lambda _: {"Name": "new", "DisplayName": "new"},
    "CreateSecurityGroup": lambda _: {"SecurityGroupName": "web"},
    "CreateSnapshot": lambda it: {"DiskId": it.attached},
    "CreateSnapshotGroup": lambda it: {"InstanceId": it.instance},
    "CreateVSwitch": lambda it: {"VpcId": it.vpc, "ZoneId": REGION + "-a", "CidrBlock": "10.0.1.0/24"},
    "CreateVpc": lambda _: {},
    "CreateWebhook": lambda _: {"Url": "https://events.example.com/"},
    "DeleteAutoSnapshotPolicy": lambda it: {"autoSnapshotPolicyId": it.policy},
    "DeleteCommand": lambda it: {"CommandId": it.command},
    "DeleteDisk": lambda it: {"DiskId": it.disk},
    "DeleteWebhook": lambda it: {"WebhookId": it.webhook},
    "TestWebhook": lambda it: {"WebhookId": it.webhook},
    "DeleteImage": lambda it: {"ImageId": it.image},
    "DeleteInstance": lambda it: {"InstanceId": it.instance},
    "DeleteInstances": lambda it: {"InstanceId.1": it.instance},
    "DeleteKeyPairs": lambda it: {"KeyPairNames": f'["{it.key_pair}"]'},
    "DeleteLaunchTemplate": lambda it: {"LaunchTemplateId": it.template},
    "DeleteLaunchTemplateVersion": lambda it: {"LaunchTemplateId": it.template, "DeleteVersion.1": 2},
    "DeleteResourceGroup": lambda it: {"ResourceGroupId": it.resource_group},
    "DeleteSecurityGroup": lambda it: {"SecurityGroupId": it.group},
    "DeleteSnapshot": lambda it: {"SnapshotId": it.snapshot},
    "DeleteSnapshotGroup": lambda it: {"SnapshotGroupId": it.snapshot_group},
    "DeleteVSwitch": lambda it: {"VSwitchId": it.vswitch},
    "DeleteVpc": lambda it: {"VpcId": it.empty_vpc},
    "DetachInstanceRamRole": lambda it: {"InstanceIds": f'["{it.instance}"]'},
    "DetachKeyPair": lambda it: {"KeyPairName": it.key_pair, "InstanceIds": f'["{it.instance}"]'},
    "DetachDisk": lambda it: {"InstanceId": it.instance, "DiskId": it.attached},
    "EndTerminalSession": lambda it: {"SessionId": it.session},
    "ExportImage": lambda it: {"ImageId": it.image, "OSSBucket": "bucket"},
    "ImportKeyPair": lambda _: {"KeyPairName": "new", "PublicKeyBody": ED25519},
    "ImportImage": lambda _: {"DiskDeviceMapping.1.OSSBucket": "bucket", "DiskDeviceMapping.1.OSSObject": "disk.raw"},
    "InvokeCommand": lambda it: {"CommandId": it.command, "InstanceId.1": it.running},
    "ModifyAutoSnapshotPolicyEx": lambda it: {"autoSnapshotPolicyId": it.policy, "retentionDays": 7},
    "ModifyCommand": lambda it: {"CommandId": it.command, "Name": "other"},
    "JoinResourceGroup": lambda it: {
        "ResourceType": "disk",
        "ResourceId": it.disk,
        "ResourceGroupId": it.resource_group,
    },
    "JoinSecurityGroup": lambda it: {"SecurityGroupId": it.group, "InstanceId": it.instance},
    "LeaveSecurityGroup": lambda it: {"SecurityGroupId": it.left, "InstanceId": it.instance},
    "ModifyDiskAttribute": lambda it: {"DiskId": it.disk, "DiskName": "other"},
    "ModifyImageAttribute": lambda it: {"ImageId": it.image, "ImageName": "other"},
    "ModifyImageSharePermission": lambda it: {"ImageId": it.image, "AddAccount.1": OTHER},
    "ModifyInstanceAttribute": lambda it: {"InstanceId": it.instance, "InstanceName": "other"},
    "ModifyInstanceMetadataOptions": lambda it: {"InstanceId": it.instance, "HttpEndpoint": "enabled"},
    "ModifyInstanceSpec": lambda it: {"InstanceId": it.instance, "InstanceType": "ecs.t5-lc2m1.nano"},
    "ModifyLaunchTemplateDefaultVersion": lambda it: {"LaunchTemplateId": it.template, "DefaultVersionNumber": 2},
    "ModifySecurityGroupAttribute": lambda it: {"SecurityGroupId": it.group, "SecurityGroupName": "web"},
    "ModifySecurityGroupPolicy": lambda it: {"SecurityGroupId": it.group, "InnerAccessPolicy": "Drop"},
    "ModifySnapshotAttribute": lambda it: {"SnapshotId": it.snapshot, "SnapshotName": "other"},
    "ModifySnapshotGroup": lambda it: {"SnapshotGroupId": it.snapshot_group, "Name": "other"},
    "ModifyVSwitchAttribute": lambda it: {"VSwitchId": it.vswitch, "VSwitchName": "other"},
    "ModifyVpcAttribute": lambda it: {"VpcId": it.vpc, "VpcName": "other"},
    "RebootInstance": lambda it: {"InstanceId": it.running},
    "ReInitDisk": lambda it: {"DiskId": it.attached},
    "RebootInstances": lambda it: {"InstanceId.1": it.running},
    "RemoveTags": lambda it: {"ResourceType": "disk", "ResourceId": it.disk, "Tag.1.Key": "a"},
    "ReleaseEipAddress": lambda it: {"AllocationId": it.eip},
    "ReplaceSystemDisk": lambda it: {"InstanceId": it.instance, "ImageId": it.image},
    "ResetDisk": lambda it: {"DiskId": it.attached, "SnapshotId": it.of_attached},
    "ResizeDisk": lambda it: {"DiskId": it.disk, "NewSize": 40},
    "RunCommand": lambda it: _COMMAND | {"InstanceId.1": it.running},
    "RevokeSecurityGroup": lambda it: {"SecurityGroupId": it.group, **RULE, "SourceCidrIp": "10.0.0.0/8"},
    "RevokeSecurityGroupEgress": lambda it: {"SecurityGroupId": it.group, **RULE, "DestCidrIp": "10.0.0.0/8"},
    "RunInstances": lambda it: {"ImageId": it.image, "InstanceType": "ecs.t5-lc2m1.nano"},
    "SendFile": lambda it: {"InstanceId.1": it.running, "Name": "a", "TargetDir": "/tmp", "Content": "b"},
    "StartInstance": lambda it: {"InstanceId": it.instance},
    "StartInstances": lambda it: {"InstanceId.1": it.instance},
    "StartTerminalSession": lambda it: {"InstanceId.1": it.running},
    "StopInstance": lambda it: {"InstanceId": it.running},
    "StopInstances": lambda it: {"InstanceId.1": it.running},
    "StopInvocation": lambda it: {"InvokeId": it.invocation},
    "TagResources": lambda it: {"ResourceType": "disk", "ResourceId.1": it.disk, "Tag.1.Key": "a"},
    "UnassociateEipAddress": lambda it: {"AllocationId": it.used_eip},
    "UntagResources": lambda it: {"ResourceType": "disk", "ResourceId.1": it.disk, "All": True},
    "UpdateResourceGroup": lambda it: {"ResourceGroupId": it.resource_group, "NewDisplayName": "other"},
}

WRITING = sorted(name for name, operation in BY_NAME.items() if not operation.is_read)


@pytest.fixture
def it(cloud):
    """One of everything, at rest."""
    bucket = cloud.folder / "buckets" / "bucket"
    bucket.mkdir(parents=True)
    (bucket / "disk.raw").write_bytes(bytes(1024 * 1024))
    instance = an_instance(cloud, data_disks=1)
    running = an_instance(cloud, status=InstanceStatus.RUNNING)
    default = the_default_vpc(cloud)
    left = a_group(cloud, default)
    cloud.call("JoinSecurityGroup", InstanceId=instance.id, SecurityGroupId=left.id)
    snapshot = a_snapshot(cloud)
    image = cloud.call("CreateImage", SnapshotId=a_snapshot(cloud).id, ImageName="image")["ImageId"]
    attached = next(disk for disk in every(cloud, disks) if disk.instance == instance.id and disk.type == "data")
    of_attached = a_snapshot(cloud, source_disk=attached.id, source_disk_type="data", system=attached.system)
    vpc = a_vpc(cloud)
    card = {"instance": running.id, "interface": interface_id(running.id)}
    command = cloud.call("CreateCommand", _COMMAND, Name="a")["CommandId"]
    invocation = cloud.call("RunCommand", _COMMAND | {"InstanceId.1": running.id})["InvokeId"]
    policy = cloud.call("CreateAutoSnapshotPolicy", _POLICY)["AutoSnapshotPolicyId"]
    template = a_template(cloud)
    a_version(cloud)
    webhook = cloud.call("CreateWebhook", Url="https://events.example.com/")["WebhookId"]
    resource_group = cloud.call("CreateResourceGroup", Name="web", DisplayName="web")["ResourceGroup"]["Id"]
    return SimpleNamespace(
        template=template,
        resource_group=resource_group,
        webhook=webhook,
        policy=policy,
        session=cloud.call("StartTerminalSession", {"InstanceId.1": running.id})["SessionId"],
        snapshot_group=a_snapshot_group(cloud).id,
        vpc=vpc.id,
        vswitch=a_vswitch(cloud, vpc).id,
        empty_vpc=a_vpc(cloud).id,
        eip=an_eip(cloud).id,
        used_eip=an_eip(cloud, address="127.88.0.2", status="InUse", **card).id,
        command=command,
        invocation=invocation,
        instance=instance.id,
        running=running.id,
        disk=a_disk(cloud).id,
        attached=attached.id,
        snapshot=snapshot.id,
        of_attached=of_attached.id,
        image=image,
        key_pair=a_key_pair(cloud).name,
        group=a_group(cloud, default).id,
        left=left.id,
        copy=an_image(cloud, status="Creating", source=image).id,
        task=a_task(cloud).id,
    )


@pytest.mark.parametrize("action", WRITING)
def test_only_checks(cloud, it, action):
    asked = _ASKED[action](it)
    word = BY_NAME[action].dry_run

    cloud.refuses(action, word.code, word.status, asked, DryRun=True)

    assert cloud.call(action, asked, DryRun=False).keys() >= set()
    assert least(BY_NAME[action].input).keys() <= {*asked, "RegionId", "regionId"}


@pytest.mark.parametrize("action", WRITING)
def test_refuses_one_that_is_neither_true_nor_false(cloud, it, action):
    cloud.refuses(action, "InvalidParameter", 400, _ASKED[action](it), DryRun="perhaps")
