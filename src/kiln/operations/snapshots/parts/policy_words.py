"""What is said of a policy for automatic snapshots, alike when it is made and when it is changed.

The spellings are those of the API's documents, whose parameters of these
operations alone begin with small letters. Source: the official SDK's
descriptions of CreateAutoSnapshotPolicy's parameters.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.rules import (
    Accepted,
    Alias,
    Count,
    Declined,
    Doc,
    Example,
    JsonList,
    Name,
    OneOf,
    Unordered,
    Wire,
)
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.snapshots import ParameterInvalidSnapshotPolicy
from kiln.operations.params import ArnInput, DiskId, RegionId, SnapshotPolicyId
from kiln.operations.snapshots.parts.errors import InvalidDiskIdNotFoundOfPolicy
from kiln.store.disks import Disk, disks
from kiln.store.snapshot_policies import FOR_GOOD, SnapshotPolicy, snapshot_policies

HOURS = tuple(str(hour) for hour in range(24))
WEEKDAYS = tuple(str(day) for day in range(1, 8))

_LONGEST_DAYS = 65536

_NO_COPIES = Declined("automatic snapshots are not copied to other regions; CopySnapshot copies one")
_OF_COPIES = Accepted("Automatic snapshots are not copied to other regions.")
_BY_DISK = Declined("policies are applied to disks, by ApplyAutoSnapshotPolicy")


class ParameterInvalidTimePoints(ApiError):
    """The hours are no JSON array of full hours."""

    code = "ParameterInvalid"
    status = 403
    message = "The specified timePoints are invalid."


class ParameterInvalidRepeatWeekdays(ApiError):
    """The days are no JSON array of days of the week."""

    code = "ParameterInvalid"
    status = 403
    message = "The specified repeatWeekdays are invalid."


class ParameterInvalidRetentionDays(ApiError):
    """The days of retention are neither -1 nor 1 to 65536."""

    code = "ParameterInvalid"
    status = 403
    message = "The specified retentionDays is invalid."


class ParameterInvalidPolicyName(ApiError):
    """The policy's name breaks the rule for names."""

    code = "ParameterInvalid"
    status = 403
    message = "The specified autoSnapshotPolicyName is invalid."


class ParameterInvalidDiskIds(ApiError):
    """The disks are no JSON array of IDs, or none, or too many."""

    code = "ParameterInvalid"
    status = 403
    message = "The specified DiskIds are invalid."


@dataclass(frozen=True)
class Retention:
    """Days, or -1 for good."""

    error: type[ApiError] = ParameterInvalidRetentionDays

    def allows(self, value: int) -> bool:
        return value == FOR_GOOD or 1 <= value <= _LONGEST_DAYS

    def in_words(self) -> str:
        return f"-1, or 1 to {_LONGEST_DAYS}"

    def counterexample(self) -> str:
        return "0"


PolicyRegion = Annotated[RegionId, Wire("regionId"), Alias("RegionId")]
PolicyId = Annotated[SnapshotPolicyId, Wire("autoSnapshotPolicyId")]
PolicyName = Annotated[
    str,
    Wire("autoSnapshotPolicyName"),
    Name(2, 128, ParameterInvalidPolicyName, any_script=True),
    Example("TestName"),
    Doc("The name of the policy."),
]
TimePoints = Annotated[
    tuple[str, ...],
    Wire("timePoints"),
    JsonList(ParameterInvalidTimePoints),
    Unordered(),
    OneOf(HOURS, ParameterInvalidTimePoints),
    Count(24, ParameterInvalidTimePoints),
    Example('["0","12"]'),
    Doc("The full hours at which snapshots are taken, in UTC+8."),
]
RepeatWeekdays = Annotated[
    tuple[str, ...],
    Wire("repeatWeekdays"),
    JsonList(ParameterInvalidRepeatWeekdays),
    Unordered(),
    OneOf(WEEKDAYS, ParameterInvalidRepeatWeekdays),
    Count(7, ParameterInvalidRepeatWeekdays),
    Example('["1","7"]'),
    Doc("The days on which snapshots are taken, 1 for Monday to 7 for Sunday, in UTC+8."),
]
RetentionDays = Annotated[
    int,
    Wire("retentionDays"),
    Retention(),
    Example("30"),
    Doc("Days after which its snapshots are deleted by themselves; -1: they are kept for good."),
]
DiskIds = Annotated[
    tuple[DiskId, ...],
    Wire("diskIds"),
    JsonList(ParameterInvalidDiskIds),
    Unordered(),
    Count(100, ParameterInvalidDiskIds),
    Example('["d-bp131n0q38u3a4zi9p2k"]'),
    Doc("The disks, up to 100. Either all of them or none."),
]
EnableCrossRegionCopy = Annotated[bool | None, _NO_COPIES, Doc("Whether to copy the snapshots to another region.")]
TargetCopyRegions = Annotated[str | None, _NO_COPIES, Doc("The region to copy them to.")]
CopiedSnapshotsRetentionDays = Annotated[int | None, _OF_COPIES, Doc("Days after which copies are deleted.")]


@shape
class CopyEncryptionInput:
    """How copies in other regions are encrypted."""

    encrypted: Annotated[bool | None, _NO_COPIES, Doc("Whether they are.")] = None
    kms_key_id: Annotated[str | None, Wire("KMSKeyId"), _NO_COPIES, Doc("The key.")] = None
    arn: Annotated[tuple[ArnInput, ...], Unordered(), Doc("Roles to be assumed.")] = ()


@shape
class TargetTagInput:
    """A tag of instances to whose disks the policy would be applied."""

    key: Annotated[str | None, _BY_DISK, Doc("The key.")] = None
    value: Annotated[str | None, _BY_DISK, Doc("The value.")] = None


CopyEncryption = Annotated[CopyEncryptionInput | None, Doc("How copies in other regions are encrypted.")]
TargetTags = Annotated[
    tuple[TargetTagInput, ...], Unordered(), Doc("Tags of instances to whose disks the policy would be applied.")
]


def joined(words: Collection[str], refusal: type[ApiError]) -> str:
    """Hours or days as a row has them: each once and in order. Raises *refusal* for none."""
    if not words:
        raise refusal
    return ",".join(sorted(set(words), key=int))


def find_policy(call: Call, region: str, policy_id: str) -> SnapshotPolicy:
    """The caller's own policy. Raises ParameterInvalidSnapshotPolicy."""
    return call.the(snapshot_policies, policy_id, region, ParameterInvalidSnapshotPolicy)


def find_disks(call: Call, region: str, ids: Collection[str]) -> list[Disk]:
    """The caller's own disks, each once. Raises ParameterInvalidDiskIds for none, InvalidDiskIdNotFoundOfPolicy."""
    if not ids:
        raise ParameterInvalidDiskIds
    return [call.the(disks, one, region, InvalidDiskIdNotFoundOfPolicy) for one in dict.fromkeys(ids)]
