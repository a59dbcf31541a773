"""Writes docs/reference/samples.json: one request of every action with its answer, as a Kiln gives it.

A story is told to a Kiln whose disks are real and whose machines are states: an image is imported, an instance is made
of it, and so on to the end, where everything is deleted. Of each action the first request is kept. What differs from
one run to the next (IDs, addresses, times) is written as the same example each time. With ``--check`` nothing is
written; the exit code is 1 when the file is stale.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # Checks are run with -P, which leaves this folder out.

from kiln.declare.deployment import Deployment  # noqa: E402
from kiln.declare.ids import LETTERS, PREFIXES  # noqa: E402
from kiln.operations import titled  # noqa: E402
from kiln.store import schema  # noqa: E402
from kiln.store.database import open_sqlite  # noqa: E402
from tests.clouds import ACCOUNT, OTHER, REGION, Cloud, make_cloud  # noqa: E402
from tests.stock import ED25519  # noqa: E402

PATH = ROOT / "docs/reference/samples.json"
BUCKET = "images"
FAR = "cn-hangzhou"
TYPE = "ecs.t5-lc1m1.small"
REQUEST_ID = "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E"

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
#: Also of a snapshot's link, which is made of its disk's ID.
_ID = re.compile(rf"\b({'|'.join(PREFIXES.values())}|sl)-([0-9a-z]{{{LETTERS}}})\b")
_SERIAL = re.compile(rf"\b[0-9a-z]{{{LETTERS}}}\b")
_UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_EVENT = re.compile(r'("(?:event|request)Id": )"[0-9A-F-]{36}"')
_MAC = re.compile(r"00:16:3e(:[0-9a-f]{2}){3}")
_PRIVATE = re.compile(r"\b172\.(1[6-9]|2[0-9]|3[01])\.[0-9]+\.[0-9]+\b")
#: A key pair of the story's, its body between the lines of PEM and as OpenSSH writes it, and what it is known by.
_PRIVATE_KEY = re.compile(r"(-----BEGIN RSA PRIVATE KEY-----\\n).*?(\\n-----END RSA PRIVATE KEY-----\\n)")
_RSA = re.compile(r"\bssh-rsa AAAAB3Nza[0-9A-Za-z+/=]+")
_FINGERPRINT = re.compile(r"\b[0-9a-f]{2}(:[0-9a-f]{2}){15}\b")
#: What files take is the file system's to say.
_TAKEN = re.compile(r'("Bytes": )[1-9][0-9]*')
_PUBLIC = re.compile(r"\b127\.[0-9]+\.[0-9]+\.[0-9]+\b")


#: What AssumeRole, StartTerminalSession and CreateWebhook give, and whoever has it could use: random, and told by the
#: members' names.
_GIVEN = {
    "AccessKeyId": "STS.NUgYrLnoC37mZZCNnAbez4Kj",
    "AccessKeySecret": "CVwjCkNzTMupZ8NbTCxCBRq3K16jtcWF",
    "SecurityToken": "v1:zwEh6TJn0aGVsbG8gYWdhaW4sIGFuZCBnb29kIGJ5ZQ==",
    "Secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwqLGwpUZnEhQ=",
    "WebSocketUrl": "ws://127.0.0.1:8787/session?sessionid=ts-bp1c2f7y3ouxkz9w5h0q&token=u7Yt0S4vQm1rJc9LwX2eZp8nBa5k",
}


class Story:
    """What was asked, and what was answered."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.told: dict[str, dict[str, Any]] = {}

    def ask(self, action: str, **params: Any) -> dict[str, Any]:
        """The answer; of the first request of each action both are kept. Names with dots are written with two ``_``."""
        given = {name.replace("__", "."): value for name, value in params.items()}
        answer = self.cloud.call(action, given)
        self.cloud.clock.now += 1
        if action not in self.told:
            known = _region_of(action, given) | given
            self.told[action] = {"request": known, "answer": answer | {"RequestId": REQUEST_ID}}
        return answer

    def settle(self) -> None:
        """Have all work done."""
        self.cloud.settle()
        self.cloud.clock.now += 1


def _region_of(action: str, given: Mapping[str, Any]) -> dict[str, str]:
    """The region as the action spells it, where it takes one; in the place that it has in *given* or else first."""
    spelled = [field.wire for field in titled()[action].parameters if field.name == "region_id"]
    return {name: given.get(name, REGION) for name in spelled}


