"""Things to test with: small factories with keyword overrides, named for what they make."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar

from kiln.declare.ids import new_id, new_request_id
from kiln.declare.states import DiskStatus, InstanceStatus, SnapshotStatus
from kiln.declare.system import NO_SYSTEM, System
from kiln.ground.units import GiB
from kiln.store.audit import AuditEvent, audit
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.images import Image, images
from kiln.store.instances import Instance, instances
from kiln.store.key_pairs import KeyPair, key_pairs
from kiln.store.snapshot_groups import SnapshotGroup, snapshot_groups
from kiln.store.snapshot_policies import SnapshotPolicy, snapshot_policies
from kiln.store.snapshots import Snapshot, snapshots
from kiln.store.volumes import Volume, volumes
from tests.clouds import ACCOUNT, REGION, Cloud
from tests.nets import plug_in

Row = TypeVar("Row", Image, Disk, Instance, Snapshot)

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB2v6ljhWjXOGgkV7cSLxqyF3OnXNkKGDvUBJQYMsKrR"  #: A public key.

DEBIAN = System(
    platform="Debian",
    architecture="x86_64",
    os_type="linux",
    boot_mode="BIOS",
    imds_support="v1",
    nvme_support="unsupported",
)


def altered(row: Row, changes: dict[str, Any]) -> Row:
    """The row with other values, among which those of its system may stand by themselves."""
    names = {f.name for f in fields(System)}
    system = {name: value for name, value in changes.items() if name in names}
    others = {name: value for name, value in changes.items() if name not in names}
    return replace(row, **({"system": replace(row.system, **system)} | others))


def a_volume(cloud: Cloud, size_gib: int = 20, kind: str = "head") -> Volume:
    """A blank volume in the pool, with its row."""
    row = Volume(
        id=new_id("volume"),
        state="ready",
        kind=kind,
        parent=None,
        size_bytes=size_gib * GiB,
        task=None,
        created_at=cloud.clock(),
    )
    cloud.ports.pool.create(row.id, row.size_bytes)
    cloud.ports.database.write(lambda tx: volumes.insert(tx, row))
    return row


def an_instance(cloud: Cloud, data_disks: int = 0, system_disk: bool = True, **changes: Any) -> Instance:
    """A stopped instance with its disks, in its account's default network, or where its *card* says otherwise."""
    card = changes.pop("card", {})
    row = Instance(
        id=new_id("instance"),
        account=ACCOUNT,
        region=REGION,
        zone=REGION + "-a",
        name="",
        description="",
        host_name="",
        status=InstanceStatus.STOPPED,
        instance_type="ecs.t5-lc2m1.nano",
        image="",
        created_at=cloud.clock(),
        started_at=None,
        public_ip="",
        key_pair="",
        user_data="",
        password="",
        resource_group="",
        deletion_protection=False,
        charge_type="PostPaid",
        lock_reason="",
        http_tokens="optional",
        system=DEBIAN,
        ever_started=True,
    )
    row = altered(row, changes)

    def insert(tx: Transaction) -> None:
        instances.insert(tx, row)
        plug_in(tx, row, **card)

    cloud.ports.database.write(insert)
    kinds = (["system"] if system_disk else []) + ["data"] * data_disks
    letters = "abcdefghijklmnopqrstuvwxyz" if system_disk else "bcdefghijklmnopqrstuvwxyz"
    for kind, letter in zip(kinds, letters, strict=False):
        a_disk(
            cloud, type=kind, instance=row.id, device=f"/dev/xvd{letter}", status=DiskStatus.IN_USE, account=row.account
        )
    return row


def a_key_pair(cloud: Cloud, **changes: Any) -> KeyPair:
    """A key pair that is called ops, of a key that nobody has."""
    row = KeyPair(
        id=new_id("key_pair"),
        account=ACCOUNT,
        region=REGION,
        name="ops",
        public_key=ED25519,
        fingerprint=":".join(["00"] * 16),
        resource_group="",
        created_at=cloud.clock(),
    )
    row = replace(row, **changes)
    cloud.ports.database.write(lambda tx: key_pairs.insert(tx, row))
    return row


