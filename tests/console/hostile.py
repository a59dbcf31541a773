"""One of each noun, called as nobody should be called: what the rules of names keep out is put into the rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kiln.declare.ids import new_id
from kiln.store import tasks
from kiln.store.disks import disks
from kiln.store.images import images
from kiln.store.security_groups import security_groups
from kiln.store.vpcs import vpcs
from kiln.store.vswitches import vswitches
from tests.clouds import ACCOUNT, REGION, Cloud
from tests.operations.images.gallery import BUCKET, a_bucket
from tests.stock import DEBIAN, a_disk, a_key_pair, a_snapshot, an_instance

#: Mark-up that runs, marks that turn the direction of all that follows, and as many Han as a name may have characters.
NAME = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e\u2067" + "龘" * 128


def fill(cloud: Cloud) -> dict[str, str]:
    """Put them there; returns the ID of each by the name of its pages."""
    named: dict[str, Any] = {"name": NAME, "description": NAME}
    instance = an_instance(cloud, host_name=NAME, **named)
    disk = a_disk(cloud, **named)
    snapshot = a_snapshot(cloud, **named)
    key_pair = a_key_pair(cloud, name=NAME)
    image = images.of_values({"id": new_id("image"), "account": ACCOUNT, "region": REGION, "status": "Creating"})
    image = replace(image, family=NAME, version=NAME, progress=7, created_at=cloud.clock(), system=DEBIAN, **named)
    task = an_import(cloud)

    def put(tx: Any) -> dict[str, str]:
        images.insert(tx, image)
        failed = {"status": "Failed", "error_code": NAME, "error_message": NAME, "finished_at": cloud.clock()}
        tasks.tasks.update(tx, failed, id=task)
        for rows in (vpcs, vswitches, security_groups, disks):
            rows.update(tx, named, account=ACCOUNT)
        (network,) = vpcs.all(tx, account=ACCOUNT)
        (switch,) = vswitches.all(tx, account=ACCOUNT)
        (group,) = security_groups.all(tx, account=ACCOUNT)
        return {"vpcs": network.id, "vswitches": switch.id, "security-groups": group.id}

    return {
        "images": image.id,
        "instances": instance.id,
        "disks": disk.id,
        "lineage": image.id,
        "snapshots": snapshot.id,
        "key-pairs": key_pair.name,
        "tasks": task,
        **cloud.ports.database.write(put),
    }


def an_import(cloud: Cloud) -> str:
    """The task of one that nobody has begun."""
    (a_bucket(cloud) / "disk.raw").write_bytes(bytes(512))
    disk = {"DiskDeviceMapping.1.OSSBucket": BUCKET, "DiskDeviceMapping.1.OSSObject": "disk.raw"}
    task: str = cloud.call("ImportImage", disk, ImageName="web")["TaskId"]
    return task