def tell(story: Story) -> None:
    """From the first import to the last deletion."""
    _look_around(story)
    base = _bring_in(story)
    instance = _run(story, base)
    _work_inside(story, instance)
    disk, snapshot = _add_a_disk(story, instance)
    _give_a_key(story, instance)
    _open_a_port(story, instance)
    _bake(story, instance)
    _tag(story, instance)
    _change(story, instance, base)
    _clear_up(story, instance, disk, snapshot)
    _lay_a_network(story)
    _keep_a_template(story)
    _put_into_a_group(story)
    _ask_who_and_where(story)
    _join_a_console(story)
    _have_somebody_told(story)
    _look_back(story)


def _look_around(story: Story) -> None:
    story.ask("DescribeRegions", AcceptLanguage="en-US")
    story.ask("DescribeZones", AcceptLanguage="en-US")
    story.ask("DescribeInstanceTypes", InstanceTypes__1=TYPE)


def _ask_who_and_where(story: Story) -> None:
    story.ask("DescribeAvailableResource", DestinationResource="InstanceType", Cores=2, Memory=4.0)
    story.ask("DescribeAccountAttributes", AttributeName__1="max-security-groups")
    story.ask("DescribeEndpoints", Id=REGION, ServiceCode="ecs")
    story.ask("GetCallerIdentity")
    story.ask("AssumeRole", RoleArn=f"acs:ram::{ACCOUNT}:role/packer", RoleSessionName="alice")


def _look_back(story: Story) -> None:
    asked = {"LookupAttribute__1__Key": "EventName", "LookupAttribute__1__Value": "CreateImage"}
    story.ask("LookupEvents", **asked, Direction="FORWARD", MaxResults=1)
    story.ask("DescribeStorage")


def _join_a_console(story: Story) -> None:
    made = story.ask("RunInstances", ImageId=_an_image(story), InstanceType=TYPE, Amount=1)
    story.settle()
    (instance,) = made["InstanceIdSets"]["InstanceIdSet"]
    story.ask("DescribeUserBusinessBehavior", statusKey="sessionManagerStatus")
    session = story.ask("StartTerminalSession", InstanceId__1=instance)["SessionId"]
    story.ask("DescribeTerminalSessions", InstanceId=instance)
    story.ask("EndTerminalSession", SessionId=session)


def _have_somebody_told(story: Story) -> None:
    url = "https://events.example.com/kiln"
    webhook = story.ask("CreateWebhook", Url=url, Type__1="kiln:Image:StateChange")["WebhookId"]
    story.ask("TestWebhook", WebhookId=webhook)
    story.ask("DescribeWebhooks")
    story.ask("DeleteWebhook", WebhookId=webhook)


def _bring_in(story: Story) -> str:
    where = {"DiskDeviceMapping__1__OSSBucket": BUCKET, "DiskDeviceMapping__1__OSSObject": "debian-12.qcow2"}
    brought = story.ask("ImportImage", **where, ImageName="debian-12", Platform="Debian", Architecture="x86_64")
    story.ask("DescribeTasks", TaskStatus="Processing")
    story.ask("DescribeTaskAttribute", TaskId=brought["TaskId"])
    again = story.ask("ImportImage", **where, ImageName="debian-12-again")
    story.ask("CancelTask", TaskId=again["TaskId"])
    story.settle()
    return str(brought["ImageId"])


def _run(story: Story, image: str) -> str:
    made = story.ask("RunInstances", ImageId=image, InstanceType=TYPE, InstanceName="web", Amount=1)
    story.settle()
    (instance,) = made["InstanceIdSets"]["InstanceIdSet"]
    story.ask("DescribeInstances", InstanceIds=json.dumps([instance]))
    story.ask("DescribeInstanceStatus", InstanceId__1=instance)
    story.ask("GetInstanceConsoleOutput", InstanceId=instance)
    return str(instance)


