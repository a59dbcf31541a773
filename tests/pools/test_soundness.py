"""What is called sound without qemu-img, qemu-img calls sound as well; and what is usual needs no qemu-img."""

from __future__ import annotations

import random
import struct
import subprocess

import pytest

from kiln.ground.units import MiB
from kiln.pools import overlay, qemu_img
from kiln.pools.errors import ToolFailed
from kiln.pools.qcow2 import Qcow2Pool
from kiln.pools.soundness import is_plainly_sound
from tests.pools.images import qemu_img as run_qemu_img
from tests.pools.patterns import put
from tests.tools import needs

SIZE = 6 * MiB
CLUSTER = 128 * 1024
COPIED, OFFSET = 1 << 63, 0x00FFFFFFFFFFFE00
FORMS = {
    "as Kiln makes them": overlay.OPTIONS,
    "plain": "cluster_size=64k",
    "of small clusters": "cluster_size=4k",
}
FEW, MANY = 60, 3000


@pytest.fixture
def volume(tmp_path):
    """A head on a layer, with some data; returns its file."""
    needs("qemu-img", "qemu-io", "qemu-storage-daemon")
    pool = Qcow2Pool(tmp_path / "pool")
    pool.create("v-0", SIZE)
    pool.clone("v-0", "v-1", SIZE)
    put(pool, "v-1", {0: 1, 3: 2, 5: 3})
    return tmp_path / "pool" / "v-1.qcow2"


def complaints(file):
    """What qemu-img says of a file by itself; a file that it will not open is damaged, too."""
    node = {"driver": "qcow2", "file": {"driver": "file", "filename": str(file)}, "backing": None}
    try:
        return qemu_img.check(node)
    except ToolFailed as error:
        return [str(error)]


