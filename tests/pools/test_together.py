"""Two processes over one pool: what one makes the other sees, and what both try at once loses nobody's bytes."""

from __future__ import annotations

import os
import random
from contextlib import suppress

import pytest

from kiln.ground import killpoints
from kiln.pools.claims import Claims
from kiln.pools.errors import Cancelled, PoolError, VolumeBusy, VolumeMissing
from kiln.pools.family import Family
from kiln.pools.folder import Folder
from kiln.pools.port import Succession
from kiln.pools.qcow2 import Qcow2Pool
from kiln.pools.records import Records
from tests.contract.pools import TREE, make_tree
from tests.pools.kills import killed_at, points_of
from tests.pools.patterns import SIZE, all_hold, holds, put
from tests.pools.storage_daemon import start_daemon
from tests.tools import needs

DEPLOYMENT = "d-1"


@pytest.fixture
def one(tmp_path):
    needs("qemu-img", "qemu-io")
    return Qcow2Pool(tmp_path / "pool")


@pytest.fixture
def other(tmp_path, one):
    """As another process has it: nothing of it is kept where the first could see it but in the folder."""
    return Qcow2Pool(tmp_path / "pool")


# One acts, and the other looks.


def test_what_one_makes_and_takes_away_the_other_sees(one, other):
    make_tree(one)

    assert sorted(other.volumes()) == sorted(TREE)
    assert all(holds(other, volume, blocks) for volume, blocks in TREE.items())
    with pytest.raises(VolumeBusy):
        other.drop("v-middle")
    one.drop("v-left")
    one.drop("v-right")
    other.drop("v-middle")
    assert sorted(one.volumes()) == ["v-base"]


def test_what_one_merged_stands_for_the_other_where_it_is_now(one, other):
    make_tree(one)
    with pytest.raises(VolumeBusy):
        other.drop("v-base")

    one.absorb("v-middle", None)

    other.drop("v-base")
    assert all_hold(other, [(volume, TREE[volume], 16) for volume in ("v-middle", "v-left", "v-right")])


def test_sees_a_child_whose_file_got_the_inode_of_one_that_went_before(tmp_path):
    """A child of P that is written anew in the same inode, above Q: by the inode alone it was P's for ever."""
    folder = tmp_path / "pool"
    pool = Qcow2Pool(folder)
    for volume in ("v-p", "v-q"):
        pool.create(volume, SIZE)
    pool.clone("v-p", "v-child", SIZE)
    family = Family(folder, Claims(folder / ".kiln"))
    path = folder / "v-child.qcow2"
    pool.clone("v-q", "v-new", SIZE)
    with family.departing(["v-p"]) as free:
        assert free == []
    # As a file system gives a new file the number that has just become free.
    with Claims(folder / ".kiln").replacing(), path.open("r+b") as child:
        child.write((folder / "v-new.qcow2").read_bytes())
    os.utime(folder)
    (folder / "v-new.qcow2").unlink()

    with family.departing(["v-p", "v-q"]) as free:
        assert free == ["v-p"]


def test_a_draft_of_one_that_lives_is_not_swept_by_the_other(one, other):
    one.create("v-head", SIZE)
    one.take_back("v-head")
    one.grant("v-head", None)
    assert one.prepare() == 1

    assert other.leftovers() == []
    assert other.sweep() == []
    one.freeze([Succession("v-head", "v-heir")], None)
    assert one.parent("v-heir") == "v-head"


def test_one_forgets_what_it_made_ready_above_what_the_other_dropped(one, other, tmp_path):
    one.create("v-head", SIZE)
    one.grant("v-head", None)
    one.prepare()
    assert list((tmp_path / "pool").glob(".tmp-*"))

    other.drop("v-head")

    assert one.prepare() == 0
    assert not list((tmp_path / "pool").glob(".tmp-*"))


# Both at once.


def test_what_one_puts_something_on_the_other_does_not_drop(one, other):
    one.create("v-layer", SIZE)
    tried = []

    def drop(point):
        if point == "pool.draft.made" and not tried:
            with pytest.raises(VolumeBusy):
                other.drop("v-layer")
            tried.append(other.discard(["v-layer"]))

    killpoints.listen(drop)
    try:
        one.clone("v-layer", "v-clone", SIZE)
    finally:
        killpoints.listen(None)

    assert tried == [[]]
    assert one.parent("v-clone") == "v-layer"


def test_on_what_one_drops_the_other_puts_nothing(one, other):
    one.create("v-layer", SIZE)
    tried = []

    def clone(point):
        if point == "pool.remove.before":
            with pytest.raises(VolumeBusy):
                other.clone("v-layer", "v-clone", SIZE)
            tried.append(point)

    killpoints.listen(clone)
    try:
        one.drop("v-layer")
    finally:
        killpoints.listen(None)

    assert tried
    assert list(other.volumes()) == []


