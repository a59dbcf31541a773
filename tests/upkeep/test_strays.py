"""fsck and what no row explains: nothing that is named is dropped, and what nobody knows is moved, not lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kiln.declare.facts import read
from kiln.operations.steps.capture import CaptureFacts
from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from kiln.store.volumes import volumes
from kiln.upkeep.findings import Finding, is_well
from kiln.upkeep.fsck import fsck
from kiln.upkeep.sweep import sweep
from tests.clouds import Cloud
from tests.stock import a_disk, a_snapshot, an_instance

MIB = 1024 * 1024


def look(cloud: Cloud, *, repair: bool = True) -> list[Finding]:
    return fsck(cloud.ports, repair=repair, say=lambda _: None)


def sorts(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.sort, finding.subject) for finding in found]


def file_of(cloud: Cloud, volume: str) -> Path:
    return cloud.folder / "pool" / f"{volume}.qcow2"


def rows(cloud: Cloud) -> dict:
    with cloud.ports.database.read() as tx:
        return {row.id: (row.state, row.kind, row.parent, row.size_bytes, row.task) for row in volumes.all(tx)}


def forget(cloud: Cloud, volume: str) -> None:
    cloud.ports.database.write(lambda tx: volumes.delete(tx, id=volume))


def lost(cloud: Cloud) -> list[str]:
    folder = cloud.folder / "pool" / "lost+found"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def a_chain(cloud: Cloud) -> list[str]:
    """The volumes of a disk that was captured twice, the head last."""
    instance = an_instance(cloud)
    for _ in range(2):
        cloud.call("CreateImage", InstanceId=instance.id)
        cloud.settle()
    with cloud.ports.database.read() as tx:
        (disk,) = disks.all(tx, instance=instance.id)
    chain = [disk.volume]
    while (parent := cloud.ports.pool.parent(chain[0])) is not None:
        chain.insert(0, parent)
    return chain


@pytest.mark.parametrize("repair", [True, False])
def test_writes_the_row_of_an_images_layer_again(cloud, repair):
    snapshot = a_snapshot(cloud)
    cloud.call("CreateImage", SnapshotId=snapshot.id)
    before = rows(cloud)
    bytes_before = file_of(cloud, snapshot.volume).read_bytes()
    forget(cloud, snapshot.volume)

    found = look(cloud, repair=repair)

    assert sorts(found) == [("repaired" if repair else "repairable", snapshot.volume)]
    assert snapshot.id in found[0].text
    assert is_well(found) is repair
    assert rows(cloud) == (before if repair else {})
    assert look(cloud, repair=repair) == ([] if repair else found)
    sweep(cloud.ports)
    assert file_of(cloud, snapshot.volume).read_bytes() == bytes_before


def test_writes_the_rows_of_a_whole_chain_again(cloud):
    chain = a_chain(cloud)
    before = rows(cloud)
    for volume in chain:
        forget(cloud, volume)

    found = look(cloud)

    assert sorts(found) == [("repaired", volume) for volume in chain]
    assert rows(cloud) == before
    assert look(cloud) == []


def test_writes_the_row_of_what_only_a_file_stands_on(cloud):
    """Snapshots and the rows above it are gone; a known head's header alone still names it."""
    low, middle, head = a_chain(cloud)
    before = rows(cloud)

    def damage(tx):
        snapshots.delete(tx, snapshots.c.volume.in_([low, middle]))
        volumes.delete(tx, volumes.c.id.in_([low, middle]))

    cloud.ports.database.write(damage)

    found = look(cloud)

    assert ("repaired", low) in sorts(found)
    assert ("repaired", middle) in sorts(found)
    assert rows(cloud) == before
    assert cloud.ports.pool.exists(head)


