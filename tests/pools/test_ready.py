"""Overlays that are written ahead: used where they are what a freeze would write, and never otherwise."""

from __future__ import annotations

import errno
import os

import pytest
from qemu.qmp import ExecuteError

from kiln.pools import overlay
from kiln.pools.errors import PoolFull, VolumeMissing
from kiln.pools.guests import GuestBusy
from kiln.pools.port import Succession
from kiln.pools.qcow2 import Qcow2Pool
from kiln.pools.ready import MOST
from tests.pools.kills import in_child, killed_at, points_of
from tests.pools.patterns import BLOCK, SIZE, holds, put
from tests.pools.storage_daemon import KilledBefore, start_daemon
from tests.tools import needs


@pytest.fixture
def pool(tmp_path):
    return Qcow2Pool(tmp_path / "pool")


def a_head_in_use(pool, volume="v-a0", size=SIZE):
    pool.create(volume, size)
    pool.grant(volume, None)
    return volume


def drafts(pool, tmp_path):
    """What is not named as a volume is: the inodes of all hidden files."""
    return {entry.inode() for entry in os.scandir(tmp_path / "pool") if entry.name.startswith(".tmp-")}


def test_an_overlay_that_was_made_ready_is_the_heir(pool, tmp_path):
    head = a_head_in_use(pool)
    assert pool.prepare() == 1
    (ready,) = drafts(pool, tmp_path)

    pool.freeze([Succession(head, "v-a1")], None)

    assert (tmp_path / "pool" / "v-a1.qcow2").stat().st_ino == ready
    assert pool.parent("v-a1") == head
    assert pool.size("v-a1") == SIZE
    assert drafts(pool, tmp_path) == set()


def test_what_a_freeze_has_made_has_its_next_overlay_made_ready(pool, tmp_path):
    head = a_head_in_use(pool)
    pool.freeze([Succession(head, "v-a1")], None)

    assert pool.prepare() == 1
    assert pool.prepare() == 0

    (ready,) = drafts(pool, tmp_path)
    pool.freeze([Succession("v-a1", "v-a2")], None)
    assert (tmp_path / "pool" / "v-a2.qcow2").stat().st_ino == ready


def test_an_overlay_of_another_size_than_the_head_by_now_is_not_used(pool, tmp_path):
    needs("qemu-img")
    head = a_head_in_use(pool)
    pool.prepare()
    pool.resize(head, SIZE + BLOCK)

    pool.freeze([Succession(head, "v-a1")], None)

    assert pool.size("v-a1") == SIZE + BLOCK
    assert drafts(pool, tmp_path) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_an_overlay_is_its_heads_owners_as_it_is_now(pool, tmp_path):
    pool.create("v-a0", SIZE)
    pool.grant("v-a0", 64123)
    pool.prepare()

    pool.grant("v-a0", 64124)

    assert drafts(pool, tmp_path) == set()
    pool.freeze([Succession("v-a0", "v-a1")], None)
    assert (tmp_path / "pool" / "v-a1.qcow2").stat().st_uid == 64124


def test_of_several_disks_each_gets_its_own(pool, tmp_path):
    needs("qemu-io")
    for n, disk in enumerate("abc"):
        a_head_in_use(pool, f"v-{disk}0", SIZE + n * BLOCK)
        put(pool, f"v-{disk}0", {0: n + 1})
    pool.prepare()
    pool.create("v-d0", SIZE)

    pool.freeze([Succession(f"v-{disk}0", f"v-{disk}1") for disk in "dbca"], None)

    assert [pool.parent(f"v-{disk}1") for disk in "abcd"] == ["v-a0", "v-b0", "v-c0", "v-d0"]
    for n, disk in enumerate("abc"):
        assert pool.size(f"v-{disk}1") == SIZE + n * BLOCK
        assert holds(pool, f"v-{disk}1", {0: n + 1})


def test_a_guest_goes_on_in_what_was_made_ready(pool, tmp_path):
    needs("qemu-storage-daemon", "qemu-io")
    a_head_in_use(pool)
    with start_daemon(tmp_path) as guest:
        guest.open(pool.blockdevs("v-a0"))
        for n in range(3):
            guest.put("v-a0", {n: n + 1})
            pool.prepare()
            pool.freeze([Succession(f"v-a{n}", f"v-a{n + 1}")], guest)
        guest.put("v-a0", {3: 4})

        assert guest.holds("v-a0", {0: 1, 1: 2, 2: 3, 3: 4})

    assert holds(pool, "v-a1", {0: 1, 1: 2})
    assert holds(pool, "v-a3", {0: 1, 1: 2, 2: 3, 3: 4})
    assert all(pool.verify(f"v-a{n}") == [] for n in range(4))