def test_what_was_made_by_who_was_quicker_stays(one, other):
    """Who was taken for dead makes a volume that another has made meanwhile, and whose machine has written to it."""
    tried = []

    def overtake(point):
        if point == "pool.publish.synced" and not tried:
            tried.append(point)
            other.create("v-one", SIZE)
            put(other, "v-one", {0: 7})

    killpoints.listen(overtake)
    try:
        one.create("v-one", SIZE)
    finally:
        killpoints.listen(None)

    assert tried
    assert holds(one, "v-one", {0: 7})
    assert one.leftovers() == other.leftovers() == []


def test_one_volume_is_merged_by_one(one, other):
    make_tree(one)
    tried, told = [], []

    def merge(point):
        if point == "pool.absorb.copied" and not tried:
            tried.append(point)
            with pytest.raises(VolumeBusy, match="is being merged"):
                other.absorb("v-left", None)
            with pytest.raises(VolumeBusy):
                other.drop("v-left")
        if point == "pool.publish.synced":
            told.append(other._departures.claims.mark())

    before = other._departures.claims.mark()
    killpoints.listen(merge)
    try:
        one.absorb("v-left", None)
    finally:
        killpoints.listen(None)

    assert tried
    assert [is_whole for _, is_whole in told] == [False]
    assert other._departures.claims.mark() == (told[0][0], True) != before
    assert holds(one, "v-left", TREE["v-left"])


def test_who_merges_asks_last_before_another_file_takes_the_place(one, other):
    """Who stood still is told then that another has the task, and what that one has made of it stays."""
    make_tree(one)
    before = (one.files("v-left")[-1]).stat().st_ino

    with pytest.raises(Cancelled):
        one.absorb("v-left", None, cancelled=lambda: True)

    assert one.files("v-left")[-1].stat().st_ino == before
    assert other.parent("v-left") == "v-middle"
    assert one.leftovers() == []


def test_what_one_unlinks_for_good_the_other_does_not_take_back(one, other):
    one.create("v-one", SIZE)
    one.discard(["v-one"])
    tried = []

    def retrieve(point):
        if point == "pool.purge.before":
            with pytest.raises(VolumeBusy):
                other.retrieve("v-one")
            tried.append(point)

    killpoints.listen(retrieve)
    try:
        assert one.purge(["v-one"]) == ["v-one"]
    finally:
        killpoints.listen(None)

    assert tried
    with pytest.raises(VolumeMissing):
        other.retrieve("v-one")


def test_records_of_two_writers_are_all_there(tmp_path):
    folder = tmp_path / ".kiln"
    one, other = (Records(Folder(folder, Claims(folder))) for _ in range(2))
    for batch in range(1, 9):
        writer = one if batch % 2 else other
        writer.put("disk", f"d-{batch}", {"n": batch}, [f"v-{batch}"])
        writer.flush(batch, DEPLOYMENT)

        for reader in (one, other):
            assert (reader.batch, reader.naming(f"v-{batch}")) == (batch, [("disk", f"d-{batch}")])
    assert one.names("disk") == other.names("disk") == [f"d-{batch}" for batch in range(1, 9)]
    assert Records(Folder(folder)).damaged == 0


def test_an_older_batch_of_who_stood_still_is_refused(tmp_path):
    folder = tmp_path / ".kiln"
    one, other = (Records(Folder(folder, Claims(folder))) for _ in range(2))
    one.put("disk", "d-1", {"n": 1})
    other.put("disk", "d-1", {"n": 2})
    other.flush(2, DEPLOYMENT)

    with pytest.raises(VolumeBusy, match="batch 2"):
        one.flush(1, DEPLOYMENT)

    assert other.get("disk", "d-1") == {"n": 2}
    one.flush(3, DEPLOYMENT)  # The caller has put what is so by then.


def acts(pool, seed, rounds):
    """Do at random what processes do, each with volumes of its own above layers of all."""
    chance, mine = random.Random(seed), []
    for n in range(rounds):
        name = f"v-{seed}-{n}"
        with suppress(PoolError):
            match chance.randrange(6):
                case 0 | 1:
                    pool.clone(chance.choice(["v-base", "v-middle", *mine]), name, SIZE)
                    mine.append(name)
                case 2 if mine:
                    head = chance.choice(mine)
                    pool.freeze([Succession(head, name)], None)
                    mine.append(name)
                case 3 if mine:
                    pool.absorb(chance.choice(mine), None)
                case 4 if mine:
                    gone = chance.choice(mine)
                    if pool.discard([gone]) and chance.random() < 0.5:
                        pool.retrieve(gone)
                case _:
                    pool.sweep()
                    pool.purge(
                        [one.volume for one in pool.discarded() if one.volume and one.volume.startswith(f"v-{seed}")]
                    )
                    for volume in ("v-base", "v-middle"):
                        with pytest.raises(VolumeBusy):
                            pool.drop(volume)


