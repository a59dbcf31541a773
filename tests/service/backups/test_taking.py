"""A backup is one moment of a whole Kiln, whatever goes on meanwhile; what fails leaves the last good one whole."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sqlite3
import subprocess
from functools import partial

import pytest
from sqlalchemy import text

from kiln.ground import killpoints
from kiln.service.backups import finding, manifest
from kiln.service.backups.errors import BackupBroken, BackupRefused, NotKept
from kiln.service.backups.examining import examine
from kiln.service.backups.restoring import examine_restored, restore
from kiln.service.errors import DeploymentRefused
from kiln.service.rebuilding import rebuilt
from kiln.store.database import open_postgresql
from kiln.store.disks import disks
from kiln.store.instances import instances
from kiln.store.snapshots import snapshots
from kiln.store.volumes import volumes
from kiln.upkeep.findings import is_well
from kiln.upkeep.fsck import fsck
from kiln.upkeep.sweep import sweep
from tests.pools.kills import killed_at, points_of
from tests.pools.patterns import put
from tests.service.backups.kept import back_up, hold_their_bytes, put_back, run_all, served, silent
from tests.service.pairs import Home, as_cloud
from tests.service.test_rebuilding import answers
from tests.stock import an_instance
from tests.tools import needs


def test_what_is_put_back_answers_as_before(home, tmp_path):
    with home.started() as it:
        said = answers(as_cloud(it))

    taken = back_up(home, tmp_path / "backups")

    assert list(examine(taken.path, taken.manifest, silent)) == []
    again = put_back(taken.path, tmp_path / "again")
    with again.started() as it:
        assert answers(as_cloud(it)) == said
    assert hold_their_bytes(again)


def test_what_an_instance_writes_after_its_moment_is_not_in_it(home, tmp_path):
    with served(home) as cloud:
        run_all(cloud)
        taken = back_up(home, tmp_path / "backups")
        with cloud.ports.database.read() as tx:
            heads = [disk.volume for disk in disks.all(tx) if disk.instance]
        for head in heads:
            put(cloud.ports.pool, head, {0: 9})

    assert list(taken.manifest.moments) == [row.id for row in _instances(home)]
    assert hold_their_bytes(put_back(taken.path, tmp_path / "again"))


def _instances(home):
    with home.started() as it, it.database.read() as tx:
        return instances.all(tx)


def test_a_moment_leaves_no_snapshot_and_chains_that_the_sweeper_shortens(home, tmp_path):
    with served(home) as cloud:
        run_all(cloud)
        with cloud.ports.database.read() as tx:
            before = snapshots.count(tx), volumes.count(tx)
        back_up(home, tmp_path / "backups")
        back_up(home, tmp_path / "backups")
    with home.started() as it:
        cloud = as_cloud(it)
        for _ in range(5):
            sweep(it.ports)
            cloud.settle()
        sweep(it.ports)
        with it.database.read() as tx:
            assert (snapshots.count(tx), volumes.count(tx)) == before


def test_merges_that_go_on_meanwhile_take_nothing_away(home, tmp_path):
    """The sweeper merges what was captured and drops it, right after the backup has it open."""
    with served(home) as cloud:
        run_all(cloud)

        def merge(point):
            if point == "backup.database.copied":
                for _ in range(4):
                    sweep(cloud.ports)
                    cloud.settle()

        killpoints.listen(merge)
        try:
            taken = back_up(home, tmp_path / "backups")
        finally:
            killpoints.listen(None)
    assert hold_their_bytes(put_back(taken.path, tmp_path / "again"))


def test_the_second_copies_only_what_is_new(home, tmp_path):
    one = back_up(home, tmp_path / "backups")
    two = back_up(home, tmp_path / "backups")

    assert one.copied_bytes > 0
    assert two.copied_bytes == 0
    shared = [name for name in two.manifest.files if name.startswith(manifest.VOLUMES)]
    assert all((one.path / name).samefile(two.path / name) for name in shared)
    shutil.rmtree(one.path)
    assert hold_their_bytes(put_back(two.path, tmp_path / "again"))


def test_a_disk_that_is_written_while_it_is_copied_is_copied_again_as_often_as_it_takes(home, tmp_path):
    left = 12

    def write(point):
        nonlocal left
        if point == "backup.database.copied" and left:
            left -= 1
            os.utime(next(iter(_heads(home))))

    killpoints.listen(write)
    try:
        taken = back_up(home, tmp_path / "backups")
    finally:
        killpoints.listen(None)
    assert not left
    assert hold_their_bytes(put_back(taken.path, tmp_path / "again"))


def _heads(home):
    return [path for path in sorted(home.pool.glob("*.qcow2")) if path.stat().st_mode & 0o200]


def test_a_machine_that_runs_while_kiln_does_not_is_named(home, tmp_path):
    needs("qemu-io")
    with home.started() as it:
        run_all(as_cloud(it))
        with it.database.read() as tx:
            disk = next(disk for disk in disks.all(tx) if disk.instance)
    path = home.pool / f"{disk.volume}.qcow2"
    with subprocess.Popen(["qemu-io", "-f", "qcow2", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as machine:
        assert machine.stdout.read(8) == b"qemu-io>"
        with pytest.raises(NotKept, match=disk.instance):
            back_up(home, tmp_path / "backups")
        machine.stdin.close()
    assert finding.names(tmp_path / "backups") == []
    back_up(home, tmp_path / "backups")  # A row that says so without a machine is what a power cut leaves.


def test_secrets_are_left_out_where_that_is_wanted_and_it_is_said(home, tmp_path):
    with_them = back_up(home, tmp_path / "one")
    without = back_up(home, tmp_path / "two", with_secrets=False)

    assert "keys/master.key" in with_them.manifest.files
    assert not any(name.startswith(manifest.KEYS) for name in without.manifest.files)
    assert any("master.key" in what for what in without.manifest.left_out)
    secrets = [(home.data / name).read_bytes() for name in ("master.key", "volumes.key")]
    for path in without.path.rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets)


def test_buckets_are_kept_with_what_is_known_of_their_objects(home, tmp_path):
    folder = home.data / "buckets" / "b"
    os.setxattr(folder / "o", "user.kiln.object", b"{}")
    (folder / ".tmp-half").write_bytes(b"half")

    taken = back_up(home, tmp_path / "backups", with_buckets=True)
    again = put_back(taken.path, tmp_path / "again")

    there = again.data / "buckets" / "b"
    assert [path.name for path in there.iterdir()] == ["o"]
    assert (there / "o").read_bytes() == (folder / "o").read_bytes()
    assert (there / "o").stat().st_mtime_ns == (folder / "o").stat().st_mtime_ns
    assert os.getxattr(there / "o", "user.kiln.object") == b"{}"


def test_objects_in_folders_are_kept_and_links_are_not(home, tmp_path):
    folder = home.data / "buckets" / "b"
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "deep" / "one").write_bytes(b"one")
    (folder / "deep" / "deeper" / "two").write_bytes(b"two")
    (folder / "elsewhere").symlink_to("/etc")

    taken = back_up(home, tmp_path / "backups", with_buckets=True)

    assert list(examine(taken.path, taken.manifest, silent)) == []
    there = put_back(taken.path, tmp_path / "again").data / "buckets" / "b"
    found = {str(path.relative_to(there)): path.read_bytes() for path in there.rglob("*") if path.is_file()}
    assert found == {"o": (folder / "o").read_bytes(), "deep/one": b"one", "deep/deeper/two": b"two"}


def test_an_object_for_which_there_is_no_room_is_not_passed_over(home, tmp_path):
    def fill_up(point):
        if point == "backup.file.before" and (tmp_path / "backups" / ".tmp-backup" / "buckets").is_dir():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    killpoints.listen(fill_up)
    try:
        with pytest.raises(OSError, match="No space left"):
            back_up(home, tmp_path / "backups", with_buckets=True)
    finally:
        killpoints.listen(None)
    assert list((tmp_path / "backups").iterdir()) == []


def test_what_was_found_broken_or_written_since_is_copied_anew(home, tmp_path):
    def spoil(taken, nth, *, when=None):
        path = sorted((taken.path / manifest.VOLUMES).iterdir())[nth]
        before = path.stat()
        flip_in(path)
        if when is not None:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return f"{manifest.VOLUMES}/{path.name}"

    one = back_up(home, tmp_path / "backups")
    names = {spoil(one, 0, when="unseen"), spoil(one, 1)}
    assert {fault.split()[0] for fault in examine(one.path, one.manifest, silent)} == names
    two = back_up(home, tmp_path / "backups")

    assert list(examine(two.path, two.manifest, silent)) == []
    assert {name for name in two.manifest.files if not (one.path / name).samefile(two.path / name)} >= names
    spoil(two, 1)
    three = back_up(home, tmp_path / "backups")
    assert list(examine(three.path, three.manifest, silent)) == []


def test_the_newest_is_the_last_that_was_made_though_the_clock_was_set_back(home, tmp_path):
    one = back_up(home, tmp_path / "backups")
    one.path.rename(one.path.with_name("20991231T235959Z"))
    two = back_up(home, tmp_path / "backups")
    three = back_up(home, tmp_path / "backups")
    assert finding.names(tmp_path / "backups") == ["20991231T235959Z", two.path.name, three.path.name]
    assert finding.chosen(tmp_path / "backups") == three.path
    assert three.manifest.made_at < "2099"


def test_the_folder_of_backups_is_for_backups_alone(home, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("dear")
    for place in (tmp_path / "mine", home.data / "backups", home.data):
        with pytest.raises(BackupRefused):
            back_up(home, place)
    assert not (home.data / "backups").exists()


def test_a_full_disk_leaves_nothing_of_the_try(home, tmp_path):
    good = back_up(home, tmp_path / "backups")
    head = _heads(home)[0]
    os.utime(head)

    def fill_up(point):
        if point == "backup.file.copied":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    killpoints.listen(fill_up)
    try:
        with pytest.raises(OSError, match="No space left"):
            back_up(home, tmp_path / "backups")
    finally:
        killpoints.listen(None)
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [good.path.name]
    assert list(examine(good.path, good.manifest, silent)) == []


def first_and_last(points):
    """The places in *points* at which each of them is passed first and last."""
    return sorted({n for point in points for n in (points.index(point), len(points) - 1 - points[::-1].index(point))})


@pytest.mark.slow
def test_a_kill_at_any_point_leaves_the_last_good_one_whole(home, tmp_path):
    to, other = tmp_path / "backups", tmp_path / "other"
    good = back_up(home, to)
    back_up(home, other)

    def again(where):
        for head in _heads(home):
            os.utime(head)
        return lambda: back_up(home, where)

    points = points_of(again(other))
    for number in first_and_last(points):
        assert killed_at(number, again(to)), points[number]
        assert good.path.name in finding.names(to)
        for name in finding.names(to):
            assert list(examine(to / name, manifest.read(to / name), silent)) == [], points[number]
            if name != good.path.name:
                shutil.rmtree(to / name)
    assert hold_their_bytes(put_back(again(to)().path, tmp_path / "again"))


@pytest.mark.slow
def test_a_restore_that_is_killed_at_any_point_can_be_made_again(home, tmp_path):
    taken = back_up(home, tmp_path / "backups")
    points = points_of(lambda: restore(Home(tmp_path / "whole").settings, taken.path, silent))
    for number in first_and_last(points):
        there = Home(tmp_path / f"at-{number}")
        assert killed_at(number, partial(restore, there.settings, taken.path, silent)), points[number]
        if not (there.data / "kiln.sqlite").exists():
            before = there.content()
            for begin in (there.started, partial(rebuilt, there.settings)):
                with pytest.raises(DeploymentRefused, match="`kiln restore FROM`"), begin():
                    pass
            assert there.content() == before
            restore(there.settings, taken.path, silent)
        with there.started() as it:
            assert is_well(fsck(it.ports, repair=True, say=silent))


def hostile(path, change):
    """A backup in which somebody has changed something."""
    copy = path.with_name("hostile")
    shutil.copytree(path, copy, symlinks=True)
    change(copy)
    return copy


def a_volume(folder):
    return min((folder / manifest.VOLUMES).iterdir())


def flip(folder):
    flip_in(a_volume(folder))


def flip_in(path):
    path.chmod(0o600)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def garble_database(folder):
    (folder / manifest.DATABASE).write_bytes(b"none" * 4096)


def cut(folder):
    os.truncate(a_volume(folder), 4096)


def remove(folder):
    a_volume(folder).unlink()


def link(folder):
    target = a_volume(folder)
    target.rename(folder.parent / "elsewhere")
    target.symlink_to(folder.parent / "elsewhere")


def link_folder(folder):
    (folder / manifest.VOLUMES).rename(folder.parent / "volumes-elsewhere")
    (folder / manifest.VOLUMES).symlink_to(folder.parent / "volumes-elsewhere")


def change_manifest(folder):
    said = (folder / manifest.FILE).read_text()
    (folder / manifest.FILE).write_text(said.replace('"generation": 1', '"generation": 7'))


def cut_manifest(folder):
    os.truncate(folder / manifest.FILE, 100)


@pytest.mark.parametrize(
    "change", [flip, cut, remove, link, link_folder, garble_database, change_manifest, cut_manifest]
)
def test_what_is_not_what_was_written_is_refused(home, tmp_path, change):
    path = hostile(back_up(home, tmp_path / "backups").path, change)

    with pytest.raises(BackupBroken):
        restore(Home(tmp_path / "again").settings, path, silent)
    assert list((tmp_path / "again").iterdir() if (tmp_path / "again").exists() else []) == []


@pytest.mark.parametrize(
    "name",
    [
        "../escaped",
        "/etc/escaped",
        "volumes/../../escaped.qcow2",
        "buckets/../escaped",
        "buckets/b/../../e",
        "kiln.env",
    ],
)
def test_names_that_lead_elsewhere_are_none(home, tmp_path, name):
    taken = back_up(home, tmp_path / "backups")
    files = dict(taken.manifest.files) | {name: taken.manifest.files[manifest.DATABASE]}
    said = {"format": manifest.FORMAT, **vars(taken.manifest) | {"files": {n: vars(e) for n, e in files.items()}}}
    (taken.path / manifest.FILE).write_text(json.dumps({**said, "checksum": manifest.checksum_of(said)}))
    with pytest.raises(BackupBroken, match="no file of a backup"):
        restore(Home(tmp_path / "again").settings, taken.path, silent)


def test_a_reader_passes_over_what_it_does_not_know_and_refuses_a_newer_format(home, tmp_path):
    taken = back_up(home, tmp_path / "backups")
    path = taken.path / manifest.FILE

    def say(**more):
        said = json.loads(path.read_text()) | more
        said.pop("checksum")
        path.write_text(json.dumps({**said, "checksum": manifest.checksum_of(said)}))

    files = json.loads(path.read_text())["files"]
    for stamp in ([1, 2, 10**30], [1, 2, -1]):
        say(files={**files, manifest.DATABASE: {**files[manifest.DATABASE], "source": stamp}})
        with pytest.raises(BackupBroken, match="a stamp is none"):
            manifest.read(taken.path)
    say(files=files)
    for name in ("missed", "broken", "moments"):
        for hostile_words in ("all", 7, None, ["i-1"], [["i-1", "why"]], {"i-1": 7}, {"i-1": None}, {"i-1": ["why"]}):
            say(**{name: hostile_words})
            with pytest.raises(BackupBroken, match="words by name are none"):
                manifest.read(taken.path)
        say(**{name: {}})
    say(colour="green")
    assert manifest.read(taken.path) == taken.manifest
    say(format=manifest.FORMAT + 1)
    with pytest.raises(BackupRefused, match="is of format 2"):
        manifest.read(taken.path)


def test_a_restore_that_was_killed_before_it_had_anything_is_told_as_that(tmp_path):
    home = Home(tmp_path / "home")
    (home.data / ".tmp-restore").mkdir(parents=True)
    with pytest.raises(DeploymentRefused, match="was cut short"), home.started():
        pass
    assert {path.name for path in home.data.iterdir()} == {".tmp-restore", "lock"}


def test_a_backup_of_a_newer_kiln_is_refused_as_that_and_not_as_damaged(home, tmp_path):
    taken = back_up(home, tmp_path / "backups")
    with contextlib.closing(sqlite3.connect(taken.path / manifest.DATABASE)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(BackupRefused, match="of a newer Kiln"):
        restore(Home(tmp_path / "again").settings, taken.path, silent)
    assert not (tmp_path / "again").exists()


def test_files_have_the_modes_that_they_are_to_have_and_a_manifest_can_give_no_others(home, tmp_path):
    taken = back_up(home, tmp_path / "backups")
    with home.started() as it, it.database.read() as tx:
        heads = {f"{disk.volume}.qcow2" for disk in disks.all(tx)}
    again = Home(tmp_path / "again")
    restore(again.settings, taken.path, silent)

    modes = {path.name: path.stat().st_mode & 0o777 for path in again.data.rglob("*") if path.is_file()}
    volumes_there = {name for name in modes if name.endswith(".qcow2")}
    assert {name for name in volumes_there if modes[name] == 0o600} == heads
    assert {modes[name] for name in volumes_there - heads} == {0o400}
    assert {modes[name] for name in ("master.key", "volumes.key", "kiln.sqlite", "identity")} == {0o600}

    said = json.loads((taken.path / manifest.FILE).read_text())
    for mode in (0o777, 0o4755, 0):
        said["files"][f"{manifest.KEYS}/master.key"]["mode"] = mode
        said.pop("checksum", None)
        (taken.path / manifest.FILE).write_text(json.dumps({**said, "checksum": manifest.checksum_of(said)}))
        with pytest.raises(BackupBroken, match="a mode or a stamp is none"):
            manifest.read(taken.path)


def test_what_lies_in_a_backup_and_is_none_of_it_is_named(home, tmp_path):
    taken = back_up(home, tmp_path / "backups")
    (taken.path / manifest.VOLUMES / "v-stray.qcow2").write_bytes(b"")
    (taken.path / "deeper").mkdir()
    (taken.path / "deeper" / "letter").write_text("dear")
    (taken.path / "elsewhere").symlink_to("/etc")
    found = list(examine(taken.path, taken.manifest, silent))
    strays = ("deeper/letter", "elsewhere", f"{manifest.VOLUMES}/v-stray.qcow2")
    assert found == [f"{name} is none of the backup's files" for name in strays]


def test_puts_nothing_into_a_folder_that_is_not_empty(home, tmp_path):
    taken = back_up(home, tmp_path / "backups")
    before = home.content()
    with pytest.raises(BackupRefused, match="not empty"):
        restore(home.settings, taken.path, silent)
    assert home.content() == before


def test_what_was_deleted_a_moment_before_is_not_named_by_records_of_before(home, tmp_path):
    with home.started(records=False) as it:
        cloud = as_cloud(it)
        (image,) = cloud.call("DescribeImages", ImageName="imported")["Images"]["Image"]
        (snapshot,) = image["DiskDeviceMappings"]["DiskDeviceMapping"]
        cloud.call("DeleteImage", ImageId=image["ImageId"])
        cloud.call("DeleteSnapshot", SnapshotId=snapshot["SnapshotId"])
        cloud.settle()

    again = Home(tmp_path / "again")
    restore(again.settings, back_up(home, tmp_path / "backups").path, silent)
    found = examine_restored(again.settings, silent)
    assert is_well(found), found


def test_a_kiln_that_was_made_of_half_a_restore_is_not_taken_away(home, tmp_path):
    """Somebody puts a database of his own where the one of the backup was not placed yet."""
    taken = back_up(home, tmp_path / "backups")
    there = Home(tmp_path / "again")
    points = points_of(lambda: restore(Home(tmp_path / "whole").settings, taken.path, silent))
    last = len(points) - 1 - points[::-1].index("restore_backup.placed")
    assert killed_at(last - 1, partial(restore, there.settings, taken.path, silent))
    assert not (there.data / "kiln.sqlite").exists()
    shutil.copy(home.data / "kiln.sqlite", there.data)
    before = there.content()

    with pytest.raises(BackupRefused, match="not empty"):
        restore(there.settings, taken.path, silent)
    assert there.content() == before


@pytest.mark.postgresql
def test_a_database_of_postgresql_is_kept_as_rows_and_put_back_into_an_empty_one(postgresql_address, tmp_path):
    needs("qemu-img")
    home = Home(tmp_path / "home", postgresql_address)
    with home.started() as it:
        cloud = as_cloud(it)
        an_instance(cloud, data_disks=1, account=cloud.account)
        said = answers(cloud)
    taken = back_up(home, tmp_path / "backups")

    with pytest.raises(BackupRefused, match="not empty"):
        restore(Home(tmp_path / "again", postgresql_address).settings, taken.path, silent)
    assert list((tmp_path / "again").iterdir()) == []
    in_sqlite = put_back(taken.path, tmp_path / "sqlite")
    with in_sqlite.started() as it:
        assert answers(as_cloud(it)) == said

    database = open_postgresql(postgresql_address)
    with database.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    database.close()
    again = Home(tmp_path / "again", postgresql_address)
    restore(again.settings, taken.path, silent)
    with again.started() as it:
        assert answers(as_cloud(it)) == said