def links(pool, tmp_path):
    """Where the names lead by which machines open overlays, by volume."""
    folder = tmp_path / "pool" / ".ahead"
    return {link.stem: str(link.readlink()) for link in folder.iterdir()} if folder.exists() else {}


def open_ahead(pool, guest, number):
    """Have the guest open what will be the heirs of that number."""
    pool.prepare()
    heads = pool.overlays.due_to_open()
    pool.overlays.open({head: f"{head[:-1]}{number}" for head in heads}, guest)
    return heads


def test_a_guest_goes_on_in_what_it_has_opened_ahead(pool, tmp_path):
    needs("qemu-storage-daemon", "qemu-io")
    a_head_in_use(pool)
    with start_daemon(tmp_path) as guest:
        guest.open(pool.blockdevs("v-a0"))
        for n in range(3):
            guest.put("v-a0", {n: n + 1})
            assert open_ahead(pool, guest, n + 1) == [f"v-a{n}"]
            assert pool.overlays.name_of(f"v-a{n}") == f"v-a{n + 1}"
            assert guest.has_node(f"v-a{n + 1}")
            assert list(pool.volumes()) == [f"v-a{each}" for each in range(n + 1)]
            pool.freeze([Succession(f"v-a{n}", f"v-a{n + 1}")], guest)
            assert links(pool, tmp_path)[f"v-a{n + 1}"] == f"../v-a{n + 1}.qcow2"
        guest.put("v-a0", {3: 4})

        assert guest.holds("v-a0", {0: 1, 1: 2, 2: 3, 3: 4})
        written = {node["node-name"] for node in guest.execute("query-named-block-nodes") if not node["ro"]}
        assert {name for name in written if not name.startswith("#")} == {"v-a3"}

    assert holds(pool, "v-a1", {0: 1, 1: 2})
    assert holds(pool, "v-a3", {0: 1, 1: 2, 2: 3, 3: 4})
    assert all(pool.verify(f"v-a{n}") == [] for n in range(4))


def test_what_was_opened_for_a_head_that_is_granted_anew_is_not_written_to(pool, tmp_path):
    needs("qemu-storage-daemon", "qemu-io")
    a_head_in_use(pool)
    with start_daemon(tmp_path) as guest:
        guest.open(pool.blockdevs("v-a0"))
        open_ahead(pool, guest, 1)
        pool.grant("v-a0", None)
        pool.prepare()
        assert pool.overlays.name_of("v-a0") is None

        pool.freeze([Succession("v-a0", "v-a1")], guest)
        guest.put("v-a0", {1: 1})

    assert holds(pool, "v-a1", {1: 1})
    assert links(pool, tmp_path) == {}


def test_what_a_machine_is_opening_just_now_is_nobodys_heir(pool, tmp_path):
    needs("qemu-storage-daemon", "qemu-io")
    head = a_head_in_use(pool)
    pool.prepare()
    with start_daemon(tmp_path) as guest:
        guest.open(pool.blockdevs(head))

        class Slow:
            """Opens it, and has a freeze come before it says so."""

            def open_ahead(self, overlays, kept):
                guest.open_ahead(overlays, kept)
                pool.freeze([Succession(head, "v-a1")], guest)

        pool.overlays.open({head: "v-early"}, Slow())
        guest.put(head, {1: 1})

    assert pool.overlays.name_of(head) is None
    assert holds(pool, "v-a1", {1: 1})
    assert links(pool, tmp_path) == {}


def test_a_busy_machine_is_asked_again(pool, tmp_path):
    needs("qemu-storage-daemon")
    head = a_head_in_use(pool)
    pool.prepare()

    class Busy:
        def open_ahead(self, overlays, kept):
            raise GuestBusy

    with pytest.raises(GuestBusy):
        pool.overlays.open({head: "v-a1"}, Busy())
    assert links(pool, tmp_path) == {}
    with start_daemon(tmp_path) as guest:
        guest.open(pool.blockdevs(head))
        pool.overlays.open({head: "v-a1"}, guest)

    assert pool.overlays.name_of(head) == "v-a1"


