"""Who still writes a disk on Ceph when a machine is started on it elsewhere."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager

import pytest

from kiln.pools.errors import VolumeBusy
from tests.pools.kills import killed_at
from tests.pools.patterns import SIZE, command_for, holds, node, opened, put
from tests.waiting import wait_for

pytestmark = pytest.mark.ceph


@contextmanager
def writer(pool, volume):
    """A client that has the volume open, and what it is told to do with it."""
    command = command_for(node(pool, volume, writable=True))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as it:
        wait_for(lambda: pool.is_open(volume))
        yield lambda words: it.communicate(f"{words}\nquit\n")[0]


def test_writes_no_more_once_it_is_cut_off(pool):
    pool.create("v-one", SIZE)
    put(pool, "v-one", {0: 5})
    with writer(pool, "v-one") as told:
        pool.cut_off(["v-one"])
        wait_for(lambda: not pool.is_open("v-one"))

        assert "write failed" in told("write -q -P 9 0 64k")

    assert holds(pool, "v-one", {0: 5})


def test_leaves_alone_who_writes_other_volumes_and_itself(pool):
    for volume in ("v-one", "v-two"):
        pool.create(volume, SIZE)
    with writer(pool, "v-two") as told:
        with pool._cluster.image(image_of(pool, "v-one")):
            pool.cut_off(["v-one"])

        assert "failed" not in told("write -q -P 9 0 64k")

    pool.create("v-three", SIZE)
    assert holds(pool, "v-two", {0: 9})


def test_cuts_off_again_what_a_kill_left(kind, pool, tmp_path):
    pool.create("v-one", SIZE)
    for number in range(2):
        with writer(pool, "v-one") as told:
            kind.close()
            assert killed_at(number, lambda: kind.open(tmp_path).cut_off(["v-one"]))

            again = kind.open(tmp_path)
            again.cut_off(["v-one"])

            assert "write failed" in told("write -q -P 9 0 64k")
        pool = again
        assert holds(pool, "v-one", {})


def test_leaves_kilns_alone(kind, pool, tmp_path):
    """One opens an image of another's machine for a moment, such as to remove a snapshot below what it writes."""
    pool.create("v-one", SIZE)
    other = kind.open(tmp_path)
    other.make_known()
    with other._cluster.image(image_of(pool, "v-one")):
        pool.cut_off(["v-one"])
        pool.require_sole(["v-one"])

    other.create("v-two", SIZE)
    assert sorted(pool.volumes()) == ["v-one", "v-two"]


def test_tells_that_two_machines_have_a_disk_open(pool):
    for volume in ("v-one", "v-two"):
        pool.create(volume, SIZE)
    with writer(pool, "v-one"):
        pool.require_sole(["v-one", "v-two"])
        with opened(node(pool, "v-one", writable=True), lambda: two_are_there(pool, "v-one")):
            with pytest.raises(VolumeBusy, match="open elsewhere, too"):
                pool.require_sole(["v-two", "v-one"])
            pool.require_sole(["v-two"])

    pool.require_sole(["v-one"])


def test_of_two_that_have_a_disk_open_the_one_that_is_not_shut_out_writes_on(pool):
    pool.create("v-one", SIZE)
    with writer(pool, "v-one") as first:
        mine = pool.writers(["v-one"])["v-one"]
        with opened(node(pool, "v-one", writable=True), lambda: two_are_there(pool, "v-one")):
            pool.shut_out(pool.writers(["v-one"])["v-one"] - mine)

            assert pool.writers(["v-one"]) == {"v-one": mine}

        assert "failed" not in first("write -q -P 9 0 64k")

    assert holds(pool, "v-one", {0: 9})


def test_names_who_has_each_volume_open(pool):
    for volume in ("v-one", "v-two"):
        pool.create(volume, SIZE)

    def counted():
        return {volume: len(who) for volume, who in pool.writers(["v-one", "v-two"]).items()}

    assert pool.writers([]) == {}
    with writer(pool, "v-one"):
        assert counted() == {"v-one": 1, "v-two": 0}
        with writer(pool, "v-two"):
            there = pool.writers(["v-one", "v-two"])
            assert len(there["v-one"] | there["v-two"]) == 2
        with opened(node(pool, "v-one", writable=True), lambda: two_are_there(pool, "v-one")):
            assert counted() == {"v-one": 2, "v-two": 0}


def test_who_is_shut_out_by_its_name_writes_no_more(kind, pool, tmp_path):
    """Wherever who does it is killed, it is done when it is done again."""
    for volume in ("v-one", "v-two"):
        pool.create(volume, SIZE)
    for number in range(2):
        with writer(pool, "v-one") as one, writer(pool, "v-two") as two:
            names = frozenset().union(*pool.writers(["v-one", "v-two"]).values())
            kind.close()
            assert killed_at(number, lambda: kind.open(tmp_path).shut_out(names))  # noqa: B023 - it is done with by then.

            pool = kind.open(tmp_path)
            pool.shut_out(names)

            assert all("write failed" in told("write -q -P 9 0 64k") for told in (one, two))
    assert holds(pool, "v-one", {})
    assert holds(pool, "v-two", {})


def two_are_there(pool, volume):
    with pool._cluster.image(image_of(pool, volume), is_looked_at=True) as looked_at:
        return len(list(looked_at.watchers_list())) == 2


def image_of(pool, volume):
    """The name that a volume's image has in Ceph."""
    (blockdev,) = pool.blockdevs(volume)
    return blockdev["image"]