def _no_header(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(b"\0" * path.stat().st_size)


def _another_size(path: Path) -> None:
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(24)  # The virtual size: see bytes-on-disk.md.
        file.write((7 * MIB).to_bytes(8, "big"))


@pytest.mark.parametrize("damage", [_no_header, _another_size])
def test_leaves_a_named_volume_alone_of_which_no_row_can_be_written(cloud, damage):
    snapshot = a_snapshot(cloud)
    forget(cloud, snapshot.volume)
    damage(file_of(cloud, snapshot.volume))

    found = look(cloud)

    assert sorts(found) == [("broken", snapshot.volume)]
    assert "left alone" in found[0].text
    assert cloud.ports.pool.exists(snapshot.volume)
    assert rows(cloud) == {}


def test_leaves_a_named_volume_alone_whose_parent_is_missing(cloud):
    low, middle, head = a_chain(cloud)
    for volume in (low, middle):
        forget(cloud, volume)
    file_of(cloud, low).unlink()

    found = look(cloud)

    assert ("broken", middle) in sorts(found)
    assert not any(sort == "repaired" for sort, _ in sorts(found))
    assert cloud.ports.pool.exists(middle)
    assert cloud.ports.pool.exists(head)


def test_leaves_a_volume_alone_that_an_open_task_names(cloud):
    instance = an_instance(cloud)
    cloud.call("CreateImage", InstanceId=instance.id)
    (captured,) = read(CaptureFacts, cloud.open_tasks()[0].payload)[0].disks
    head, heir = captured.head, captured.heir
    cloud.ports.pool.clone(head, heir, cloud.ports.pool.size(head))
    forget(cloud, heir)

    found = look(cloud)

    assert ("broken", heir) in sorts(found)
    assert cloud.ports.pool.exists(heir)


@pytest.mark.parametrize(("repair", "said"), [(True, "moved to "), (False, "would be moved out of the pool")])
def test_claims_nothing_that_it_did_not_do(cloud, repair, said):
    cloud.ports.pool.create("v-stray", MIB)

    found = look(cloud, repair=repair)

    assert [said in finding.text for finding in found] == [True]
    assert is_well(found) is repair
    assert cloud.ports.pool.exists("v-stray") is not repair


def test_moves_volumes_that_nobody_knows_and_loses_nothing(cloud):
    """Those that stand on each other do so where they come to lie, too."""
    cloud.ports.pool.create("v-one", MIB)
    cloud.ports.pool.clone("v-one", "v-two", MIB)
    before = {volume: file_of(cloud, volume).read_bytes() for volume in ("v-one", "v-two")}

    found = look(cloud)

    folder = cloud.folder / "pool" / "lost+found"
    assert sorts(found) == [("repaired", "v-two"), ("repaired", "v-one")]
    assert all(str(folder / f"{f.subject}.qcow2") in f.text for f in found)
    assert {volume: (folder / f"{volume}.qcow2").read_bytes() for volume in before} == before
    assert look(cloud) == []


def test_moves_nothing_over_what_was_moved_before(cloud):
    for _ in range(3):
        cloud.ports.pool.create("v-stray", MIB)
        assert sorts(look(cloud)) == [("repaired", "v-stray")]

    assert lost(cloud) == ["v-stray.qcow2", "v-stray.qcow2.1", "v-stray.qcow2.2"]


def test_moves_what_stands_on_itself(cloud):
    cloud.ports.pool.create("v-one", MIB)
    cloud.ports.pool.clone("v-one", "v-two", MIB)
    file_of(cloud, "v-one").unlink()
    shutil.copy(file_of(cloud, "v-two"), file_of(cloud, "v-one"))
    raw = file_of(cloud, "v-one").read_bytes().replace(b"v-one.qcow2", b"v-two.qcow2")
    file_of(cloud, "v-one").write_bytes(raw)

    assert {sort for sort, _ in sorts(look(cloud))} == {"repaired"}
    assert lost(cloud) == ["v-one.qcow2", "v-two.qcow2"]


@pytest.mark.parametrize("name", ["x.qcow2", "folder", "copy of (1).qcow2", "random.txt", "pipe.qcow2", "link.qcow2"])
@pytest.mark.parametrize("repair", [True, False])
def test_explains_what_is_no_volume(cloud, name, repair):
    path = cloud.folder / "pool" / name
    make = {
        "x.qcow2": path.mkdir,
        "folder": path.mkdir,
        "pipe.qcow2": lambda: os.mkfifo(path),
        "link.qcow2": lambda: path.symlink_to("nowhere"),
    }
    make.get(name, path.touch)()

    found = look(cloud, repair=repair)

    assert sorts(found) == [("repaired" if repair else "repairable", name)]
    assert "is no volume" in found[0].text
    assert os.path.lexists(path) is not repair
    assert lost(cloud) == ([name] if repair else [])


def test_passes_over_the_file_systems_own_folder(cloud):
    (cloud.folder / "pool" / "lost+found").mkdir()
    (cloud.folder / "pool" / ".nfs0001").touch()

    assert look(cloud) == []


def test_leaves_alone_what_lies_where_a_volume_should(cloud):
    disk = a_disk(cloud)
    file_of(cloud, disk.volume).unlink()
    file_of(cloud, disk.volume).mkdir()

    found = look(cloud)

    assert {finding.sort for finding in found} == {"broken"}
    assert {finding.subject for finding in found} == {f"{disk.volume}.qcow2", disk.volume, disk.id}
    assert file_of(cloud, disk.volume).is_dir()


def test_says_what_it_could_not_move(cloud):
    (cloud.folder / "pool" / "lost+found").touch()
    cloud.ports.pool.create("v-stray", MIB)

    found = look(cloud)

    assert ("broken", "v-stray") in sorts(found)
    assert cloud.ports.pool.exists("v-stray")