def _work_inside(story: Story, instance: str) -> None:
    story.ask("DescribeCloudAssistantStatus", InstanceId__1=instance)
    ran = story.ask("RunCommand", Type="RunShellScript", CommandContent="df -h", InstanceId__1=instance, Timeout=60)
    kept = story.ask(
        "CreateCommand",
        Name="greet",
        Type="RunShellScript",
        CommandContent="ZWNobyB7e25hbWV9fQ==",
        EnableParameter=True,
    )["CommandId"]
    story.ask("InvokeCommand", CommandId=kept, InstanceId__1=instance, Parameters='{"name":"Jack"}')
    story.ask("DescribeCommands", CommandId=kept)
    story.ask("DescribeInvocations", InvokeId=ran["InvokeId"])
    story.ask("DescribeInvocationResults", InvokeId=ran["InvokeId"])
    story.ask("StopInvocation", InvokeId=ran["InvokeId"])
    story.ask("ModifyCommand", CommandId=kept, Timeout=120)
    story.ask("DeleteCommand", CommandId=kept)
    story.ask("SendFile", InstanceId__1=instance, Name="app.conf", TargetDir="/etc/app", Content="answer = 42")
    story.ask("DescribeSendFileResults", Name="app.conf")
    story.settle()


def _add_a_disk(story: Story, instance: str) -> tuple[str, str]:
    zone = story.cloud.ports.deployment.zones(REGION)[0]
    disk = story.ask("CreateDisk", ZoneId=zone, Size=20, DiskName="data")["DiskId"]
    story.settle()
    story.ask("AttachDisk", InstanceId=instance, DiskId=disk)
    story.settle()
    story.ask("DescribeDisks", DiskIds=json.dumps([disk]))
    snapshot = story.ask("CreateSnapshot", DiskId=disk, SnapshotName="before-the-upgrade")["SnapshotId"]
    story.settle()
    story.ask("DescribeSnapshots", SnapshotIds=json.dumps([snapshot]))
    story.ask("ModifySnapshotAttribute", SnapshotId=snapshot, Description="As it was in May")
    _take_snapshots(story, instance, disk)
    story.ask("CopySnapshot", SnapshotId=snapshot, DestinationRegionId=FAR)
    story.settle()
    story.ask("StopInstance", InstanceId=instance)
    story.ask("DescribeReasons", ResourceId=instance)
    story.settle()
    story.ask("ResetDisk", DiskId=disk, SnapshotId=snapshot)
    story.settle()
    story.ask("ModifyDiskAttribute", DiskId=disk, DiskName="data-1")
    story.ask("ResizeDisk", DiskId=disk, NewSize=40)
    story.settle()
    return str(disk), str(snapshot)


def _keep_a_template(story: Story) -> None:
    what = {"InstanceType": TYPE, "SystemDisk__Size": 40, "Tag__1__Key": "stage", "Tag__1__Value": "test"}
    template = story.ask("CreateLaunchTemplate", LaunchTemplateName="web", ImageId=_an_image(story), **what)[
        "LaunchTemplateId"
    ]
    newer = {"ImageFamily": "web", "InstanceType": TYPE, "VersionDescription": "The newest of the family"}
    story.ask("CreateLaunchTemplateVersion", LaunchTemplateId=template, **newer)
    story.ask("DescribeLaunchTemplates", LaunchTemplateName__1="web")
    story.ask("DescribeLaunchTemplateVersions", LaunchTemplateId=template)
    story.ask("ModifyLaunchTemplateDefaultVersion", LaunchTemplateId=template, DefaultVersionNumber=2)
    story.ask("DeleteLaunchTemplateVersion", LaunchTemplateId=template, DeleteVersion__1=1)
    story.ask("DeleteLaunchTemplate", LaunchTemplateName="web")


def _take_snapshots(story: Story, instance: str, disk: str) -> None:
    group = story.ask("CreateSnapshotGroup", InstanceId=instance, Name="before-the-upgrade")["SnapshotGroupId"]
    story.settle()
    story.ask("DescribeSnapshotGroups", SnapshotGroupId__1=group)
    story.ask("ModifySnapshotGroup", SnapshotGroupId=group, Description="As it was in May")
    story.ask("DeleteSnapshotGroup", SnapshotGroupId=group)
    said = {"timePoints": '["0","12"]', "repeatWeekdays": '["1","7"]', "retentionDays": 30}
    made = story.ask("CreateAutoSnapshotPolicy", autoSnapshotPolicyName="nightly", **said)
    named = {"autoSnapshotPolicyId": made["AutoSnapshotPolicyId"]}
    story.ask("ApplyAutoSnapshotPolicy", **named, diskIds=json.dumps([disk]))
    story.ask("DescribeAutoSnapshotPolicyEx", AutoSnapshotPolicyName="nightly")
    story.ask("DescribeAutoSnapshotPolicyAssociations", DiskId=disk)
    story.ask("ModifyAutoSnapshotPolicyEx", **named, retentionDays=7)
    story.ask("CancelAutoSnapshotPolicy", diskIds=json.dumps([disk]))
    story.ask("DeleteAutoSnapshotPolicy", **named)


