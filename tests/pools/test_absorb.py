from __future__ import annotations

import os

import pytest

from kiln.ground import killpoints
from kiln.ground.units import KiB, MiB
from kiln.pools import absorb
from kiln.pools.errors import ToolFailed, VolumeBusy
from kiln.pools.port import Succession
from kiln.pools.qcow2 import Qcow2Pool
from tests.pools.patterns import SIZE
from tests.tools import needs


def holed(path, *data):
    """A file of 8 MiB with pieces of data between holes."""
    with path.open("wb") as file:
        for at, count in data:
            file.seek(at)
            file.write(os.urandom(count))
        file.truncate(8 * MiB)
    return path


@pytest.mark.parametrize(
    "data",
    [(), ((0, 4 * KiB),), ((0, 8 * MiB),), ((64 * KiB, 4 * KiB), (3 * MiB, 1 * MiB)), ((8 * MiB - 4 * KiB, 4 * KiB),)],
    ids=["nothing", "the beginning", "everything", "pieces", "the end"],
)
def test_copies_data_and_holes(tmp_path, data):
    source = holed(tmp_path / "source", *data)
    (tmp_path / "target").touch()

    absorb.copy_sparsely(source, tmp_path / "target")

    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    assert (tmp_path / "target").stat().st_blocks <= source.stat().st_blocks


def test_replaces_nothing_that_another_has_merged_meanwhile(tmp_path):
    """A worker that stood still took what was merged further by then back to a layer that was to be removed."""
    needs("qemu-img")
    pool = Qcow2Pool(tmp_path / "pool")
    pool.create("v-a0", SIZE)
    pool.freeze([Succession("v-a0", "v-a1")], None)
    pool.freeze([Succession("v-a1", "v-a2")], None)
    claims = pool._departures.claims

    def merge_too(point):
        if point == "pool.absorb.rebased":
            killpoints.listen(None)
            claims.close()  # As a server forgets the locks of a host that stood still for long.
            pool.absorb("v-a2", None)
            pool.absorb("v-a2", None)

    killpoints.listen(merge_too)
    try:
        with pytest.raises(VolumeBusy, match="v-a2 was replaced"):
            pool.absorb("v-a2", None)
    finally:
        killpoints.listen(None)

    assert pool.parent("v-a2") is None


class Liar:
    """A guest that says it has streamed, and has not."""

    def has_node(self, node):
        return True

    def require_home(self, volumes, leads_home):
        return None

    def follow(self, chains):
        return True

    def stream(self, node, base, backing_file, passphrases=None):
        return None


def test_does_not_believe_a_guest_without_looking(tmp_path):
    needs("qemu-img")
    pool = Qcow2Pool(tmp_path / "pool")
    pool.create("v-a0", SIZE)
    pool.freeze([Succession("v-a0", "v-a1")], None)

    with pytest.raises(ToolFailed, match="does not stand on nothing"):
        pool.absorb("v-a1", Liar())
