"""What was planned and has lost its row: a record that could not be read when the database was written again."""

from __future__ import annotations

import pytest

from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.upkeep.findings import is_well
from kiln.upkeep.fsck import fsck
from kiln.upkeep.sweep import sweep
from tests.beginnings import BEGINNINGS
from tests.kill.kilns import settle
from tests.reading import every
from tests.tools import needs

PLANNING = (
    *(
        "CreateImage",
        "CreateSnapshot",
        "CreateSnapshotGroup",
        "ImportImage",
        "RunInstances",
        "CreateInstance",
        "CreateDisk",
        "ResetDisk",
    ),
    *("ReInitDisk", "ReplaceSystemDisk", "RestoreTrash"),
)


def forget_planned(cloud):
    """Take away the rows of what is to be made; returns their IDs."""
    planned = [row.id for row in every(cloud, volumes, state="planned")]
    cloud.ports.database.write(lambda tx: volumes.delete(tx, state="planned"))
    return planned


@pytest.mark.parametrize("action", PLANNING)
def test_has_its_row_again_once_something_names_it(cloud, action):
    needs("qemu-img", "qemu-io")
    BEGINNINGS[action](cloud)
    planned = forget_planned(cloud)
    assert planned

    settle(cloud)

    assert every(cloud, tasks, status="Failed") == []
    rows = {row.id: row for row in every(cloud, volumes)}
    named = {one.volume for one in (*every(cloud, disks), *every(cloud, snapshots))} - {None}
    assert set(planned) <= named
    assert named <= rows.keys()
    for one in planned:
        assert (rows[one].state, rows[one].task) == ("ready", None)
        assert rows[one].parent == cloud.ports.pool.parent(one)
        assert rows[one].size_bytes == cloud.ports.pool.size(one)
    assert is_well(fsck(cloud.ports, repair=False, say=lambda _: None))


def test_keeps_what_it_stands_on(cloud):
    """An heir without a row let its layer be taken for something on which nothing stands."""
    needs("qemu-img", "qemu-io")
    begun = BEGINNINGS["CreateSnapshot"](cloud)
    (heir,) = forget_planned(cloud)
    settle(cloud)
    (layer,) = [row.volume for row in every(cloud, snapshots, id=begun["SnapshotId"])]

    cloud.call("DeleteSnapshot", SnapshotId=begun["SnapshotId"])
    sweep(cloud.ports)

    assert [row.id for row in every(cloud, volumes, parent=layer)] == [heir]
    assert [row.state for row in every(cloud, volumes, id=layer)] == ["ready"]