def _give_a_key(story: Story, instance: str) -> None:
    story.ask("CreateKeyPair", KeyPairName="ops", Tag__1__Key="team", Tag__1__Value="web")
    story.ask("ImportKeyPair", KeyPairName="mine", PublicKeyBody=f"{ED25519} me@laptop")
    story.ask("AttachKeyPair", KeyPairName="ops", InstanceIds=json.dumps([instance]))
    story.ask("DescribeKeyPairs", IncludePublicKey=True)
    story.ask("DetachKeyPair", KeyPairName="ops", InstanceIds=json.dumps([instance]))
    story.ask("DeleteKeyPairs", KeyPairNames=json.dumps(["ops", "mine"]))


def _open_a_port(story: Story, instance: str) -> None:
    group = story.ask("CreateSecurityGroup", SecurityGroupName="web", Description="Web servers")["SecurityGroupId"]
    story.ask("ModifySecurityGroupAttribute", SecurityGroupId=group, Description="What serves the web")
    port = {"Permissions__1__IpProtocol": "tcp", "Permissions__1__PortRange": "443/443"}
    story.ask("AuthorizeSecurityGroup", SecurityGroupId=group, **port, Permissions__1__SourceCidrIp="0.0.0.0/0")
    closed = {**port, "Permissions__1__DestCidrIp": "10.0.0.0/8", "Permissions__1__Policy": "drop"}
    story.ask("AuthorizeSecurityGroupEgress", SecurityGroupId=group, **closed)
    story.ask("JoinSecurityGroup", SecurityGroupId=group, InstanceId=instance)
    story.ask("DescribeSecurityGroups", SecurityGroupName="web")
    told = story.ask("DescribeSecurityGroupAttribute", SecurityGroupId=group)
    story.ask("ModifySecurityGroupPolicy", SecurityGroupId=group, InnerAccessPolicy="Drop")
    ids = {one["Direction"]: one["SecurityGroupRuleId"] for one in told["Permissions"]["Permission"]}
    story.ask("RevokeSecurityGroup", SecurityGroupId=group, SecurityGroupRuleId__1=ids["ingress"])
    story.ask("RevokeSecurityGroupEgress", SecurityGroupId=group, SecurityGroupRuleId__1=ids["egress"])
    story.ask("LeaveSecurityGroup", SecurityGroupId=group, InstanceId=instance)
    story.ask("DeleteSecurityGroup", SecurityGroupId=group)


def _bake(story: Story, instance: str) -> None:
    story.ask("StartInstance", InstanceId=instance)
    story.settle()
    about = {"ImageFamily": "web", "ImageVersion": "1", "Description": "What the web servers run on"}
    labels = {"Tag__1__Key": "stage", "Tag__1__Value": "test"}
    image = story.ask("CreateImage", InstanceId=instance, ImageName="web-1", **about, **labels)["ImageId"]
    story.settle()
    story.ask("DescribeImages", ImageId=image)
    story.ask("ModifyImageAttribute", ImageId=image, Description="What the web servers ran on until May")
    story.ask("DescribeImageFromFamily", ImageFamily="web")
    story.ask("DescribeImageSupportInstanceTypes", ImageId=image)
    story.ask("ModifyImageSharePermission", ImageId=image, AddAccount__1=OTHER)
    story.ask("DescribeImageSharePermission", ImageId=image)
    story.ask("CopyImage", ImageId=image, DestinationRegionId=FAR, DestinationImageName="web-1")
    story.settle()
    late = story.ask("CopyImage", ImageId=image, DestinationRegionId=FAR)["ImageId"]
    story.ask("CancelCopyImage", RegionId=FAR, ImageId=late)
    story.ask("ExportImage", ImageId=image, OSSBucket=BUCKET, ImageFormat="qcow2")
    story.settle()
    story.ask("ModifyImageSharePermission", ImageId=image, RemoveAccount__1=OTHER)
    story.ask("DeleteImage", ImageId=image)


def _tag(story: Story, instance: str) -> None:
    what = {"ResourceType": "instance", "ResourceId__1": instance}
    story.ask("TagResources", **what, Tag__1__Key="owner", Tag__1__Value="web-team")
    story.ask("ListTagResources", **what)
    story.ask("UntagResources", **what, TagKey__1="owner")
    story.ask("AddTags", ResourceType="instance", ResourceId=instance, Tag__1__Key="stage", Tag__1__Value="test")
    story.ask("DescribeTags", ResourceType="instance")
    story.ask("RemoveTags", ResourceType="instance", ResourceId=instance, Tag__1__Key="stage")