def test_an_heir_may_have_another_name_than_what_was_opened(pool, tmp_path):
    needs("qemu-storage-daemon", "qemu-io")
    a_head_in_use(pool)
    with start_daemon(tmp_path) as guest:
        guest.open(pool.blockdevs("v-a0"))
        open_ahead(pool, guest, 1)

        pool.freeze([Succession("v-a0", "v-other")], guest)
        guest.put("v-a0", {1: 1})

    assert holds(pool, "v-other", {1: 1})
    assert links(pool, tmp_path) == {}


def test_what_a_machine_has_open_for_the_next_time_tells_of_no_freeze(pool, tmp_path):
    needs("qemu-storage-daemon")
    a_head_in_use(pool)
    with start_daemon(tmp_path) as guest:
        guest.open(pool.blockdevs("v-a0"))
        open_ahead(pool, guest, 1)

        assert not pool.has_frozen([Succession("v-a0", "v-a1")], guest)


@pytest.mark.parametrize("is_ahead", [True, False])
def test_what_a_machine_has_open_and_was_not_told_to_write_to_tells_of_no_freeze(pool, tmp_path, is_ahead):
    needs("qemu-storage-daemon")
    a_head_in_use(pool)
    disks = [Succession("v-a0", "v-a1")]
    with start_daemon(tmp_path) as guest:
        guest.open(pool.blockdevs("v-a0"))
        if is_ahead:
            open_ahead(pool, guest, 1)
        with pytest.raises(InterruptedError):
            pool.freeze(disks, KilledBefore(guest))
        assert pool.exists("v-a1")
        assert guest.has_node("v-a1")

        assert not pool.has_frozen(disks, guest)
        pool.freeze(disks, guest)
        assert pool.has_frozen(disks, guest)


def test_a_machine_that_cannot_open_it_is_as_good_as_none(pool, tmp_path):
    needs("qemu-storage-daemon", "qemu-io")
    a_head_in_use(pool)
    pool.prepare()
    with start_daemon(tmp_path) as guest:
        guest.open(pool.blockdevs("v-a0"))

        with pytest.raises(ExecuteError):
            pool.overlays.open({"v-a0": "v-a0"}, guest)

        assert pool.overlays.name_of("v-a0") is None
        assert links(pool, tmp_path) == {}
        pool.freeze([Succession("v-a0", "v-a1")], guest)
        guest.put("v-a0", {1: 1})

    assert holds(pool, "v-a1", {1: 1})


def test_a_machine_that_never_comes_is_not_looked_for_for_ever(pool, monkeypatch):
    monkeypatch.setattr("kiln.pools.ready._FIRST_REST_S", 0.0)
    head = a_head_in_use(pool)
    pool.prepare()

    assert [pool.overlays.due_to_open() for _ in range(20)].count([head]) == 8
    pool.grant(head, None)
    pool.prepare()
    assert pool.overlays.due_to_open() == [head]


