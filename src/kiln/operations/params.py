"""Parameters that several operations share, each described once, and the parts that are built of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from kiln.declare.rules import (
    Accepted,
    Alias,
    Between,
    Composed,
    Doc,
    Example,
    KeepEmpty,
    Name,
    OneOf,
    Text,
)
from kiln.declare.shapes import keep, shape
from kiln.operations import accepted
from kiln.operations.errors.images import (
    InvalidArchitectureMalformed,
    InvalidBootModeNotSupport,
    InvalidImageFamilyMalformed,
    InvalidImageNameMalformed,
    InvalidParameterDetectionStrategy,
    InvalidParameterFeaturesImdsSupport,
    InvalidPlatformMalformed,
)
from kiln.operations.errors.requests import InvalidDescriptionMalformed
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed, InvalidTagValueMalformed
from kiln.store.tags import Tag

URLS = ("http://", "https://")  #: What names and descriptions do not begin with.

RegionId = Annotated[str, Example("cn-qingdao-env17-d01"), Doc("The region. DescribeRegions lists them.")]
#: Of operations on one resource, which its ID finds in any region; the classic SDK sends it with all of them.
OwnRegionId = Annotated[
    str | None, Example("cn-qingdao-env17-d01"), Doc("The region of the resource: it is not found from another.")
]
ImageId = Annotated[str, Example("m-bp146shijn7hujku8a5c"), Doc("The ID of the image.")]
SnapshotId = Annotated[str, Example("s-bp17441ohwkdca0fg1tq"), Doc("The ID of the snapshot.")]
SnapshotGroupId = Annotated[str, Example("ssg-j6c9lpuyxo2uxxnyh3k5"), Doc("The ID of the snapshot group.")]
SnapshotPolicyId = Annotated[str, Example("sp-bp14yziiuvu3s6jn4k7d"), Doc("The ID of the policy.")]
DiskId = Annotated[str, Example("d-bp131n0q38u3a4zi9p2k"), Doc("The ID of the disk.")]
InstanceId = Annotated[str, Example("i-bp1g6zv0ce8oghu7k2d3"), Doc("The ID of the instance.")]
SecurityGroupId = Annotated[str, Example("sg-bp67acfmxazb4ph3j2k8"), Doc("The ID of the security group.")]
LaunchTemplateId = Annotated[str, Example("lt-bp168lnahrdwl39p4k7d"), Doc("The ID of the launch template.")]
#: Of a template that is there: what has no such name is not found, whatever rule it breaks.
LaunchTemplateName = Annotated[str, Composed(), Example("web"), Doc("The name of the launch template.")]
TaskId = Annotated[str, Example("t-bp1hvgwromzv32iq5v8d"), Doc("The ID of the task.")]
ResourceGroupId = Annotated[
    str, Example("rg-bp67acfmxazb4p8xk3ie"), Doc("The resource group. Without it, the resource is in none.")
]
InResourceGroup = Annotated[str, Example("rg-bp67acfmxazb4p8xk3ie"), Doc("The resource group that they are in.")]

#: The seed: 2 to 128 characters, a letter or Chinese character first, not http:// or https.
#: ecs-api.md 5.1 adds the prefixes and the dot.
ImageName = Annotated[
    str,
    Name(2, 128, InvalidImageNameMalformed, ("http://", "https://", "aliyun", "acs:")),
    Example("TestCentOS"),
    Doc("The name of the image, unique in the account and region."),
]
ImageFamily = Annotated[
    str,
    Name(2, 128, InvalidImageFamilyMalformed, ("http://", "https://", "aliyun", "acs:")),
    Example("hangzhou-daily-update"),
    Doc("The family of the image. The newest Available image of a family is what RunInstances takes for it."),
]
Description = Annotated[
    str,
    Text(2, 256, InvalidDescriptionMalformed, not_starting=URLS),
    Example("ImageTestDescription"),
    Doc("A description."),
]

#: The seed's list, and the newer one of ecs-api.md 5.1.
PLATFORMS = (
    "Aliyun", "Aliyun Linux", "Anolis", "CentOS", "Ubuntu", "CoreOS", "SUSE", "Debian", "OpenSUSE", "FreeBSD",
    "RedHat", "Kylin", "UOS", "Fedora", "Fedora CoreOS", "CentOS Stream", "AlmaLinux", "Rocky Linux", "Gentoo",
    "Customized Linux", "Others Linux", "Windows Server 2022", "Windows Server 2019", "Windows Server 2016",
    "Windows Server 2012", "Windows Server 2008", "Windows Server 2003", "Windows 7",
)  # fmt: skip
ARCHITECTURES = ("i386", "x86_64", "arm64")

DEFAULT_PLATFORM = "Others Linux"
DEFAULT_ARCHITECTURE = "x86_64"

Platform = Annotated[
    str,
    OneOf(PLATFORMS, InvalidPlatformMalformed),
    Example("CentOS"),
    Doc("The operating system's release. Others Linux when it is neither given nor known from the source."),
]
#: ImportImage takes one more, as the SDK's ImportImageRequest says; CreateImage does not.
ImportedPlatform = Annotated[
    str,
    OneOf((*PLATFORMS, "Other Windows"), InvalidPlatformMalformed),
    Example("CentOS"),
    Doc("The operating system's release. Others Linux when it is not given."),
]
Architecture = Annotated[
    str,
    OneOf(ARCHITECTURES, InvalidArchitectureMalformed),
    Example("x86_64"),
    Doc("The CPU that the image runs on. x86_64 when it is neither given nor known from the source."),
]
BootMode = Annotated[
    str,
    OneOf(("BIOS", "UEFI", "UEFI-Preferred"), InvalidBootModeNotSupport),
    Example("BIOS"),
    Doc("How the image boots. arm64 boots by UEFI only."),
]
DetectionStrategy = Annotated[
    str,
    OneOf(("Standard",), InvalidParameterDetectionStrategy),
    Example("Standard"),
    Accepted("Nobody looks into an image, and its DetectionOptions in DescribeImages stay empty."),
    Doc("Standard, or nothing."),
]

ProvisionedIops = Annotated[
    int,
    Between(0, 50_000),  # Less for a small disk; how much less, the documents of the API leave to the category.
    Example("1000"),
    accepted.CATEGORIES,
    Doc("Provisioned IOPS. DescribeDisks shows them."),
]

PageNumber = Annotated[int, Between(1, 1_000_000), Example("1"), Doc("The page, from 1.")]
PageSize100 = Annotated[int, Between(1, 100), Example("10"), Doc("Rows a page.")]
PageSize50 = Annotated[int, Between(1, 50), Example("10"), Doc("Rows a page.")]
MaxResults = Annotated[int, Between(1, 500), Example("10"), Doc("Rows an answer, when paging by NextToken.")]
NextToken = Annotated[str, Doc("Where the answer before ended; empty for the first.")]

TagKey = Annotated[
    str | None,
    Alias("key"),
    KeepEmpty(),
    Text(1, 128, InvalidTagKeyMalformed, not_starting=("aliyun", "acs:"), not_containing=URLS),
    Example("KeyTest"),
    Doc("A tag's key. The lower-case spelling is deprecated."),
]
TagValue = Annotated[
    str | None,
    Alias("value"),
    KeepEmpty(),
    Text(0, 128, InvalidTagValueMalformed, not_starting=("acs:",), not_containing=URLS),
    Example("ValueTest"),
    Doc("A tag's value; may be empty. The lower-case spelling is deprecated."),
]


@shape
class TagInput:
    """One tag to put on, or to look for."""

    key: TagKey = None
    value: TagValue = None


@shape
class ArnInput:
    """A role to be assumed."""

    rolearn: Annotated[str | None, accepted.ROLES, Doc("The role.")] = None
    role_type: Annotated[str | None, accepted.ROLES, Doc("The role's type.")] = None
    assume_role_for: Annotated[int | None, accepted.ROLES, Doc("The account.")] = None


@shape
class FilterInput:
    """One filter."""

    key: Annotated[str | None, Doc("What to filter by.")] = None
    value: Annotated[str | None, Doc("The value to compare with.")] = None


@shape
class FeaturesInput:
    """What the image can do."""

    imds_support: Annotated[
        str | None,
        OneOf(("v1", "v2"), InvalidParameterFeaturesImdsSupport),
        Doc("v2: instances may insist on tokens of the metadata service. Remembered."),
    ] = None
    nvme_support: Annotated[
        str | None, OneOf(("supported", "unsupported")), Doc("Whether the image has NVMe drivers.")
    ] = None


@shape
class TagOutput:
    """One tag."""

    tag_key: Annotated[str, Doc("The key.")]
    tag_value: Annotated[str, Doc("The value.")]


@shape
class TagsOutput:
    """Tags."""

    tag: Annotated[tuple[TagOutput, ...], Doc("The tags.")]


@shape
class NothingMore:
    """The answer of an operation that has nothing to say but the RequestId."""


RoleName = Annotated[str, Accepted("Buckets here need no role."), Doc("The RAM role for the bucket.")]


def given(number: int | None) -> int | None:
    """What was sent, or None for 0: Terraform fills what it does not use with 0 (ecs-api.md 1, "Empty values")."""
    return number or None


def to_pairs(given: Iterable[TagInput]) -> dict[str, str]:
    """The tags to put on. Raises InvalidTagKeyMalformed for a value without a key, DuplicateTagKey."""
    pairs: dict[str, str] = {}
    for tag in given:
        if not tag.key:
            raise InvalidTagKeyMalformed(parameter="Tag.N.Key")
        if tag.key in pairs:
            raise DuplicateTagKey(key=tag.key)
        pairs[tag.key] = tag.value or ""
    return pairs


def draw_tags(tags: Iterable[Tag]) -> TagsOutput:
    """Tags as answers show them."""
    drawn = tuple(TagOutput(tag_key=tag.key, tag_value=tag.value) for tag in tags)
    return TagsOutput(tag=drawn) if drawn else _NO_TAGS


_NO_TAGS = keep(TagsOutput(tag=()))