def _change(story: Story, instance: str, image: str) -> None:
    story.ask("RebootInstance", InstanceId=instance)
    story.settle()
    story.ask("ModifyInstanceAttribute", InstanceId=instance, InstanceName="web-old")
    story.ask("StopInstance", InstanceId=instance)
    story.settle()
    system = story.ask("DescribeDisks", InstanceId=instance)["Disks"]["Disk"][0]["DiskId"]
    story.ask("ReInitDisk", DiskId=system)
    story.settle()
    story.ask("ModifyInstanceAttribute", InstanceId=instance, UserData="IyEvYmluL3NoCg==")
    story.ask("DescribeUserData", InstanceId=instance)
    story.ask("DescribeNetworkInterfaces", InstanceId=instance)
    story.ask("DescribeInstanceMaintenanceAttributes", InstanceId__1=instance)
    story.ask("AttachInstanceRamRole", InstanceIds=json.dumps([instance]), RamRoleName="build")
    story.ask("DescribeInstanceRamRole", InstanceIds=json.dumps([instance]))
    story.ask("DetachInstanceRamRole", InstanceIds=json.dumps([instance]))
    story.ask("ModifyInstanceMetadataOptions", InstanceId=instance, HttpEndpoint="enabled", HttpTokens="required")
    story.ask("ModifyInstanceSpec", InstanceId=instance, InstanceType="ecs.c6.large")
    story.ask("DescribeInstanceAttribute", InstanceId=instance)
    story.ask("ReplaceSystemDisk", InstanceId=instance, ImageId=image)
    story.settle()


def _clear_up(story: Story, instance: str, disk: str, snapshot: str) -> None:
    story.ask("DetachDisk", InstanceId=instance, DiskId=disk)
    story.settle()
    story.ask("DeleteSnapshot", SnapshotId=snapshot)
    story.ask("DeleteDisk", DiskId=disk)
    story.ask("CreateInstance", ImageId=_an_image(story), InstanceType=TYPE)
    story.settle()
    several = story.ask("RunInstances", ImageId=_an_image(story), InstanceType=TYPE, Amount=2)
    story.settle()
    one, two = several["InstanceIdSets"]["InstanceIdSet"]
    for action in ("RebootInstances", "StopInstances", "StartInstances", "StopInstances", "DeleteInstances"):
        story.ask(action, RegionId=REGION, InstanceId__1=one, InstanceId__2=two)
        story.settle()
    story.ask("DeleteInstance", InstanceId=instance)
    story.settle()


def _lay_a_network(story: Story) -> None:
    zone = story.cloud.ports.deployment.zones(REGION)[0]
    vpc = story.ask("CreateVpc", CidrBlock="10.0.0.0/16", VpcName="build")["VpcId"]
    story.ask("DescribeVpcs", VpcId=vpc)
    switch = story.ask("CreateVSwitch", VpcId=vpc, ZoneId=zone, CidrBlock="10.0.0.0/24", VSwitchName="build-a")
    switch = switch["VSwitchId"]
    story.ask("DescribeVSwitches", VpcId=vpc)
    story.ask("DescribeVSwitchAttributes", VSwitchId=switch)
    story.ask("DescribeVpcAttribute", VpcId=vpc)
    eip = story.ask("AllocateEipAddress", Name="web")["AllocationId"]
    made = story.ask("RunInstances", ImageId=_an_image(story), InstanceType=TYPE, VSwitchId=switch, Amount=2)
    story.settle()
    one, two = made["InstanceIdSets"]["InstanceIdSet"]
    story.ask("AssociateEipAddress", AllocationId=eip, InstanceId=one)
    story.ask("DescribeEipAddresses", AllocationId=eip)
    story.ask("UnassociateEipAddress", AllocationId=eip)
    story.ask("ReleaseEipAddress", AllocationId=eip)
    story.ask("AllocatePublicIpAddress", InstanceId=two)
    story.ask("DeleteInstances", InstanceId__1=one, InstanceId__2=two, Force=True)
    story.settle()
    story.ask("ModifyVSwitchAttribute", VSwitchId=switch, Description="Of the build machines")
    story.ask("ModifyVpcAttribute", VpcId=vpc, Description="Of the build machines")
    story.ask("DeleteVSwitch", VSwitchId=switch)
    story.ask("DeleteVpc", VpcId=vpc)