class Editor:
    """A volume's file, to be damaged."""

    def __init__(self, file):
        self.file = file
        self.data = bytearray(file.read_bytes())
        self.l1 = self.word(40)
        self.refcounts = self.word(48)
        self.block = self.word(self.refcounts)
        self.l2 = self.word(self.l1) & OFFSET
        size = 16 if self.data[79] & 1 << 4 else 8
        self.entries = [at for at in range(self.l2, self.l2 + (1 << self.data[23]), size) if self.word(at) & OFFSET]

    def word(self, at):
        return struct.unpack_from(">Q", self.data, at)[0]

    def put(self, at, form, value):
        struct.pack_into(form, self.data, at, value)
        return self

    def put_count(self, offset, value):
        return self.put(self.block + offset // CLUSTER * 2, ">H", value)

    def write(self):
        self.file.write_bytes(self.data)


def first(e):
    return e.word(e.entries[0])


DAMAGES = {
    "a count of 0": lambda e: e.put_count(first(e) & OFFSET, 0),
    "a count of 2": lambda e: e.put_count(first(e) & OFFSET, 2),
    "a leaked cluster": lambda e: e.put_count(40 * CLUSTER, 1),
    "two on one cluster": lambda e: e.put(e.entries[1], ">Q", first(e)),
    "data on the header": lambda e: e.put(e.entries[0], ">Q", COPIED),
    "data on the table of tables": lambda e: e.put(e.entries[0], ">Q", e.l1 | COPIED),
    "data on a table": lambda e: e.put(e.entries[0], ">Q", e.l2 | COPIED),
    "data on the counts": lambda e: e.put(e.entries[0], ">Q", e.block | COPIED),
    "data outside the file": lambda e: e.put(e.entries[0], ">Q", 4096 * CLUSTER | COPIED),
    "data between clusters": lambda e: e.put(e.entries[0], ">Q", first(e) + 512),
    "data not marked as its own": lambda e: e.put(e.entries[0], ">Q", first(e) & ~COPIED),
    "reserved bits of data": lambda e: e.put(e.entries[0], ">Q", first(e) | 1 << 58),
    "data called compressed": lambda e: e.put(e.entries[0], ">Q", first(e) & ~COPIED | 1 << 62),
    "both data and zeros": lambda e: e.put(e.entries[0] + 8, ">Q", 0xFFFFFFFF_FFFFFFFF),
    "data without a place": lambda e: e.put(e.l2 + 40 * 16 + 8, ">Q", 1),
    "a table outside the file": lambda e: e.put(e.l1, ">Q", 4096 * CLUSTER | COPIED),
    "a table between clusters": lambda e: e.put(e.l1, ">Q", (e.l2 + 512) | COPIED),
    "a table on the table of tables": lambda e: e.put(e.l1, ">Q", e.l1 | COPIED),
    "a table not marked as its own": lambda e: e.put(e.l1, ">Q", e.l2),
    "reserved bits of a table": lambda e: e.put(e.l1, ">Q", e.l2 | COPIED | 1),
    "a table that is lost": lambda e: e.put(e.l1, ">Q", 0),
    "a table of tables outside the file": lambda e: e.put(40, ">Q", 4096 * CLUSTER),
    "a table of tables that is short": lambda e: e.put(36, ">I", 0),
    "counts outside the file": lambda e: e.put(e.refcounts, ">Q", 4096 * CLUSTER),
    "counts between clusters": lambda e: e.put(e.refcounts, ">Q", e.block + 512),
    "counts that are lost": lambda e: e.put(e.refcounts, ">Q", 0),
    "one block of counts twice": lambda e: e.put(e.refcounts + 8, ">Q", e.block),
    "a table of counts outside the file": lambda e: e.put(48, ">Q", 4096 * CLUSTER),
    "no table of counts": lambda e: e.put(56, ">I", 0),
    "the mark of corruption": lambda e: e.put(79, ">B", e.data[79] | 2),
    "not closed": lambda e: e.put(79, ">B", e.data[79] | 1),
    "data in another file": lambda e: e.put(79, ">B", e.data[79] | 4),
    "an unknown feature": lambda e: e.put(72, ">B", 1),
    "a file of bitmaps": lambda e: e.put(95, ">B", 1),
    "a snapshot of its own": lambda e: e.put(60, ">I", 1),
    "an unknown version": lambda e: e.put(4, ">I", 9),
    "no magic": lambda e: e.put(0, ">I", 0),
    "impossible clusters": lambda e: e.put(20, ">I", 40),
    "a key": lambda e: e.put(32, ">I", 2),
    "a header without end": lambda e: e.put(100, ">I", 1 << 30),
    "a name longer than its place": lambda e: e.put(16, ">I", 1 << 20),
    "an extension without end": lambda e: e.put(e.word(96) % 2**32 + 4, ">I", 1 << 20),
    "a file cut to its header": lambda e: e.data.__delitem__(slice(CLUSTER, None)),
    "a file cut in its middle": lambda e: e.data.__delitem__(slice(len(e.data) // 2, None)),
    "an empty file": lambda e: e.data.clear(),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGES)
def test_leaves_what_is_odd_to_qemu_img(volume, kind):
    assert is_plainly_sound(volume)
    assert complaints(volume) == []
    editor = Editor(volume)

    DAMAGES[kind](editor)
    editor.write()

    assert not is_plainly_sound(volume)


@pytest.mark.parametrize(
    "kind", ["a count of 0", "two on one cluster", "data outside the file", "counts that are lost"]
)
def test_a_damaged_volume_is_complained_of(volume, kind):
    editor = Editor(volume)
    DAMAGES[kind](editor)
    editor.write()

    assert Qcow2Pool(volume.parent).verify(volume.stem) != []


@pytest.mark.parametrize("form", FORMS)
def test_knows_what_qemu_leaves_behind(tmp_path, form):
    needs("qemu-img", "qemu-io")
    file = tmp_path / "v.qcow2"
    run_qemu_img("create", "-q", "-f", "qcow2", "-o", FORMS[form], file, SIZE)
    assert is_plainly_sound(file)
    for command in ("write -P 1 0 1M", "write -P 2 3M 64k", "write -z 1M 1M", "discard 0 512k", "write -P 3 4M 100k"):
        work(file, command)
        assert complaints(file) == []
        assert is_plainly_sound(file), command
    qemu_img.resize({"driver": "qcow2", "file": {"driver": "file", "filename": str(file)}}, 64 * SIZE)
    assert is_plainly_sound(file)


def work(file, command):
    command_line = ["qemu-io", "-f", "qcow2", "-d", "unmap", "-c", command, str(file)]
    subprocess.run(command_line, check=True, capture_output=True)


def test_calls_no_empty_overlay_odd(tmp_path):
    for size in (512, SIZE, 1 << 40, 20 << 40):
        file = tmp_path / f"v{size}.qcow2"
        file.touch()
        overlay.write(file, size, "v-below.qcow2")
        assert is_plainly_sound(file)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_calls_nothing_sound_that_qemu_img_does_not(tmp_path, form):
    needs("qemu-img", "qemu-io")
    file = tmp_path / "v.qcow2"
    run_qemu_img("create", "-q", "-f", "qcow2", "-o", FORMS[form], file, SIZE)
    for command in ("write -P 1 0 1M", "write -z 1M 512k", "write -P 2 3M 64k"):
        work(file, command)
    good = file.read_bytes()
    chance = random.Random(8)
    editor = Editor(file)
    tables = [0, editor.l1, editor.refcounts, editor.block, editor.l2]
    tried = 0
    for _ in range(MANY):
        data = bytearray(good)
        # Most of a table is zero, and what matters is in its first words.
        at = chance.choice(tables) + chance.randrange(chance.choice([8, 112, 512]))
        data[at] = chance.choice([0, 1, 2, 128, 255, data[at] ^ 1 << chance.randrange(8), chance.randrange(256)])
        if data == good:
            continue
        file.write_bytes(data)
        if is_plainly_sound(file):
            tried += 1
            assert complaints(file) == [], f"byte {at} is {data[at]}"
            if tried == FEW:
                break
    assert tried > 0
