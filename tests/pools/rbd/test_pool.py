"""What only a pool on Ceph has: images that are shared, clients that share it, and a cluster that may be full."""

from __future__ import annotations

import json
import threading

import pytest

from kiln.pools.errors import PoolFull, RecordsTooNew, ToolFailed, VolumeBroken, VolumeBusy, VolumeMissing
from kiln.pools.port import Succession
from kiln.pools.rbd import directory
from kiln.pools.rbd.entrances import Address
from kiln.pools.rbd.images import PRESENCE
from kiln.pools.rbd.pool import RbdPool
from tests.ceph import POOL
from tests.contract.pools import TREE, make_tree
from tests.pools.kills import in_child, killed_at, points_of
from tests.pools.patterns import SIZE, holds, node, opened, put, reads_as

pytestmark = pytest.mark.ceph


def images(kind, pool):
    """What Ceph says that there is, but for what Kilns are known by."""
    address = pool._cluster.address
    listed = json.loads(kind.ceph.run("rbd", "ls", "--long", "--format=json", f"{address.pool}/{address.namespace}"))
    return {one["image"] + "@" * ("snapshot" in one) + one.get("snapshot", "") for one in listed} - {PRESENCE}


def test_keeps_the_disk_that_a_machine_has_open_through_freezes(pool):
    pool.create("v-a0", SIZE)
    before = pool.blockdevs("v-a0")

    pool.freeze([Succession("v-a0", "v-a1")], None)

    assert pool.blockdevs("v-a1") == before
    assert pool.node("v-a1") == before[0]["node-name"]
    assert pool.blockdevs("v-a0")[0]["read-only"] is True


def test_takes_back_the_snapshots_of_a_freeze_that_failed_afterwards(kind, pool):
    class Failing:
        def hold(self, act):
            act()
            raise RuntimeError

    pool.create("v-a0", SIZE)
    pool.create("v-b0", SIZE)
    before = images(kind, pool)
    disks = [Succession("v-a0", "v-a1"), Succession("v-b0", "v-b1")]

    with pytest.raises(RuntimeError):
        pool.freeze(disks, Failing())

    assert not pool.has_frozen(disks, None)
    assert sorted(pool.volumes()) == ["v-a0", "v-b0"]
    assert images(kind, pool) == before


def test_leaves_nothing_in_the_cluster_when_all_is_dropped(kind, pool):
    make_tree(pool)
    pool.absorb("v-right", None)
    pool.drop("v-left")
    pool.drop("v-middle")
    assert holds(pool, "v-right", TREE["v-right"])
    pool.absorb("v-right", None)
    pool.drop("v-base")
    assert holds(pool, "v-right", TREE["v-right"])

    pool.drop("v-right")

    assert images(kind, pool) == set()
    assert pool.leftovers() == []


def test_gives_back_what_a_head_held_when_only_its_layers_stay(kind, pool):
    pool.create("v-base", SIZE)
    pool.freeze([Succession("v-base", "v-head")], None)
    put(pool, "v-head", {0: 1})
    assert kind.allocated(pool, "v-head") > 0

    pool.drop("v-head")

    assert [size for _, size in pool.taken()] == [0]
    assert holds(pool, "v-base", {})


def test_makes_a_layer_a_head_again_when_nothing_stands_on_it(pool):
    make_tree(pool)
    for volume in ("v-left", "v-right"):
        pool.drop(volume)

    pool.grant("v-middle", None)
    put(pool, "v-middle", {8: 8})

    assert holds(pool, "v-middle", {**TREE["v-middle"], 8: 8})
    assert holds(pool, "v-base", TREE["v-base"])
    assert pool.leftovers() == []


def test_freezes_nothing_of_what_a_client_writes_without_its_machine(pool):
    pool.create("v-a0", SIZE)
    pool._patience_s = 0.5  # It lives, and is not to be waited for.

    with opened(node(pool, "v-a0", writable=True), lambda: pool.is_open("v-a0")):
        with pytest.raises(VolumeBusy, match="v-a0"):
            pool.freeze([Succession("v-a0", "v-a1")], None)
        with pytest.raises(VolumeBusy, match="v-a0"):
            pool.resize("v-a0", 2 * SIZE)
        with pytest.raises(VolumeBusy, match="v-a0"):
            pool.set_aside("v-a0")

    assert list(pool.volumes()) == ["v-a0"]


def test_lets_nothing_go_that_is_being_read_here(pool):
    pool.create("v-one", SIZE)
    with pool._departures.reading("v-one"):
        with pytest.raises(VolumeBusy, match="open"):
            pool.drop("v-one")
        assert pool.discard(["v-one"]) == []

    pool.drop("v-one")


def test_two_kilns_on_one_pool_lose_nothing_of_each_other(kind, pool, tmp_path):
    other = kind.open(tmp_path)

    def make(one, letter):
        for number in range(6):
            one.create(f"v-{letter}{number}", SIZE)
            one.freeze([Succession(f"v-{letter}{number}", f"v-{letter}{number}-heir")], None)

    both = [threading.Thread(target=make, args=(one, letter)) for one, letter in ((pool, "a"), (other, "b"))]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()

    wanted = {f"v-{letter}{number}{end}" for letter in "ab" for number in range(6) for end in ("", "-heir")}
    assert set(pool.volumes()) == set(other.volumes()) == wanted
    assert pool.leftovers() == []


def test_gives_no_name_to_what_another_kiln_has_swept_meanwhile(kind, pool, tmp_path):
    other = kind.open(tmp_path)
    pool.create("v-a0", SIZE)

    class Swept:
        def hold(self, act):
            act()
            assert other.sweep()
            return False

    disks = [Succession("v-a0", "v-a1")]
    with pytest.raises((ToolFailed, VolumeMissing)):
        pool.freeze(disks, Swept())

    assert not pool.has_frozen(disks, None)
    pool.freeze(disks, None)
    assert holds(pool, "v-a0", {})
    assert pool.leftovers() == []


