"""One resource of each sort that can have tags."""

from __future__ import annotations

from kiln.store import tags
from kiln.store.resources import owned
from tests.clouds import REGION, Cloud
from tests.nets import a_group, a_vpc
from tests.operations.launch_templates.shelf import a_template
from tests.stock import a_disk, a_key_pair, a_policy, a_snapshot, an_instance


def of_each_kind(cloud: Cloud) -> dict[str, str]:
    """What callers call one of each: its ID, or its name where it has no ID that they see."""
    snapshot = a_snapshot(cloud)
    image_id = cloud.call("CreateImage", SnapshotId=snapshot.id)["ImageId"]
    cloud.settle()
    return {
        "image": image_id,
        "snapshot": snapshot.id,
        "disk": a_disk(cloud).id,
        "instance": an_instance(cloud, system_disk=False).id,
        "keypair": a_key_pair(cloud).name,
        "securitygroup": a_group(cloud, a_vpc(cloud)).id,
        "launchtemplate": a_template(cloud),
        "snapshotpolicy": a_policy(cloud).id,
    }


def tags_of(cloud: Cloud, kind: str, resource: str) -> dict[str, str]:
    """Its tags."""
    with cloud.ports.database.read() as tx:
        (resource,) = owned(tx, kind, cloud.account, REGION, [resource]).values()
        return {tag.key: tag.value for tag in tags.of(tx, kind, [resource])[resource]}


def many(count: int, first: int = 1) -> dict[str, str]:
    """Parameters for so many tags."""
    return {f"Tag.{n}.Key": f"k{first + n}" for n in range(1, count + 1)}
