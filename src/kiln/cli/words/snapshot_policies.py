"""``kiln snapshot-policy``: when automatic snapshots are taken, of which disks, and for how long they are kept."""

from __future__ import annotations

import json

from kiln.cli.calling import call, call_each
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.grammar import Json, Region, example, group
from kiln.cli.listings import listing
from kiln.cli.output import Column

app = group()

COLUMNS = (
    Column("POLICY", "AutoSnapshotPolicyId"),
    Column("NAME", "AutoSnapshotPolicyName", is_prose=True),
    Column("HOURS", lambda row: json.loads(row["TimePoints"])),
    Column("DAYS", lambda row: json.loads(row["RepeatWeekdays"])),
    Column("KEPT", "RetentionDays"),
    Column("DISKS", "DiskNums"),
    Column("CREATED", "CreationTime"),
)

_ID = {"autoSnapshotPolicyId": "policy"}
_NAMES = {
    "autoSnapshotPolicyName": "name",
    "timePoints": "at",
    "repeatWeekdays": "on",
    "retentionDays": "keep",
}
_LEFT_OUT = {
    "TargetTags": "policies are applied to disks, and the service refuses it",
    "CopyEncryptionConfiguration": "automatic snapshots are not copied to other regions",
}

CREATE = Takes("CreateAutoSnapshotPolicy", names=_NAMES, left_out=_LEFT_OUT | {"AssociationType": "there is one"})
LIST = Takes("DescribeAutoSnapshotPolicyEx", names={"AutoSnapshotPolicyName": "name", "AutoSnapshotPolicyId": "policy"})
MODIFY = Takes(
    "ModifyAutoSnapshotPolicyEx", arguments=("autoSnapshotPolicyId",), names=_NAMES | _ID, left_out=_LEFT_OUT
)
APPLY = Takes("ApplyAutoSnapshotPolicy", arguments=("autoSnapshotPolicyId", "diskIds"), names=_ID | {"diskIds": "disk"})
CANCEL = Takes("CancelAutoSnapshotPolicy", arguments=("diskIds",), names=_ID | {"diskIds": "disk"})
DELETE = Takes("DeleteAutoSnapshotPolicy", arguments=("autoSnapshotPolicyId",), names=_ID, is_of_several=True)


@declared(app, "create", CREATE, example("kiln snapshot-policy create --at 0 --at 12 --on 1 --on 4 --keep 30"))
def create_policy(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Make a policy for automatic snapshots, and print its ID. Hours and days are told in UTC+8."""
    call(given, region, "AutoSnapshotPolicyId", as_json=as_json)


listing(
    app,
    LIST,
    COLUMNS,
    "List policies for automatic snapshots, the newest first.",
    "kiln snapshot-policy list",
)


@declared(app, "modify", MODIFY, example("kiln snapshot-policy modify sp-bp14yziiuvu3s6jn4k7d --keep 7"))
def modify_policy(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Change a policy: its name, its hours and days, or for how long snapshots are kept from now on."""
    call(given, region, as_json=as_json)


@declared(app, "apply", APPLY, example("kiln snapshot-policy apply sp-bp14yziiuvu3s6jn4k7d data-1 data-2"))
def apply_policy(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Give disks a policy, in place of the one that each had."""
    call(given, region, as_json=as_json)


@declared(app, "cancel", CANCEL, example("kiln snapshot-policy cancel data-1 data-2"))
def cancel_policy(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Take their policy from disks. The snapshots that it has taken stay."""
    call(given, region, as_json=as_json)


@declared(app, "delete", DELETE, example("kiln snapshot-policy delete sp-bp14yziiuvu3s6jn4k7d"))
def delete_policies(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Delete policies. Their disks have none any more; the snapshots that they have taken stay."""
    call_each(given, region, as_json=as_json)
