"""A Kiln in which every request is answered and none leaves a trace, so that each example stands for itself."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kiln.operations import BY_NAME
from kiln.store import schema
from kiln.store.database import Database, Rollback, open_sqlite
from kiln.wire.dispatch import Dispatcher
from kiln.wire.gateway import Gateway
from kiln.wire.nonces import MemoryNonces
from tests.clouds import make_cloud
from tests.fuzz.target import OneAccount, Target
from tests.stock import a_disk, a_snapshot, an_instance


class Forgetful(Database):
    """Writes as it should, and then takes everything back."""

    is_forgetful = False

    def write(self, work):
        if not self.is_forgetful:
            return super().write(work)

        def rehearse(tx):
            raise Rollback(work(tx))

        return super().write(rehearse)


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
    gateway = Gateway(Dispatcher(BY_NAME, cloud.ports), OneAccount(), MemoryNonces(), cloud.clock)
    yield Target(gateway=gateway, clock=cloud.clock, known=known)
    opened.close()


def _stock(cloud) -> Mapping[str, list[str]]:
    """One of everything, by the ends of the parameters that may name it."""
    stopped, running = an_instance(cloud, data_disks=1), an_instance(cloud, status="Running")
    disk = a_disk(cloud)
    system, data = a_snapshot(cloud), a_snapshot(cloud, source_disk_type="data", source_disk_size_gib=40)
    image = cloud.call("CreateImage", {"Tag.1.Key": "k", "Tag.1.Value": "v"}, SnapshotId=system.id, ImageName="one")
    creating = cloud.call("CreateImage", InstanceId=stopped.id, ImageName="two")
    (bucket := cloud.folder / "buckets" / "bucket").mkdir()
    (bucket / "object").write_bytes(b"not an image")
    instances, snapshots = [stopped.id, running.id], [system.id, data.id]
    images = [image["ImageId"], creating["ImageId"]]
    task = [task.id for task in cloud.open_tasks()]
    return {
        "InstanceId": instances,
        "DiskId": [disk.id],
        "SnapshotId": snapshots,
        "ImageId": images,
        "TaskId": task,
        "ResourceId": [*instances, disk.id, *snapshots, *images],
        "ResourceGroupId": ["rg-tests"],
        "OSSBucket": ["bucket"],
        "OSSObject": ["object"],
        "ZoneId": ["cn-qingdao-env17-d01-a"],
    }
