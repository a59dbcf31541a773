"""CreateLaunchTemplate, as a caller meets it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiln.declare.deployment import Deployment, Quotas
from kiln.store.tags import tags
from tests.clouds import OTHER
from tests.operations.launch_templates.shelf import a_template, shown, versions
from tests.reading import every

#: All that the official SDK's CreateLaunchTemplateRequest has of instances, and an image's family.
SAID = {
    "AutoReleaseTime": "2026-12-24T18:00:00Z", "AutoRenew": True, "AutoRenewPeriod": 2,
    "CreditSpecification": "Standard",
    "DeletionProtection": False, "DeploymentSetId": "ds-1", "Description": "of the instance", "EnableVmOsConfig": False,
    "HostName": "web", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2, "HttpTokens": "optional",
    "ImageId": "m-1", "ImageFamily": "web", "ImageOwnerAlias": "self", "InstanceChargeType": "PostPaid",
    "InstanceName": "web", "InstanceType": "ecs.t5-lc1m1.small", "InternetChargeType": "PayByTraffic",
    "InternetMaxBandwidthIn": 5, "InternetMaxBandwidthOut": 0, "IoOptimized": "optimized", "Ipv6AddressCount": 1,
    "KeyPairName": "ops", "NetworkType": "vpc", "PasswordInherit": True, "Period": 1, "PeriodUnit": "Month",
    "PrivateIpAddress": "10.0.0.9", "RamRoleName": "role", "ResourceGroupId": "rg-tests",
    "SecurityEnhancementStrategy": "Active", "SecurityGroupId": "sg-1", "SpotDuration": 1, "SpotPriceLimit": 0.97,
    "SpotStrategy": "NoSpot", "UserData": "ZWNobyBo", "VSwitchId": "vsw-1", "VpcId": "vpc-1", "ZoneId": "zone-a",
}  # fmt: skip
PARTS = {
    "SystemDisk": {
        "Category": "cloud_essd", "DiskName": "root", "Description": "of the disk", "PerformanceLevel": "PL1",
        "AutoSnapshotPolicyId": "sp-1", "BurstingEnabled": False, "ProvisionedIops": 0, "DeleteWithInstance": True,
        "Size": 40, "Iops": 100,
    },
    "ImageOptions": {"LoginAsNonRoot": True},
    "SecurityOptions": {"TrustedSystemMode": "vTPM"},
}  # fmt: skip
DISK = {"Category": "cloud_essd", "Size": 100, "DeleteWithInstance": False, "Device": "/dev/xvdb", "SnapshotId": "s-1"}
INTERFACE = {"InstanceType": "Primary", "VSwitchId": "vsw-1", "PrimaryIpAddress": "10.0.0.9"}


def test_keeps_all_that_is_said_and_shows_it_again(cloud):
    lists = {f"DataDisk.1.{name}": value for name, value in DISK.items()}
    lists |= {f"NetworkInterface.1.{name}": value for name, value in INTERFACE.items()}
    lists |= {
        "NetworkInterface.1.SecurityGroupIds.1": "sg-2",
        "SecurityGroupIds.1": "sg-1",
        "SecurityGroupIds.2": "sg-2",
    }
    lists |= {"Tag.1.Key": "use", "Tag.1.Value": "test"}
    nested = {f"{whole}.{name}": value for whole, parts in PARTS.items() for name, value in parts.items()}

    a_template(cloud, {**SAID, **nested, **lists})

    assert versions(cloud)[0]["LaunchTemplateData"] == {
        **SAID,
        **PARTS,
        "DataDisks": {"DataDisk": [DISK]},
        "NetworkInterfaces": {
            "NetworkInterface": [{**INTERFACE, "SecurityGroupIds": {"SecurityGroupId": ["sg-2"]}}],
        },
        "SecurityGroupIds": {"SecurityGroupId": ["sg-1", "sg-2"]},
        "Tags": {"InstanceTag": [{"Key": "use", "Value": "test"}]},
    }


def test_says_nothing_that_was_not_said(cloud):
    a_template(cloud, {"SystemDisk.Size": 40})

    assert versions(cloud)[0]["LaunchTemplateData"] == {
        "SystemDisk": {"Size": 40},
        "DataDisks": {"DataDisk": []},
        "NetworkInterfaces": {"NetworkInterface": []},
        "SecurityGroupIds": {"SecurityGroupId": []},
        "Tags": {"InstanceTag": []},
    }


def test_is_version_1_and_the_default_with_what_is_said_of_the_template(cloud):
    given = {"TemplateTag.1.Key": "team", "TemplateTag.1.Value": "web", "TemplateResourceGroupId": "rg-tests"}
    a_template(cloud, given, VersionDescription="the first")

    (one,), (version,) = shown(cloud), versions(cloud)
    assert (one["DefaultVersionNumber"], one["LatestVersionNumber"], one["ResourceGroupId"]) == (1, 1, "rg-tests")
    assert one["Tags"] == {"Tag": [{"TagKey": "team", "TagValue": "web"}]}
    assert (version["DefaultVersion"], version["VersionDescription"]) == (True, "the first")


def test_a_name_is_one_templates_in_its_account_and_region(cloud):
    a_template(cloud)

    cloud.refuses("CreateLaunchTemplate", "LaunchTemplateName.Duplicated", 403, LaunchTemplateName="web")
    assert cloud.call("CreateLaunchTemplate", LaunchTemplateName="web", account=OTHER)


def test_refuses_more_than_there_may_be(cloud):
    cloud.refit(deployment=replace(Deployment(), quotas=Quotas(launch_templates=1)))
    a_template(cloud)

    cloud.refuses("CreateLaunchTemplate", "LaunchTemplateLimitExceed", 403, LaunchTemplateName="one-more")


@pytest.mark.parametrize(
    ("params", "code", "status"),
    [
        ({"LaunchTemplateName": "1web"}, "InvalidLaunchTemplateName.Malformed", 400),
        ({"VersionDescription": "http://a"}, "InvalidDescription.Malformed", 400),
        ({"UserData": "a"}, "InvalidUserData.Base64FormatInvalid", 400),
        ({"SystemDisk.Category": "cloud_none"}, "InvalidSystemDiskCategory.ValueNotSupported", 400),
        ({"SystemDisk.Encrypted": "yes"}, "InvalidParameter", 400),
        ({"SystemDisk.NoSuchPart": "1"}, "InvalidParameter", 400),
        ({"NetworkInterface.1.QueueNumber": 2}, "InvalidParameter", 400),
        ({f"Tag.{n}.Key": f"k{n}" for n in range(1, 22)}, "QuotaExceed.Tags", 403),
        ({"Tag.1.Key": "a", "Tag.2.Key": "a"}, "Duplicate.TagKey", 400),
        ({"TemplateTag.1.Key": "a", "TemplateTag.2.Key": "a"}, "Duplicate.TagKey", 400),
        ({"TemplateTag.1.Value": "lonely"}, "InvalidTagKey.Malformed", 400),
        ({"TemplateResourceGroupId": "rg-nowhere"}, "InvalidResourceGroup.NotFound", 404),
    ],
)
def test_refuses_what_is_malformed(cloud, params, code, status):
    cloud.refuses("CreateLaunchTemplate", code, status, {"LaunchTemplateName": "web", **params})


def test_its_tags_are_its_own(cloud):
    template = a_template(cloud, {"Tag.1.Key": "of-instances", "TemplateTag.1.Key": "of-the-template"})

    assert [(tag.resource, tag.key) for tag in every(cloud, tags)] == [(template, "of-the-template")]
