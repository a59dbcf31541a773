"""What every pool promises of volumes that a guest has open, and of a freeze under one that may not have happened."""

from __future__ import annotations

import pytest

from kiln.pools.guests import GuestError
from kiln.pools.port import Succession
from tests.contract.pools import ENCRYPTING, PLAIN
from tests.pools.patterns import BLOCK, SIZE, holds, put
from tests.pools.storage_daemon import start_daemon
from tests.tools import needs


def test_grows_a_head_that_a_guest_has_open(pool, tmp_path):
    needs("qemu-storage-daemon")
    pool.create("v-one", SIZE)
    put(pool, "v-one", {0: 5})
    pool.create("v-other", SIZE)
    with start_daemon(tmp_path) as guest:
        for blockdev in pool.blockdevs("v-one"):
            guest.execute("blockdev-add", **blockdev)

        for _ in range(2):
            pool.resize("v-one", SIZE + 4 * BLOCK, guest)
            pool.resize("v-other", SIZE + 4 * BLOCK, guest)

    assert pool.size("v-one") == pool.size("v-other") == SIZE + 4 * BLOCK
    assert holds(pool, "v-one", {0: 5}, count=20)


def test_tells_which_volumes_a_guest_uses(pool, tmp_path):
    needs("qemu-storage-daemon")
    pool.create("v-one", SIZE)
    pool.create("v-other", SIZE)
    with start_daemon(tmp_path) as guest:
        guest.open(pool.blockdevs("v-one"))

        assert pool.is_used("v-one", guest)
        assert not pool.is_used("v-other", guest)


def test_tells_that_a_freeze_has_happened_by_what_the_guest_writes_to(pool, tmp_path):
    needs("qemu-storage-daemon")
    disks = [Succession("v-a0", "v-a1"), Succession("v-b0", "v-b1")]
    for disk in disks:
        pool.create(disk.head, SIZE)
    with start_daemon(tmp_path) as guest:
        for disk in disks:
            guest.open(pool.blockdevs(disk.head))

        assert not pool.has_frozen(disks, guest)
        pool.freeze(disks, guest)
        assert pool.has_frozen(disks, guest)

    assert pool.has_frozen(disks, None)


def test_tells_that_no_freeze_has_happened_while_an_heir_was_never_made(pool):
    disks = [Succession("v-a0", "v-a1"), Succession("v-b0", "v-b1")]
    for disk in disks:
        pool.create(disk.head, SIZE)
    pool.freeze(disks[:1], None)

    assert not pool.has_frozen(disks, None)


class Mute:
    """A guest that lives, or has died, and answers nothing."""

    def __init__(self, *, is_alive):
        self._is_alive = is_alive

    def is_alive(self):
        return self._is_alive

    def stands_above(self, node):
        raise GuestError


@pytest.mark.parametrize("kind", ENCRYPTING, indirect=True)
def test_sees_to_it_that_a_mute_guest_is_never_switched_to_what_it_has_not_opened(pool):
    disks = [Succession("v-a0", "v-a1")]
    pool.create("v-a0", SIZE)
    pool.freeze(disks, None)

    assert not pool.has_frozen(disks, Mute(is_alive=True))
    assert not pool.exists("v-a1")


@pytest.mark.parametrize("kind", PLAIN, indirect=True)
def test_needs_no_guest_to_tell_where_heirs_have_names_only_once_it_has_happened(pool):
    disks = [Succession("v-a0", "v-a1")]
    pool.create("v-a0", SIZE)
    assert not pool.has_frozen(disks, Mute(is_alive=True))
    pool.freeze(disks, None)

    assert pool.has_frozen(disks, Mute(is_alive=True))
    assert pool.exists("v-a1")


def test_keeps_what_a_guest_that_died_may_have_written(pool):
    disks = [Succession("v-a0", "v-a1")]
    pool.create("v-a0", SIZE)
    pool.freeze(disks, None)

    assert pool.has_frozen(disks, Mute(is_alive=False))
    assert pool.exists("v-a1")


def test_names_nobody_who_has_a_volume_open_where_nobody_has(pool):
    """Where machines lock what they write it names nobody at all."""
    for volume in ("v-one", "v-other"):
        pool.create(volume, SIZE)

    there = pool.writers(["v-one", "v-other"])

    assert set(there) in (set(), {"v-one", "v-other"})
    assert not any(there.values())
    pool.shut_out(())
    put(pool, "v-one", {0: 5})
    assert holds(pool, "v-one", {0: 5})


def test_tells_the_names_of_those_that_have_volumes_open_by_the_volume(pool, tmp_path):
    needs("qemu-storage-daemon")
    for volume in ("v-one", "v-other"):
        pool.create(volume, SIZE)
    with start_daemon(tmp_path) as guest:
        guest.open(pool.blockdevs("v-one"))
        there = pool.writers(["v-one", "v-other"])

        assert {volume: len(who) for volume, who in there.items()} in ({}, {"v-one": 1, "v-other": 0})
        assert pool.writers(["v-one", "v-other"]) == there