def test_leaves_an_image_alone_that_another_kiln_is_filling(kind, pool, tmp_path):
    other = kind.open(tmp_path)
    pool.create("v-one", SIZE)
    (entry,) = pool._directory.read().entries.values()
    with opened(node(pool, "v-one", writable=True), lambda: pool.is_open("v-one")):
        pool._directory.change(lambda _: directory.Change(put={}, gone=frozenset({"v-one"})))

        assert other.sweep() == []

    assert other.sweep() == [entry.image]


def test_sets_a_stranger_aside(kind, pool):
    pool.create("v-one", SIZE)
    address = pool._cluster.address
    kind.ceph.run("rbd", "create", f"{address.pool}/{address.namespace}/theirs", "--size", "4M")
    (stranger,) = pool.strangers()
    assert (stranger.name, stranger.volume) == ("theirs", None)

    assert pool.set_aside(stranger) == f"{address}/lost+found.theirs"

    assert pool.strangers() == []
    assert "lost+found.theirs" in images(kind, pool)


def test_loses_nothing_when_it_is_killed_while_it_sets_aside(kind, tmp_path):
    def begin(name):
        folder = tmp_path / name
        folder.mkdir()
        pool = kind.open(folder)
        make_tree(pool)
        address = pool._cluster.address
        kind.ceph.run("rbd", "create", f"{address.pool}/{address.namespace}/theirs", "--size", "4M")
        return folder

    def act(folder):
        pool = kind.open(folder)
        for stranger in pool.strangers():
            pool.set_aside(stranger)
        if pool.exists("v-left"):
            pool.set_aside("v-left")

    folder = begin("unharmed")
    points = points_of(lambda: act(folder))
    for number, point in enumerate(points):
        kind.close()
        folder = begin(str(number))
        assert killed_at(number, lambda folder=folder: act(folder)), point

        act(folder)
        pool = kind.open(folder)
        pool.sweep()

        aside = {one for one in images(kind, pool) if one.startswith("lost+found.") and "@" not in one}
        assert {"lost+found.theirs", "lost+found.v-left"} <= aside, point
        assert sorted(pool.volumes()) == ["v-base", "v-middle", "v-right"], point
        assert all(holds(pool, volume, TREE[volume]) for volume in pool.volumes()), point
        name = kind.aside(pool, f"{pool._cluster.address}/lost+found.v-left")
        assert reads_as(name, TREE["v-left"]), point


def test_says_that_it_is_full_and_still_lets_volumes_go(kind, pool):
    make_tree(pool)
    with kind.ceph.full():
        with pytest.raises(PoolFull):
            pool.create("v-more", SIZE)
        with pytest.raises(PoolFull):
            pool.clone("v-middle", "v-more", SIZE)
        with pytest.raises(PoolFull):
            pool.freeze([Succession("v-left", "v-left1")], None)
        pool.drop("v-right")

    assert sorted(pool.volumes()) == ["v-base", "v-left", "v-middle"]
    assert holds(pool, "v-left", TREE["v-left"])
    pool.sweep()
    assert pool.leftovers() == []


def test_says_what_is_wrong_with_where_it_is_to_be(kind, tmp_path):
    nowhere = tmp_path / "ceph.conf"
    with pytest.raises(ToolFailed, match="rbd:rbd"):
        RbdPool(Address(pool=POOL, configuration=nowhere), tmp_path).exists("v-one")
    with pytest.raises(ToolFailed, match="rbd:none"):
        RbdPool(Address(pool="none", configuration=kind.ceph.configuration), tmp_path).exists("v-one")


def test_touches_no_directory_that_is_none_of_ours(pool):
    with pool._cluster.telling() as ioctx:
        ioctx.write_full(directory.NAME, b"something else")

    with pytest.raises(VolumeBroken, match=directory.NAME):
        pool.create("v-one", SIZE)


def test_is_another_client_than_a_process_that_was_forked_from_this_one(kind, pool, tmp_path):
    """Two with one address would be fenced off together: the survivor with the dead one whose lock it breaks."""
    pool.create("v-one", SIZE)
    here = tmp_path / "here"

    def note():
        other = kind.open(tmp_path)
        other.exists("v-one")
        here.write_text(address_of(other))

    kind.close()
    assert in_child(note) == 0
    again = kind.open(tmp_path)
    assert again.exists("v-one")

    assert address_of(again) != here.read_text()


def address_of(pool):
    with pool._cluster._used() as connection:
        return connection.rados.get_addrs()


def test_touches_no_directory_of_a_newer_kiln(kind, pool, tmp_path):
    pool.create("v-one", SIZE)
    with pool._cluster.telling() as ioctx:
        ioctx.write(directory.NAME, directory._HEAD % (directory.FORMAT + 1, 9), 0)

    with pytest.raises(RecordsTooNew, match=f"format {directory.FORMAT + 1}"):
        kind.open(tmp_path).drop("v-one")


def test_says_that_a_directory_is_damaged(kind, pool, tmp_path):
    pool.create("v-one", SIZE)
    with pool._cluster.telling() as ioctx, pool._cluster.rados.WriteOpCtx() as op:
        ioctx.set_omap(op, ("v-two",), (b'{"image": "kiln.v-two.0"}',))
        ioctx.operate_write_op(op, directory.NAME)

    with pytest.raises(VolumeBroken, match="directory is damaged"):
        kind.open(tmp_path).exists("v-one")