def test_loses_nothing_when_it_is_killed_at_any_point_of_opening_ahead_and_freezing(tmp_path):
    needs("qemu-storage-daemon", "qemu-io")

    def start(folder, guest):
        folder.mkdir(exist_ok=True)
        pool = Qcow2Pool(folder / "pool")
        a_head_in_use(pool)
        guest.open(pool.blockdevs("v-a0"))
        guest.put("v-a0", {1: 1})
        guest.disconnect()

    def act(folder, guest):
        guest.connect()
        pool = Qcow2Pool(folder / "pool")
        pool.grant("v-a0", None)
        open_ahead(pool, guest, 1)
        pool.freeze([Succession("v-a0", "v-a1")], guest)
        guest.disconnect()

    (tmp_path / "all").mkdir()
    with start_daemon(tmp_path / "all") as guest:
        start(tmp_path / "all", guest)
        points = points_of(lambda: act(tmp_path / "all", guest))
        guest.connect()
    first = points.index("pool.ahead.before")
    assert {"pool.ahead.linked", "pool.ready.opened", "pool.ahead.followed"} <= set(points[first:])
    for number in range(first, len(points)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with start_daemon(folder) as guest:
            start(folder, guest)
            assert killed_at(number, lambda folder=folder, guest=guest: act(folder, guest)), points[number]

            guest.connect()
            pool = Qcow2Pool(folder / "pool")
            pool.sweep()
            pool.freeze([Succession("v-a0", "v-a1")], guest)
            guest.put("v-a0", {2: 2})
            open_ahead(pool, guest, 2)
            pool.freeze([Succession("v-a1", "v-a2")], guest)
            guest.put("v-a0", {3: 3})

            assert guest.holds("v-a0", {1: 1, 2: 2, 3: 3}), points[number]
        assert holds(pool, "v-a0", {1: 1}), points[number]
        assert holds(pool, "v-a1", {1: 1, 2: 2}), points[number]
        assert holds(pool, "v-a2", {1: 1, 2: 2, 3: 3}), points[number]


def test_without_its_link_it_is_opened_anew(pool, tmp_path):
    needs("qemu-storage-daemon", "qemu-io")
    a_head_in_use(pool)
    with start_daemon(tmp_path) as guest:
        guest.open(pool.blockdevs("v-a0"))
        open_ahead(pool, guest, 1)
        (tmp_path / "pool" / ".ahead" / "v-a1.new").mkdir()

        pool.freeze([Succession("v-a0", "v-a1")], guest)
        guest.put("v-a0", {1: 1})
        files = {node["file"] for node in guest.execute("query-named-block-nodes") if node["drv"] == "file"}

    assert files == {str(tmp_path / "pool" / name) for name in ("v-a0.qcow2", "v-a1.qcow2")}
    assert holds(pool, "v-a1", {1: 1})


def test_links_go_with_what_they_lead_to(pool, tmp_path):
    needs("qemu-storage-daemon")
    with start_daemon(tmp_path) as guest:

        def run_before():
            before = Qcow2Pool(tmp_path / "pool")
            a_head_in_use(before)
            guest.open(before.blockdevs("v-a0"))
            open_ahead(before, guest, 1)
            before.freeze([Succession("v-a0", "v-a1")], guest)
            open_ahead(before, guest, 2)

        assert in_child(run_before) == 0
    assert set(links(pool, tmp_path)) == {"v-a1", "v-a2"}

    pool.sweep()
    assert set(links(pool, tmp_path)) == {"v-a1"}
    pool.drop("v-a1")

    assert links(pool, tmp_path) == {}


def test_an_heirs_name_is_on_the_disk_before_its_head_is_closed(pool):
    head = a_head_in_use(pool)
    pool.prepare()

    points = points_of(lambda: pool.freeze([Succession(head, "v-a1")], None))

    assert points.index("pool.publish.named") < points.index("pool.publish.folder_synced")
    assert points.index("pool.publish.folder_synced") < points.index("pool.freeze.sealed")


def test_nothing_stands_on_a_head_for_which_one_was_made_ready(pool, tmp_path):
    needs("qemu-img")
    head = a_head_in_use(pool)
    pool.prepare()

    pool.grant(head, None)
    pool.resize(head, SIZE + BLOCK)
    pool.prepare()
    assert list(pool.volumes()) == [head]
    assert pool.strangers() == []
    pool.drop(head)

    assert drafts(pool, tmp_path) == set()


def test_a_head_in_the_trash_keeps_none(pool, tmp_path):
    head = a_head_in_use(pool)
    pool.prepare()

    pool.discard([head])

    assert drafts(pool, tmp_path) == set()
    assert pool.prepare() == 0


def test_what_nobody_used_is_swept_by_the_next_run(pool, tmp_path):
    def run_before():
        before = Qcow2Pool(tmp_path / "pool")
        a_head_in_use(before)
        before.prepare()
        assert before.leftovers() == []

    assert in_child(run_before) == 0

    (name,) = pool.sweep()

    assert name.startswith(".tmp-")
    assert drafts(pool, tmp_path) == set()


def test_a_pool_that_is_put_away_leaves_none(pool, tmp_path):
    a_head_in_use(pool)
    pool.prepare()

    pool.put_away()

    assert drafts(pool, tmp_path) == set()


def test_a_freeze_that_fails_leaves_none(pool, tmp_path):
    head = a_head_in_use(pool)
    pool.prepare()
    (tmp_path / "pool" / "v-a1.qcow2").mkdir()

    with pytest.raises((OSError, PoolFull)):
        pool.freeze([Succession(head, "v-a1")], None)

    assert drafts(pool, tmp_path) == set()


def test_no_more_are_wanted_than_a_limit(pool):
    pool.overlays.want([f"v-{n}" for n in range(MOST + 3)])

    asked = []

    def about(head):
        asked.append(head)
        raise VolumeMissing(head)

    pool.overlays.make(about)

    assert asked == [f"v-{n}" for n in range(3, MOST + 3)]


def test_is_swept_after_a_kill_at_any_point(tmp_path):
    def start(name):
        pool = Qcow2Pool(tmp_path / name)
        a_head_in_use(pool)
        return pool

    def act(pool):
        pool.grant("v-a0", None)
        pool.prepare()
        pool.freeze([Succession("v-a0", "v-a1")], None)

    unharmed = start("unharmed")
    points = points_of(lambda: act(unharmed))
    assert "pool.ready.synced" in points
    for number, point in enumerate(points):
        pool = start(str(number))
        assert killed_at(number, lambda pool=pool: act(pool)), point

        again = Qcow2Pool(tmp_path / str(number))
        again.sweep()
        again.freeze([Succession("v-a0", "v-a1")], None)

        assert again.leftovers() == []
        assert overlay.read(tmp_path / str(number) / "v-a1.qcow2").backing == "v-a0.qcow2", point


def test_a_head_that_cannot_be_read_keeps_no_other_from_its_own(pool, tmp_path, caplog):
    heads = [a_head_in_use(pool, f"v-{disk}0") for disk in "abc"]
    path = tmp_path / "pool" / "v-b0.qcow2"
    content = path.read_bytes()
    path.unlink()
    path.symlink_to(path.name)  # Nobody can open it, root neither.

    assert pool.prepare() == 2

    for disk in "ac":
        pool.freeze([Succession(f"v-{disk}0", f"v-{disk}1")], None)
    pool.overlays.forget(["v-a1", "v-c1"])
    assert pool.prepare() == 0
    said = [record.kiln_facts for record in caplog.records if record.message == "overlays_not_made_ready"]
    assert [(one["head"], one["heads"]) for one in said] == [(heads[1], 1)], "once, however often it is tried"

    path.unlink()
    path.write_bytes(content)
    assert pool.prepare() == 1
    pool.overlays.want(heads[1:2])
    path.unlink()
    path.symlink_to(path.name)
    pool.prepare()
    assert caplog.messages.count("overlays_not_made_ready") == 2, "and again when it had been well meanwhile"


def test_the_reason_that_many_heads_have_is_logged_once(pool, tmp_path, caplog):
    heads = [a_head_in_use(pool, f"v-{disk}0") for disk in "abc"]
    for head in heads:
        (tmp_path / "pool" / f"{head}.qcow2").unlink()
        (tmp_path / "pool" / f"{head}.qcow2").symlink_to(f"{head}.qcow2")

    assert [pool.prepare() for _ in range(3)] == [0, 0, 0]

    (said,) = [record.kiln_facts for record in caplog.records if record.message == "overlays_not_made_ready"]
    assert (said["heads"], said["reason"]) == (3, os.strerror(errno.ELOOP))


def test_a_head_that_its_guest_sees_grow_has_its_overlay_written_anew(pool, tmp_path):
    needs("qemu-storage-daemon", "qemu-io")
    a_head_in_use(pool)
    pool.prepare()
    with start_daemon(tmp_path) as guest:
        for blockdev in pool.blockdevs("v-a0"):
            guest.execute("blockdev-add", **blockdev)  # An export of it would not let it grow.
        pool.resize("v-a0", SIZE + BLOCK, guest)

        assert pool.prepare() == 1
        (ready,) = drafts(pool, tmp_path)
        pool.freeze([Succession("v-a0", "v-a1")], guest)

    assert (tmp_path / "pool" / "v-a1.qcow2").stat().st_ino == ready
    assert pool.size("v-a1") == SIZE + BLOCK


def test_an_overlay_is_written_anew_for_a_head_that_is_granted_again(pool, tmp_path):
    needs("qemu-img")
    head = a_head_in_use(pool)
    pool.prepare()
    pool.resize(head, SIZE + BLOCK)

    pool.grant(head, None)

    assert drafts(pool, tmp_path) == set(), "what was written for its former size is gone"
    assert pool.prepare() == 1
    (ready,) = drafts(pool, tmp_path)
    pool.freeze([Succession(head, "v-a1")], None)
    assert (tmp_path / "pool" / "v-a1.qcow2").stat().st_ino == ready
    assert pool.size("v-a1") == SIZE + BLOCK
