"""Power cuts: what a recorded disk gives back, and that a promise that is not kept is noticed."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from kiln.ground.units import MiB
from tests.kill.kilns import open_kiln, settle
from tests.pools.patterns import BLOCK
from tests.tools import needs
from torment import blocklog
from torment.campaign import Skipped, Verdict
from torment.sections import power

_SIZE = 32 * MiB


class Chosen(random.Random):
    """Chance that chooses what is wanted."""

    def __init__(self, wanted: str) -> None:
        super().__init__(1)
        self._wanted = wanted

    def choice(self, seq):
        assert self._wanted in seq
        return self._wanted


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, int]:
    """A recorded disk, and how long its log was when one file had been synced, and when another had been written."""
    folder = tmp_path_factory.mktemp("recorded")
    try:
        with blocklog.record(folder, _SIZE) as disk:
            with (disk.folder / "synced").open("wb") as file:
                file.write(b"a" * 100_000)
                file.flush()
                os.fsync(file.fileno())
            parent = os.open(disk.folder, os.O_RDONLY)
            os.fsync(parent)
            os.close(parent)
            synced = disk.recorded()
            # What is written again lies on the disk before it is told to flush: a cut can come between.
            with (disk.folder / "synced").open("r+b") as file:
                file.write(b"b" * 100_000)
            os.sync()
    except Skipped as reason:
        if not reason.may_be:
            needs("qemu-storage-daemon", "mke2fs", "losetup", "mount", "umount")
        pytest.skip(str(reason))
    return folder, synced, (folder / "log").stat().st_size


@pytest.mark.parametrize("how", ["all", "nothing", "some", "torn"])
def test_what_was_synced_is_there_whatever_a_cut_kept_back(recorded, tmp_path, how):
    folder, synced, _ = recorded
    writes = blocklog.read_log(folder)
    until = next(n for n, write in enumerate(writes) if write.end >= synced) + 1

    blocklog.cut(folder, writes, until, Chosen(how), tmp_path / "left")

    with blocklog.mounted_copy(tmp_path / "left", tmp_path / "again"):
        assert (tmp_path / "again" / "synced").read_bytes() == b"a" * 100_000


def test_what_was_not_flushed_can_be_kept_back(recorded, tmp_path):
    folder, synced, _ = recorded
    writes = blocklog.read_log(folder)
    later = [n for n, write in enumerate(writes) if write.at >= synced and not write.is_flush]
    until = next(n for n in later if writes[n].size >= 64 * 1024) + 1

    read = {}
    for how in ("all", "nothing"):
        blocklog.cut(folder, writes, until, Chosen(how), tmp_path / "left")
        with blocklog.mounted_copy(tmp_path / "left", tmp_path / "again"):
            read[how] = (tmp_path / "again" / "synced").read_bytes()

    assert b"b" in read["all"]
    assert read["nothing"] == b"a" * 100_000


def test_notices_an_image_that_reads_as_something_else_and_a_start_that_fails(tmp_path):
    needs("qemu-img", "qemu-io")
    data = tmp_path / "data"
    with open_kiln(data) as cloud:
        bucket = data / "buckets" / "bucket"
        bucket.mkdir()
        (bucket / "disk.raw").write_bytes(b"".join(bytes([byte]) * BLOCK for byte in (1, 2, 3, 4)))
        mapping = {"DiskDeviceMapping.1.OSSBucket": "bucket", "DiskDeviceMapping.1.OSSObject": "disk.raw"}
        image = cloud.call("ImportImage", mapping)["ImageId"]
        settle(cloud)

    def tried(*holds: list[int]) -> Verdict:
        return power._try(data, [power.Promise(image, [list(one) for one in holds], 0)], "cut").verdict

    assert tried([1, 2, 3, 4]) is Verdict.HELD
    assert tried([1, 2, 3, 5]) is Verdict.LOST
    assert tried() is Verdict.LOST
    (data / "kiln.sqlite").write_bytes(b"no database")
    assert tried([1, 2, 3, 4]) is Verdict.FAILED


def test_a_promise_stands_from_its_word_until_it_is_taken_back():
    promise = power.Promise("m-1", [[1]], since=10, until=20)

    assert [promise.stands_at(length) for length in (9, 10, 19, 20)] == [False, True, True, False]
    assert power.Promise("m-1", [[1]], since=10).stands_at(10**9)
