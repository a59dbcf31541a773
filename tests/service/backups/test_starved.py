"""A backup comes to its end whatever tenants do meanwhile, and keeps of each instance what can be kept."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager

import pytest

from kiln.declare.errors import ApiError
from kiln.declare.states import DiskStatus
from kiln.ground import killpoints
from kiln.ground.units import GiB
from kiln.pools import overlay
from kiln.service.backups.errors import BackupRefused
from kiln.service.backups.examining import examine
from kiln.service.backups.holding import Holder
from kiln.service.backups.moments import Moments
from kiln.service.backups.restoring import restore
from kiln.store.disks import disks
from kiln.store.instances import instances
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.upkeep.fsck import fsck
from kiln.upkeep.moment import MOMENT, WANTED_S, told_by
from tests.pools.patterns import holds, put
from tests.service.backups.kept import back_up, hold_their_bytes, put_back, run_all, served, silent
from tests.service.pairs import Home, as_cloud
from tests.stock import a_disk, an_instance
from tests.tools import needs
from tests.waiting import wait_for

KEY = "11111111-2222-3333-4444-555555555555"


def heads_of(cloud, instance=None):
    """The heads of an instance, or of all, by device."""
    with cloud.ports.database.read() as tx:
        found = [disk for disk in disks.all(tx) if disk.instance and instance in (None, disk.instance)]
    return [disk.volume for disk in sorted(found, key=lambda disk: disk.device)]


def the_instance(cloud):
    with cloud.ports.database.read() as tx:
        (row,) = instances.all(tx)
    return row.id


def open_moments(cloud):
    return [task for task in cloud.open_tasks() if task.action == MOMENT]


@contextmanager
def once_at(point, act):
    """Do something when the process first passes a kill point."""
    left = [act]

    def reach(passed):
        if passed == point and left:
            left.pop()()

    killpoints.listen(reach)
    try:
        yield
    finally:
        killpoints.listen(None)
    assert not left


@contextmanager
def killed_afterwards(act):
    """Do something in a process of its own, and kill it."""
    child = os.fork()
    if not child:
        try:
            act()
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.slow
def test_an_owner_who_captures_without_a_pause_keeps_no_backup_from_being_made(home, tmp_path):
    over = threading.Event()

    def flood(cloud, instance):
        while not over.is_set():
            try:
                cloud.call("CreateImage", InstanceId=instance)
            except ApiError:
                continue

    with served(home) as cloud:
        run_all(cloud)
        instance = the_instance(cloud)
        owners = [threading.Thread(target=flood, args=(cloud, instance)) for _ in range(4)]
        for one in owners:
            one.start()
        try:
            taken = back_up(home, tmp_path / "backups", timeout_s=300.0)
        finally:
            over.set()
            for one in owners:
                one.join()
    assert taken.manifest.missed == {}
    assert list(taken.manifest.moments) == [instance]
    assert list(examine(taken.path, taken.manifest, silent)) == []
    assert hold_their_bytes(put_back(taken.path, tmp_path / "again"))


def test_captures_after_its_moment_are_kept_beside_it(home, tmp_path):
    """Of what the instance was captured as since, and is to be captured as, images come; its disks are as they were."""
    turn = threading.Lock()
    images = []

    def capture_again():
        turn.acquire()
        for n, head in enumerate(heads_of(cloud)):
            put(cloud.ports.pool, head, {0: n + 11})
        images.append(cloud.call("CreateImage", InstanceId=the_instance(cloud), ImageName="since")["ImageId"])
        cloud.settle()
        for head in heads_of(cloud):
            put(cloud.ports.pool, head, {0: 9})
        images.append(cloud.call("CreateImage", InstanceId=the_instance(cloud), ImageName="under-way")["ImageId"])

    with served(home, turn) as cloud:
        run_all(cloud)
        with once_at("backup.file.before", capture_again):
            taken = back_up(home, tmp_path / "backups")
        turn.release()

    assert taken.manifest.missed == {}
    again = put_back(taken.path, tmp_path / "again")
    with again.started() as it:
        cloud = as_cloud(it)
        cloud.settle()
        found = [cloud.call("DescribeImages", ImageId=image)["Images"]["Image"][0] for image in images]
        assert [image["Status"] for image in found] == ["Available", "Available"]
        assert [bytes_of(it, image) for image in found] == [[11, 12, 13], [1, 2, 3]]
    assert hold_their_bytes(again)


def bytes_of(it, image):
    """What the disks of an image are filled with."""
    named = [one["SnapshotId"] for one in image["DiskDeviceMappings"]["DiskDeviceMapping"]]
    with it.database.read() as tx:
        layers = [snapshots.find(tx, id=one).volume for one in named]
    return sorted(n for layer in layers for n in (1, 2, 3, 11, 12, 13) if holds(it.pool, layer, {0: n}))


def test_the_fresh_head_of_an_encrypted_disk_that_has_grown_is_encrypted_and_grown(tmp_path):
    needs("qemu-img", "qemu-io")
    home, turn = Home(tmp_path / "home"), threading.Lock()

    def grow():
        turn.acquire()
        cloud.call("ResizeDisk", DiskId=disk.id, NewSize=disk.size_gib + 1, Type="online")
        cloud.settle()
        cloud.call("CreateImage", InstanceId=instance.id)
        cloud.settle()

    with served(home, turn) as cloud:
        with turn:
            instance = an_instance(cloud, account=cloud.account)
            more = {"type": "data", "device": "/dev/xvdb", "status": DiskStatus.IN_USE, "instance": instance.id}
            disk = a_disk(cloud, account=cloud.account, kms_key=KEY, **more)
            put(cloud.ports.pool, disk.volume, {0: 5})
        run_all(cloud)
        with once_at("backup.file.before", grow):
            taken = back_up(home, tmp_path / "backups")
        turn.release()
    assert taken.manifest.missed == {}
    again = put_back(taken.path, tmp_path / "again")
    with again.started() as it:
        with it.database.read() as tx:
            row = disks.find(tx, id=disk.id)
        assert row.size_gib == disk.size_gib + 1
        assert it.pool.size(row.volume) == row.size_gib * GiB
        assert overlay.read(again.pool / f"{row.volume}.qcow2").lock.key == KEY
        assert holds(it.pool, row.volume, {0: 5})


def test_what_cannot_be_captured_in_time_is_kept_as_of_its_last_capture(home, tmp_path):
    with home.started() as it:  # Nobody carries anything out.
        cloud = as_cloud(it)
        run_all(cloud)
        for head in heads_of(cloud):
            put(it.pool, head, {1: 9})
        taken = back_up(home, tmp_path / "backups", timeout_s=0.2)

        assert taken.manifest.moments == {}
        assert taken.manifest.missed == {the_instance(cloud): "it could not be captured in time"}
        assert any(the_instance(cloud) in what for what in taken.manifest.lacks)
        before = heads_of(cloud)
        cloud.settle()
        assert (open_moments(cloud), heads_of(cloud)) == ([], before)  # What was asked for was taken back.
    assert hold_their_bytes(put_back(taken.path, tmp_path / "again"))


def test_one_that_cannot_be_captured_keeps_no_other_from_being_kept(home, tmp_path):
    with served(home) as cloud:
        other = an_instance(cloud, account=cloud.account)
        run_all(cloud)
        (broken,) = heads_of(cloud, other.id)
        (home.pool / f"{broken}.qcow2").write_bytes(b"")
        taken = back_up(home, tmp_path / "backups")

    assert list(taken.manifest.missed) == [other.id]
    assert taken.manifest.missed[other.id].startswith("it could not be captured: ")
    assert len(taken.manifest.moments) == 1
    put_back(taken.path, tmp_path / "again")


def break_header(home, volume):
    path = home.pool / f"{volume}.qcow2"
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.write(bytes(4))
    return path.read_bytes()


def name_itself(home, volume):
    overlay.write(home.pool / f"{volume}.qcow2", GiB, f"{volume}.qcow2", b"")


@pytest.mark.parametrize(("damage", "words"), [(break_header, "does not begin as"), (name_itself, "stands on itself")])
def test_a_head_at_rest_with_a_broken_header_is_kept_as_of_its_last_capture(home, tmp_path, damage, words):
    with home.started() as it:
        broken = heads_of(as_cloud(it))[0]
        damage(home, broken)
        taken = back_up(home, tmp_path / "backups")
        instance = the_instance(as_cloud(it))

    assert (list(taken.manifest.missed), taken.manifest.is_whole) == ([instance], False)
    assert f"cannot be read: {broken} {words}" in taken.manifest.missed[instance]
    assert hold_their_bytes(put_back(taken.path, tmp_path / "again"))


def test_what_was_captured_and_broken_then_is_missed_and_copied_as_it_lies(home, tmp_path):
    with served(home) as cloud:
        run_all(cloud)
        broken = heads_of(cloud)[0]
        with once_at("capture.frozen", lambda: break_header(home, broken)):
            taken = back_up(home, tmp_path / "backups")
        instance = the_instance(cloud)

    assert f"cannot be read: {broken} does not begin as" in taken.manifest.missed[instance]
    assert list(taken.manifest.broken) == [broken]
    assert list(examine(taken.path, taken.manifest, silent)) == []


def test_a_layer_with_a_broken_header_is_copied_as_it_lies_and_told_of_as_before(home, tmp_path):
    def told(where):
        with where.started() as it:
            return {(one.sort, one.subject, one.text) for one in fsck(it.ports, repair=False, say=silent)}

    with home.started() as it, it.database.read() as tx:
        layer = volumes.find(tx, id=heads_of(as_cloud(it))[0]).parent
    raw = break_header(home, layer)
    taken = back_up(home, tmp_path / "backups")

    assert (taken.manifest.missed, list(taken.manifest.broken), taken.manifest.is_whole) == ({}, [layer], False)
    assert any(f"a sound {layer}" in what for what in taken.manifest.lacks)
    again = Home(tmp_path / "again")
    restore(again.settings, taken.path, silent)
    assert (again.pool / f"{layer}.qcow2").read_bytes() == raw
    assert told(again) == told(home)
    assert any(layer in subject for _, subject, _ in told(again))


def test_what_is_waited_for_is_said_to_be_wanted_again_and_again(home):
    """Else what waits longer than it was wanted at first would end without anything."""
    with home.started() as it, Holder(home.pool) as holder:
        cloud, now = as_cloud(it), [time.time()]
        run_all(cloud)
        instance = the_instance(cloud)
        with Moments(home.settings, it.database, lambda: now[0], 60.0, renewed_s=0.0) as moments:
            asking = threading.Thread(target=moments.keep, args=([instance], holder))
            asking.start()
            try:
                (task,) = wait_for(lambda: open_moments(cloud))
                for _ in range(3):
                    now[0] += WANTED_S - 5
                    wait_for(lambda: told_by(the_task(cloud, task.id)).until == now[0] + WANTED_S)
                cloud.refit(clock=lambda: now[0])
                cloud.settle()
            finally:
                asking.join()
        assert moments.kept[instance] == told_by(the_task(cloud, task.id))
        assert moments.kept[instance].disks


def the_task(cloud, task):
    with cloud.ports.database.read() as tx:
        return tasks.find(tx, id=task)


def test_who_is_to_be_left_out_is_not_asked_for(home, tmp_path):
    with home.started() as it:
        cloud = as_cloud(it)
        run_all(cloud)
        taken = back_up(home, tmp_path / "backups", without=(the_instance(cloud),))
        assert list(taken.manifest.missed) == [the_instance(cloud)]
        assert open_moments(cloud) == []
        with pytest.raises(BackupRefused, match="no instance i-nobody"):
            back_up(home, tmp_path / "backups", without=("i-nobody",))
    assert hold_their_bytes(put_back(taken.path, tmp_path / "again"))


def test_a_disk_at_rest_that_is_written_again_and_again_is_captured(home, tmp_path):
    """As of an instance that its owner starts and stops without a pause."""

    def write(point):
        if point == "backup.database.copied":
            for head in heads_of(cloud):
                os.utime(home.pool / f"{head}.qcow2")

    with served(home) as cloud:
        killpoints.listen(write)
        try:
            taken = back_up(home, tmp_path / "backups")
        finally:
            killpoints.listen(None)
    assert taken.manifest.missed == {}
    assert hold_their_bytes(put_back(taken.path, tmp_path / "again"))


@pytest.mark.parametrize("point", ["backup.database.copied", "backup.file.copied"])
def test_a_disk_that_is_always_written_is_missed_when_the_time_is_over(home, tmp_path, point):
    def write(passed):
        if passed == point:
            for path in home.pool.glob("*.qcow2"):
                if path.stat().st_mode & 0o200:
                    os.utime(path)

    killpoints.listen(write)
    try:
        taken = back_up(home, tmp_path / "backups", timeout_s=0.2)
    finally:
        killpoints.listen(None)
    assert "it was written all the time" in taken.manifest.missed.values()
    assert list(examine(taken.path, taken.manifest, silent)) == []
    assert hold_their_bytes(put_back(taken.path, tmp_path / "again"))


def test_what_a_killed_backup_asked_for_ends_without_anything(home, tmp_path):
    with home.started() as it:
        cloud = as_cloud(it)
        run_all(cloud)
        before = heads_of(cloud)
        with killed_afterwards(lambda: back_up(home, tmp_path / "backups")):
            wait_for(lambda: open_moments(cloud))
        assert len(open_moments(cloud)) == 1
        cloud.refit(clock=lambda: time.time() + WANTED_S + 1)
        cloud.settle()
        assert (open_moments(cloud), heads_of(cloud)) == ([], before)
