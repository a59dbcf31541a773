"""A Kiln in which every request is answered and none leaves a trace, so that each example stands for itself."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kiln.operations import CATALOGUE
from kiln.store import schema
from kiln.store.database import Database, open_sqlite
from kiln.wire.dispatch import Dispatcher
from kiln.wire.gateway import Gateway
from kiln.wire.nonces import MemoryNonces
from tests.clouds import OTHER, REGION, make_cloud
from tests.fuzz.target import OneAccount, Target
from tests.operations.images.gallery import an_image
from tests.stock import a_disk, a_snapshot, an_instance


class _Forgotten(Exception):
    """Leaves a transaction with its result, so that it is rolled back."""


class Forgetful(Database):
    """Writes as it should, and then takes everything back."""

    is_forgetful = False

    def write(self, work, **how):
        if not self.is_forgetful:
            return super().write(work, **how)

        def rehearse(tx):
            raise _Forgotten(work(tx))

        try:
            return super().write(rehearse, **how)
        except _Forgotten as forgotten:
            return forgotten.args[0]


@pytest.fixture(scope="session")
def target(tmp_path_factory) -> Target:
    """A gateway before a Kiln that has one of everything."""
    folder = tmp_path_factory.mktemp("fuzz")
    opened = open_sqlite(folder / "kiln.sqlite")
    schema.create(opened)
    database = Forgetful(opened.engine)
    cloud = make_cloud(folder, database)
    known = _stock(cloud)
    database.is_forgetful = True
    gateway = Gateway(Dispatcher(CATALOGUE, cloud.ports), OneAccount(), MemoryNonces(), cloud.clock)
    yield Target(gateway=gateway, clock=cloud.clock, known=known)
    opened.close()


def _stock(cloud) -> Mapping[str, list[str]]:
    """Some of everything, by the ends of the parameters that may name it; of some, one that is being made."""
    stopped, running, captured = (
        an_instance(cloud, data_disks=1),
        an_instance(cloud, status="Running"),
        an_instance(cloud),
    )
    free, attached = a_disk(cloud), a_disk(cloud, status="In_use", instance=stopped.id, device="/dev/xvdf")
    system = a_snapshot(cloud)
    data = a_snapshot(cloud, source_disk_type="data", source_disk=attached.id)
    tags = {"Tag.1.Key": "k", "Tag.1.Value": "v"}
    whole = cloud.call("CreateImage", tags, SnapshotId=system.id, ImageName="one", ImageFamily="family")
    cloud.settle()
    creating = cloud.call("CreateImage", InstanceId=captured.id, ImageName="two")
    (bucket := cloud.folder / "buckets" / "bucket").mkdir()
    (bucket / "object").write_bytes(b"x" * 1024 * 1024)
    source = {"DiskDeviceMapping.1.OSSBucket": "bucket", "DiskDeviceMapping.1.OSSObject": "object"}
    importing = cloud.call("ImportImage", source | {"DiskDeviceMapping.1.Format": "RAW"})
    copying = an_image(cloud, status="Creating", source=whole["ImageId"])
    instances = [stopped.id, stopped.id, running.id, captured.id]
    disks, snapshots = [free.id, attached.id], [system.id, data.id]
    images = [whole["ImageId"], whole["ImageId"], creating["ImageId"], importing["ImageId"], copying.id]
    return {
        "InstanceId": instances,
        "DiskId": disks,
        "SnapshotId": snapshots,
        "ImageId": images,
        "AddAccount": [OTHER],
        "DestinationRegionId": [REGION],
        "ImageFamily": ["family"],
        "TaskId": [importing["TaskId"]],
        "ResourceId": [*instances, *disks, *snapshots, *images],
        "ResourceType": ["instance", "disk", "snapshot", "image"],
        "ResourceGroupId": ["rg-tests"],
        "OSSBucket": ["bucket"],
        "OSSObject": ["object"],
        "InstanceType": ["ecs.t5-lc1m1.small", "ecs.g6.xlarge", "ecs.c8y.small"],
        "ZoneId": ["cn-qingdao-env17-d01-a"],
    }
