"""What only the qcow2 pool promises: files, owners, live guests. The rest is in tests/contract/test_pool.py."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

from kiln.pools import overlay
from kiln.pools.errors import PoolFull, ToolFailed, VolumeBroken, VolumeBusy
from kiln.pools.port import Succession
from kiln.pools.qcow2 import Qcow2Pool
from tests.pools.kills import in_child, killed_at, points_of
from tests.pools.patterns import BLOCK, SIZE, holds, put
from tests.pools.storage_daemon import start_daemon
from tests.tools import needs

NOBODY = 65534


@pytest.fixture(autouse=True)
def _tools():
    needs("qemu-img", "qemu-io", "qemu-storage-daemon", "prlimit", "setpriv")


@pytest.fixture
def pool(tmp_path):
    return Qcow2Pool(tmp_path / "pool")


@pytest.fixture
def guest(tmp_path):
    with start_daemon(tmp_path) as daemon:
        yield daemon


def file_of(pool, volume):
    return Path(pool.blockdevs(volume)[-1]["file"]["filename"])


def mode_of(pool, volume):
    return stat.S_IMODE(file_of(pool, volume).stat().st_mode)


def run_on(guest, pool, *disks):
    """Make heads ``v-<disk>0`` and have the guest run on them."""
    for disk in disks:
        pool.create(f"v-{disk}0", SIZE)
        guest.open(pool.blockdevs(f"v-{disk}0"))


# Files.


def test_keeps_its_folder_from_being_listed(pool, tmp_path):
    assert stat.S_IMODE((tmp_path / "pool").stat().st_mode) == (0o711 if os.geteuid() == 0 else 0o700)


def test_makes_heads_private_and_layers_read_only(pool):
    pool.create("v-a0", SIZE)
    assert mode_of(pool, "v-a0") == 0o600

    pool.freeze([Succession("v-a0", "v-a1")], None)
    pool.absorb("v-a1", None)

    assert mode_of(pool, "v-a0") == 0o400
    assert mode_of(pool, "v-a1") == 0o600


def test_may_move_with_its_folder(pool, tmp_path):
    pool.create("v-a0", SIZE)
    put(pool, "v-a0", {1: 1})
    pool.freeze([Succession("v-a0", "v-a1")], None)

    (tmp_path / "pool").rename(tmp_path / "elsewhere")

    assert holds(Qcow2Pool(tmp_path / "elsewhere"), "v-a1", {1: 1})


def test_sweeps_what_a_crash_left(pool, tmp_path):
    (tmp_path / "pool" / ".tmp-left-over").write_bytes(b"half")
    pool.create("v-a0", SIZE)

    assert pool.sweep() == [".tmp-left-over"]
    assert pool.sweep() == []
    assert list(pool.volumes()) == ["v-a0"]


def test_passes_over_what_is_no_regular_file(tmp_path, caplog):
    folder = tmp_path / "pool"
    Qcow2Pool(folder).create("v-a0", SIZE)
    (folder / "folder.qcow2").mkdir()
    os.mkfifo(folder / "pipe.qcow2")
    (folder / ".tmp-folder").mkdir()
    os.mkfifo(folder / ".tmp-pipe")
    (folder / "nowhere.qcow2").symlink_to(folder / "gone")

    pool = Qcow2Pool(folder)
    pool.create("v-a1", SIZE)
    pool.drop("v-a1")

    assert list(pool.volumes()) == ["v-a0"]
    assert pool.sweep() == pool.leftovers() == []
    assert not any(pool.exists(name) for name in ("folder", "pipe", "nowhere"))
    pool.drop("pipe")
    said = [record.kiln_facts["name"] for record in caplog.records if record.message == "pool_entry_passed_over"]
    assert sorted(said) == ["folder.qcow2", "nowhere.qcow2", "pipe.qcow2"]
    assert {".tmp-folder", ".tmp-pipe"} < {path.name for path in folder.iterdir()}


def test_opens_on_a_full_disk(tmp_path):
    status = in_child(lambda: _open_within_a_limit(tmp_path / "pool"))

    assert os.waitstatus_to_exitcode(status) == 0


def _open_within_a_limit(folder):
    import resource  # noqa: PLC0415 - this runs in a forked child only.

    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    pool = Qcow2Pool(folder)
    with pytest.raises(PoolFull):
        pool.create("v-a0", SIZE)


# Two processes on one folder.


def test_sees_children_that_another_process_made(pool, tmp_path):
    pool.create("v-layer", SIZE)
    other = Qcow2Pool(tmp_path / "pool")
    other.clone("v-layer", "v-clone", SIZE)

    with pytest.raises(VolumeBusy):
        pool.drop("v-layer")


def test_sees_that_another_process_took_a_layer_out_of_the_middle(pool, tmp_path):
    pool.create("v-a0", SIZE)
    pool.freeze([Succession("v-a0", "v-a1")], None)
    pool.freeze([Succession("v-a1", "v-a2")], None)
    other = Qcow2Pool(tmp_path / "pool")
    other.absorb("v-a2", None)
    other.drop("v-a1")

    with pytest.raises(VolumeBusy):
        pool.drop("v-a0")


# Damage.


def test_finds_a_damaged_structure(pool):
    pool.create("v-a0", SIZE)
    put(pool, "v-a0", {1: 1})
    with file_of(pool, "v-a0").open("r+b") as file:
        file.seek(3 * 128 * 1024)
        file.write(b"\x80\0\0\0\7\0\0\0")  # The first L1 entry, now far outside.

    assert any("damaged" in complaint for complaint in pool.verify("v-a0"))


def test_finds_a_volume_cut_short(pool):
    pool.create("v-a0", SIZE)
    put(pool, "v-a0", dict.fromkeys(range(16), 1))
    os.truncate(file_of(pool, "v-a0"), 6 * 128 * 1024)

    assert pool.verify("v-a0") != []


@pytest.mark.parametrize("content", [b"", b"rubbish" * 100])
def test_finds_a_file_that_is_no_volume(pool, content):
    pool.create("v-a0", SIZE)
    file_of(pool, "v-a0").write_bytes(content)

    assert [complaint[:18] for complaint in pool.verify("v-a0")] == ["It cannot be read:"]


def test_finds_volumes_that_stand_on_each_other(pool, tmp_path):
    for volume, below in (("v-a0", "v-a1"), ("v-a1", "v-a0")):
        path = tmp_path / "pool" / f"{volume}.qcow2"
        path.touch()
        overlay.write(path, SIZE, f"{below}.qcow2")

    assert pool.verify("v-a0") == ["It cannot be read: v-a0 stands on itself."]


def test_refuses_a_volume_that_stands_on_something_else(pool, tmp_path):
    path = tmp_path / "pool" / "v-a0.qcow2"
    path.touch()
    overlay.write(path, SIZE, "/etc/passwd")

    with pytest.raises(VolumeBroken):
        pool.blockdevs("v-a0")


@pytest.mark.parametrize("point", range(2))
def test_may_be_killed_while_it_sets_aside(pool, tmp_path, point):
    pool.create("v-one", SIZE)

    assert killed_at(point, lambda: pool.set_aside("v-one"))
    if pool.exists("v-one"):
        pool.set_aside("v-one")

    assert [path.name for path in (tmp_path / "pool" / "lost+found").iterdir()] == ["v-one.qcow2"]
    assert list(pool.volumes()) == []


# A guest runs on it.


def test_does_not_set_aside_what_a_guest_writes(pool, guest):
    run_on(guest, pool, "a")

    with pytest.raises(VolumeBusy):
        pool.set_aside("v-a0")

    assert pool.exists("v-a0")


def test_freezes_under_a_running_guest(pool, guest):
    run_on(guest, pool, "a", "b")
    guest.put("v-a0", {1: 1})
    guest.put("v-b0", {2: 2})

    pool.freeze([Succession("v-a0", "v-a1"), Succession("v-b0", "v-b1")], guest)

    guest.put("v-a0", {3: 3})
    assert guest.holds("v-a0", {1: 1, 3: 3})
    assert holds(pool, "v-a0", {1: 1})
    assert holds(pool, "v-b0", {2: 2})
    assert mode_of(pool, "v-a0") == 0o400
    assert pool.verify("v-a1") == []


def test_layers_are_whole_when_the_guest_dies_right_after_a_freeze(pool, guest):
    run_on(guest, pool, "a")
    guest.put("v-a0", {1: 1})

    pool.freeze([Succession("v-a0", "v-a1")], guest)
    guest.process.kill()
    guest.process.wait()

    assert holds(pool, "v-a0", {1: 1})
    assert holds(pool, "v-a1", {1: 1})


def test_freezes_seventeen_disks_of_a_guest(pool, guest):
    disks = [f"d{number}" for number in range(17)]
    run_on(guest, pool, *disks)

    pool.freeze([Succession(f"v-{disk}0", f"v-{disk}1") for disk in disks], guest)

    assert all(guest.has_node(f"v-{disk}1") for disk in disks)


def test_rolls_a_freeze_forward_after_a_kill_under_a_running_guest(tmp_path):
    def freeze(pool, guest):
        pool.freeze([Succession("v-a0", "v-a1"), Succession("v-b0", "v-b1")], guest)

    def act(folder, guest):
        guest.connect()
        freeze(Qcow2Pool(folder / "pool"), guest)
        guest.disconnect()

    def start(folder, guest):
        run_on(guest, Qcow2Pool(folder / "pool"), "a", "b")
        guest.put("v-a0", {1: 1})
        guest.disconnect()

    (tmp_path / "all").mkdir()
    with start_daemon(tmp_path / "all") as guest:
        start(tmp_path / "all", guest)
        points = points_of(lambda: act(tmp_path / "all", guest))
        guest.connect()
    # Kills before anything is published are the contract suite's; each point from there on is tried here.
    for number in range(points.index("pool.publish.linked"), len(points)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with start_daemon(folder) as guest:
            start(folder, guest)
            assert killed_at(number, lambda folder=folder, guest=guest: act(folder, guest))

            guest.connect()
            pool = Qcow2Pool(folder / "pool")
            pool.sweep()
            freeze(pool, guest)

            guest.put("v-a0", {2: 2})
            assert guest.holds("v-a0", {1: 1, 2: 2})
            assert holds(pool, "v-a0", {1: 1})
            assert guest.has_node("v-b1")


def test_takes_in_a_parent_under_a_running_guest(pool, guest):
    run_on(guest, pool, "a")
    guest.put("v-a0", {1: 1})
    pool.freeze([Succession("v-a0", "v-a1")], guest)
    guest.put("v-a0", {2: 2})
    pool.freeze([Succession("v-a1", "v-a2")], guest)
    guest.put("v-a0", {3: 3})

    pool.absorb("v-a2", guest)
    pool.drop("v-a1")

    assert pool.parent("v-a2") == "v-a0"
    assert guest.holds("v-a0", {1: 1, 2: 2, 3: 3})
    guest.put("v-a0", {4: 4})
    pool.absorb("v-a2", guest)
    pool.drop("v-a0")
    assert pool.parent("v-a2") is None
    assert guest.holds("v-a0", {1: 1, 2: 2, 3: 3, 4: 4})


def test_merges_again_after_a_kill_under_a_running_guest(tmp_path):
    def act(folder, guest):
        guest.connect()
        Qcow2Pool(folder / "pool").absorb("v-a1", guest)
        guest.disconnect()

    def start(folder, guest):
        pool = Qcow2Pool(folder / "pool")
        run_on(guest, pool, "a")
        guest.put("v-a0", {1: 1})
        pool.freeze([Succession("v-a0", "v-a1")], guest)
        guest.put("v-a0", {2: 2})
        guest.disconnect()

    (tmp_path / "all").mkdir()
    with start_daemon(tmp_path / "all") as guest:
        start(tmp_path / "all", guest)
        points = points_of(lambda: act(tmp_path / "all", guest))
        guest.connect()
    assert {"pool.absorb.before_stream", "pool.absorb.streamed"} <= set(points)
    for number in range(len(points)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with start_daemon(folder) as guest:
            start(folder, guest)
            assert killed_at(number, lambda folder=folder, guest=guest: act(folder, guest))

            guest.connect()
            pool = Qcow2Pool(folder / "pool")
            pool.sweep()
            if pool.parent("v-a1") is not None:
                pool.absorb("v-a1", guest)

            assert pool.parent("v-a1") is None
            assert guest.holds("v-a0", {1: 1, 2: 2})


def test_loses_nothing_when_the_guest_dies_right_after_a_merge(pool, guest):
    run_on(guest, pool, "a")
    guest.put("v-a0", {1: 1})
    pool.freeze([Succession("v-a0", "v-a1")], guest)

    pool.absorb("v-a1", guest)
    guest.process.kill()
    guest.process.wait()
    pool.drop("v-a0")

    assert holds(pool, "v-a1", {1: 1})
    assert pool.verify("v-a1") == []


def test_freezes_on_after_a_layer_was_merged_away_under_the_guest(pool, guest):
    """The guest still reads the files that were replaced; what it is told next must fit both views.

    They stay as long: a file that has no name any more gives back no space, and nobody else can open it.
    """
    run_on(guest, pool, "a")
    guest.put("v-a0", {1: 1})
    for number in range(3):
        pool.freeze([Succession(f"v-a{number}", f"v-a{number + 1}")], guest)
        guest.put("v-a0", {number + 2: number + 2})
    pool.absorb("v-a2", None)
    with pytest.raises(VolumeBusy):
        pool.drop("v-a1")

    pool.freeze([Succession("v-a3", "v-a4")], guest)
    pool.absorb("v-a4", guest)
    pool.drop("v-a3")

    assert pool.parent("v-a4") == "v-a2"
    assert guest.holds("v-a0", {1: 1, 2: 2, 3: 3, 4: 4})
    guest.process.kill()
    guest.process.wait()
    pool.drop("v-a1")
    assert holds(pool, "v-a4", {1: 1, 2: 2, 3: 3, 4: 4})


@pytest.mark.parametrize("ask", ["drop", "resize", "absorb", "freeze"])
def test_leaves_a_disk_alone_that_a_guest_writes(pool, guest, ask):
    pool.create("v-layer", SIZE)
    pool.clone("v-layer", "v-a0", SIZE)
    guest.open(pool.blockdevs("v-a0"))

    with pytest.raises(VolumeBusy):
        {
            "drop": lambda: pool.drop("v-a0"),
            "resize": lambda: pool.resize("v-a0", SIZE + BLOCK),
            "absorb": lambda: pool.absorb("v-a0", None),
            "freeze": lambda: pool.freeze([Succession("v-a0", "v-a1")], None),
        }[ask]()

    assert sorted(pool.volumes()) == ["v-a0", "v-layer"]
    assert pool.verify("v-a0") == []
    assert pool.sweep() == []


# Owners. A confined QEMU is a daemon that runs as nobody.


@pytest.fixture
def open_folder():
    """A folder that everybody may enter, unlike pytest's own."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to give files away")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def test_gives_a_head_to_a_user_and_takes_it_back(open_folder):
    pool = Qcow2Pool(open_folder / "pool")
    pool.create("v-a0", SIZE)
    pool.freeze([Succession("v-a0", "v-a1")], None)

    pool.grant("v-a1", NOBODY)
    given = file_of(pool, "v-a1").stat()
    pool.grant("v-a1", None)
    taken = file_of(pool, "v-a1").stat()

    assert (given.st_uid, stat.S_IMODE(given.st_mode)) == (NOBODY, 0o600)
    assert (taken.st_uid, stat.S_IMODE(taken.st_mode)) == (0, 0o600)
    assert mode_of(pool, "v-a0") == 0o400


