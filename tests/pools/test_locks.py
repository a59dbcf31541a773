from __future__ import annotations

import pytest
from qemu.qmp import ExecuteError

from kiln.ground.bytelocks import take
from kiln.pools import locks
from kiln.pools.errors import VolumeBusy, VolumeMissing
from kiln.pools.guests import KEPT_BYTE
from kiln.pools.qcow2 import Qcow2Pool
from tests.pools.patterns import SIZE
from tests.pools.storage_daemon import start_daemon
from tests.tools import needs


@pytest.fixture
def pool(tmp_path):
    needs("qemu-storage-daemon")
    pool = Qcow2Pool(tmp_path / "pool")
    pool.create("v-a0", SIZE)
    return pool


@pytest.fixture
def guest(tmp_path, pool):
    with start_daemon(tmp_path) as daemon:
        yield daemon


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pool" / "v-a0.qcow2"


def test_sees_who_writes(pool, guest, path):
    assert not locks.is_written(path)

    guest.open(pool.blockdevs("v-a0"))
    assert locks.is_written(path)

    guest.process.kill()
    guest.process.wait()
    assert not locks.is_written(path)


def test_sees_who_reads(pool, guest, path):
    pool.clone("v-a0", "v-b0", SIZE)
    assert not locks.is_open(path)

    guest.open(pool.blockdevs("v-b0"))
    assert locks.is_open(path)

    guest.process.kill()
    guest.process.wait()
    assert not locks.is_open(path)


def test_does_not_take_readers_for_writers(pool, guest, path):
    pool.clone("v-a0", "v-b0", SIZE)
    guest.open(pool.blockdevs("v-b0"))

    assert not locks.is_written(path)
    with locks.hold_still(path):
        pass


def test_does_not_hold_still_what_is_written(pool, guest, path):
    guest.open(pool.blockdevs("v-a0"))

    with pytest.raises(VolumeBusy), locks.hold_still(path):
        pass


def test_keeps_writers_out_for_a_while(pool, guest, path):
    with locks.hold_still(path), pytest.raises(ExecuteError, match="lock"):
        guest.open(pool.blockdevs("v-a0"))

    guest.open(pool.blockdevs("v-a0"))


@pytest.mark.parametrize("ask", [locks.is_written, lambda path: locks.hold_still(path).__enter__()])
def test_says_what_is_missing(tmp_path, ask):
    with pytest.raises(VolumeMissing, match="v-gone"):
        ask(tmp_path / "v-gone.qcow2")


def test_heeds_what_is_kept_for_who_may_write_again_as_what_is_written(pool, path):
    with path.open("rb") as kept:
        take(kept.fileno(), KEPT_BYTE, shared=True)

        assert locks.is_written(path)
        assert locks.is_open(path)
        for hold in (locks.hold_still, locks.keep_closed):
            with pytest.raises(VolumeBusy), hold(path):
                pass
        with pytest.raises(VolumeBusy, match="v-a0 is kept"):
            pool.require_sole(["v-a0"])

    pool.require_sole(["v-a0"])
    assert not locks.is_open(path)