def _put_into_a_group(story: Story) -> None:
    group = story.ask("CreateResourceGroup", Name="web", DisplayName="Web servers")["ResourceGroup"]["Id"]
    story.ask("ListResourceGroups")
    story.ask("JoinResourceGroup", ResourceType="image", ResourceId=_an_image(story), ResourceGroupId=group)
    spare = story.cloud.call("CreateResourceGroup", Name="spare", DisplayName="Spare")["ResourceGroup"]["Id"]
    story.ask("UpdateResourceGroup", ResourceGroupId=spare, NewDisplayName="Of nobody")
    story.ask("GetResourceGroup", ResourceGroupId=spare)
    story.ask("DeleteResourceGroup", ResourceGroupId=spare)


def _an_image(story: Story) -> str:
    (image,) = story.cloud.call("DescribeImages")["Images"]["Image"]
    return str(image["ImageId"])


def build() -> dict[str, dict[str, Any]]:
    """Request and answer of every action, by its title."""
    with _a_cloud() as cloud:
        story = Story(cloud)
        tell(story)
    same = json.loads(_plain(json.dumps(story.told)))
    return {title: same[title] for title in titled()}


@contextmanager
def _a_cloud() -> Iterator[Cloud]:
    with tempfile.TemporaryDirectory(prefix="kiln-samples-") as scratch:
        folder = Path(scratch)
        (folder / "buckets" / BUCKET).mkdir(parents=True)
        disk = folder / "buckets" / BUCKET / "debian-12.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "2G"], check=True)
        database = open_sqlite(folder / "kiln.sqlite")
        schema.create(database)
        yield make_cloud(folder, database, deployment=Deployment(regions=(REGION, FAR)))
        database.close()


def _plain(text: str) -> str:
    """The text in which everything that differs between runs is the same, each by the order in which it came."""
    names: dict[str, str] = {}

    def letters(found: re.Match[str]) -> str:
        known = names.setdefault(found[2], f"bp{_spread(len(names))}")
        return f"{found[1]}-{known}"

    for name, example in _GIVEN.items():
        text = re.sub(rf'"{name}": "(?:[^"\\]|\\.)*"', f'"{name}": "{example}"', text)
    text = _ID.sub(letters, text)
    text = _SERIAL.sub(lambda found: names.get(found[0], found[0]), text)
    text = _PRIVATE_KEY.sub(r"\g<1>MIIEpAIBAAKCAQEA...\g<2>", text)
    text = _RSA.sub("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ...", text)
    examples = (
        (_FINGERPRINT, "89:f0:ba:62:ac:b8:aa:e1:61:5e:fd:81:69:86:6d:{:02x}"),
        (_UUID, "82420a0a-3d0e-50d2-9107-8db404c98b{:02x}"),
        (_MAC, "00:16:3e:00:00:{:02x}"),
        (_PRIVATE, "172.31.0.{}"),
        (_PUBLIC, "127.64.0.{}"),
    )
    text = _TAKEN.sub(r"\g<1>196608", text)
    text = _EVENT.sub(rf'\g<1>"{REQUEST_ID}"', text)
    for pattern, example in examples:
        found = dict.fromkeys(one.group() for one in pattern.finditer(text))
        told = {name: example.format(n + 10) for n, name in enumerate(found)}
        text = pattern.sub(partial(_told, told), text)
    return text


def _told(told: Mapping[str, str], found: re.Match[str]) -> str:
    return told[found[0]]


def _spread(number: int) -> str:
    """Eighteen letters and digits that look like an ID's, of a number."""
    digits, value = "", (number + 1) * 0x9E3779B97F4A7C15_F39CC0605CEDC834 % 36**18
    for _ in range(18):
        value, digit = divmod(value, 36)
        digits += _ALPHABET[digit]
    return digits


def to_text(samples: Mapping[str, Any]) -> str:
    """As it is written."""
    return json.dumps(samples, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or check that it is as it would be written; return the exit code."""
    text = to_text(build())
    if arguments == ["--check"]:
        if not PATH.is_file() or PATH.read_text() != text:
            print("docs/reference/samples.json is stale; run tools/samples.py, and tools/docs.py after it")
            return 1
        return 0
    PATH.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