def test_serves_a_confined_guest_through_freezes_and_merges(open_folder):
    pool = Qcow2Pool(open_folder / "pool")
    pool.create("v-a0", SIZE)
    pool.freeze([Succession("v-a0", "v-a1")], None)
    pool.grant("v-a1", NOBODY)
    run = open_folder / "run"
    run.mkdir()
    os.chown(run, NOBODY, -1)

    with start_daemon(run, uid=NOBODY) as guest:
        guest.open(pool.blockdevs("v-a1"))
        guest.put("v-a1", {1: 1})
        pool.freeze([Succession("v-a1", "v-a2")], guest)
        guest.put("v-a1", {2: 2})
        sealed, heir = file_of(pool, "v-a1").stat(), file_of(pool, "v-a2").stat()
        pool.absorb("v-a2", guest)

        assert guest.holds("v-a1", {1: 1, 2: 2})
    assert (sealed.st_uid, stat.S_IMODE(sealed.st_mode)) == (0, 0o440)
    assert (heir.st_uid, stat.S_IMODE(heir.st_mode)) == (NOBODY, 0o600)
    assert pool.parent("v-a2") == "v-a0"


def test_says_that_only_root_gives_files_away(open_folder):
    def act():
        os.chown(open_folder, NOBODY, NOBODY)
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        pool = Qcow2Pool(open_folder / "pool")
        pool.create("v-a0", SIZE)
        with pytest.raises(ToolFailed, match="only root"):
            pool.grant("v-a0", 0)

    assert os.waitstatus_to_exitcode(in_child(act)) == 0