def a_disk(cloud: Cloud, **changes: Any) -> Disk:
    """A blank disk, free and attached once before."""
    size_gib = changes.get("size_gib", 20)
    is_system = changes.get("type", "data") == "system"
    row = Disk(
        id=new_id("disk"),
        account=ACCOUNT,
        region=REGION,
        zone=REGION + "-a",
        name="",
        description="",
        status=DiskStatus.AVAILABLE,
        type="data",
        category="cloud_efficiency",
        size_gib=size_gib,
        volume=changes["volume"] if "volume" in changes else a_volume(cloud, size_gib).id,
        instance=None,
        device="",
        image="",
        source_snapshot="",
        delete_with_instance=True,
        portable=True,
        ever_attached=True,
        was_system=False,
        resource_group="",
        created_at=cloud.clock(),
        attached_at=None,
        detached_at=None,
        system=DEBIAN if is_system else NO_SYSTEM,
    )
    row = altered(row, changes)
    cloud.ports.database.write(lambda tx: disks.insert(tx, row))
    return row


def a_snapshot(cloud: Cloud, **changes: Any) -> Snapshot:
    """An accomplished snapshot of a system disk that is gone."""
    size_gib = changes.get("source_disk_size_gib", 20)
    is_system = changes.get("source_disk_type", "system") == "system"
    row = Snapshot(
        id=new_id("snapshot"),
        account=ACCOUNT,
        region=REGION,
        name="",
        description="",
        status=SnapshotStatus.ACCOMPLISHED,
        progress=100,
        created_at=cloud.clock(),
        volume=changes["volume"] if "volume" in changes else a_volume(cloud, size_gib, "layer").id,
        source_disk=new_id("disk"),
        source_disk_type="system",
        source_disk_size_gib=size_gib,
        category="cloud_efficiency",
        device="/dev/xvda" if is_system else "/dev/xvdb",
        instance="",
        size_bytes=size_gib * GiB,
        resource_group="",
        retention_days=0,
        consistency="",
        from_released_system=False,
        made_for="",
        system=replace(DEBIAN, platform="CentOS") if is_system else NO_SYSTEM,
    )
    row = altered(row, changes)
    cloud.ports.database.write(lambda tx: snapshots.insert(tx, row))
    return row


def a_snapshot_group(cloud: Cloud, **changes: Any) -> SnapshotGroup:
    """A group with no snapshots."""
    row = SnapshotGroup(
        id=new_id("snapshot_group"),
        account=ACCOUNT,
        region=REGION,
        name="",
        description="",
        instance="",
        resource_group="",
        created_at=cloud.clock(),
    )
    row = replace(row, **changes)
    cloud.ports.database.write(lambda tx: snapshot_groups.insert(tx, row))
    return row


def a_policy(cloud: Cloud, **changes: Any) -> SnapshotPolicy:
    """A policy that has a snapshot taken at every hour, and keeps each for a week."""
    row = SnapshotPolicy(
        id=new_id("snapshot_policy"),
        account=ACCOUNT,
        region=REGION,
        name="",
        hours=",".join(str(hour) for hour in range(24)),
        weekdays="1,2,3,4,5,6,7",
        retention_days=7,
        resource_group="",
        created_at=cloud.clock(),
        changed_at=0.0,
    )
    row = replace(row, **changes)
    cloud.ports.database.write(lambda tx: snapshot_policies.insert(tx, row))
    return row


def an_event(cloud: Cloud, **changes: Any) -> AuditEvent:
    """A line of the audit: that a disk was made."""
    row = AuditEvent(
        account=ACCOUNT,
        at=cloud.clock(),
        id=new_request_id(),
        service="Ecs",
        name="CreateDisk",
        caller="root",
        access_key="",
        error="",
        resources="",
        detail="{}",
    )
    row = replace(row, **changes)
    cloud.ports.database.write(lambda tx: audit.insert(tx, row))
    return row


def make_images(cloud: Cloud, count: int) -> list[str]:
    """Have so many images come into being at once; their IDs."""
    rows = [images.of_values({"id": new_id("image"), "account": ACCOUNT, "status": "Available"}) for _ in range(count)]
    rows = [replace(row, name=row.id) for row in rows]
    cloud.ports.database.write(lambda tx: images.insert(tx, *rows))
    return [row.id for row in rows]