def all_is_whole(pool):
    """Every volume reads, and stands on what is there."""
    for volume in pool.volumes():
        assert pool.verify(volume) == [], volume
        assert pool.blockdevs(volume)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_hammer_from_two_sides_breaks_nothing(one, tmp_path, seed):
    make_tree(one)
    children = []
    for side in ("a", "b"):
        if (child := os.fork()) == 0:
            status = 1
            try:
                acts(Qcow2Pool(tmp_path / "pool"), f"{side}{seed}", 60)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

    assert statuses == [0, 0]
    all_is_whole(one)
    assert all_hold(one, [(volume, blocks, 16) for volume, blocks in TREE.items()])
    assert one.sweep() == []


@pytest.mark.slow
def test_a_kill_of_one_at_any_point_leaves_the_other_at_work(tmp_path):
    """And what the dead one left is swept, while what the living one is just making is not."""
    needs("qemu-img", "qemu-io")

    def act(folder):
        pool = Qcow2Pool(folder)
        pool.clone("v-middle", "v-more", SIZE)
        pool.freeze([Succession("v-left", "v-left1")], None)
        pool.absorb("v-more", None)
        pool.discard(["v-right"])
        pool.retrieve("v-right")

    (tmp_path / "all").mkdir()
    make_tree(Qcow2Pool(tmp_path / "all"))
    points = points_of(lambda: act(tmp_path / "all"))
    for number in sorted({n for point in points for n in (points.index(point),)}):
        folder = tmp_path / str(number)
        living = Qcow2Pool(folder)
        make_tree(living)
        with living._folder.draft() as draft:
            assert killed_at(number, lambda folder=folder: act(folder)), points[number]

            living.create("v-own", SIZE)
            living.sweep()
            assert draft.exists()
            assert living.leftovers() == []
            all_is_whole(living)
            act(folder)
        assert all_hold(living, [(volume, blocks, 16) for volume, blocks in TREE.items()]), points[number]


# QEMU's own locks.


@pytest.mark.parametrize("is_head", [True, False], ids=["head", "layer"])
def test_what_another_hosts_machine_has_open_is_not_touched(one, other, tmp_path, is_head):
    """The machine is of a process of its own, as one of another host is."""
    needs("qemu-storage-daemon")
    make_tree(one)
    target = "v-left" if is_head else "v-middle"
    for folder in ("host-a", "host-b"):
        (tmp_path / folder).mkdir()
    with start_daemon(tmp_path / "host-a") as guest:
        guest.open(one.blockdevs("v-left"))
        guest.put("v-left", {9: 9})

        assert other.is_open(target)
        assert other.discard([target]) == []
        with pytest.raises(VolumeBusy):
            other.drop(target)
        if is_head:
            for refused in (
                lambda: other.freeze([Succession("v-left", "v-heir")], None),
                lambda: other.absorb("v-left", None),
            ):
                with pytest.raises(VolumeBusy):
                    refused()
            with pytest.raises(PoolError):
                other.resize("v-left", 2 * SIZE)
            with start_daemon(tmp_path / "host-b") as second, pytest.raises(Exception, match="lock"):
                second.open(other.blockdevs("v-left"))
        assert guest.holds("v-left", {**TREE["v-left"], 9: 9})

    assert holds(other, "v-left", {**TREE["v-left"], 9: 9})


def test_what_is_just_leaving_no_machine_comes_to_open(one, tmp_path):
    needs("qemu-storage-daemon")
    one.create("v-one", SIZE)
    tried = []
    with start_daemon(tmp_path) as guest:

        def start(point):
            if point == "pool.remove.before":
                with pytest.raises(Exception, match="lock"):
                    guest.execute("blockdev-add", **one.blockdevs("v-one")[0])
                tried.append(point)

        killpoints.listen(start)
        try:
            one.drop("v-one")
        finally:
            killpoints.listen(None)

    assert tried


def test_nobody_switches_off_the_locks_of_images(one):
    """A head that two machines write is lost; that QEMU refuses the second is all that hosts have in common."""
    make_tree(one)

    assert "locking" not in str(one.blockdevs("v-left"))
