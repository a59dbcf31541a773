"""What a qcow2 file says of itself, held against all else that it says."""

from __future__ import annotations

import struct
import subprocess

import pytest

from kiln.ground.units import KiB, MiB
from kiln.pools.qcow2 import Qcow2Pool
from tests.pools.images import judged, make, patch, qemu_img, refusal
from tests.pools.patterns import bring_in, holds, inspected
from tests.tools import needs

CLUSTER = 64 * KiB
OFFSET = (1 << 56) - 512


@pytest.fixture
def image(tmp_path):
    """Sixteen clusters, each of which holds something."""
    needs("qemu-img", "qemu-io", "prlimit", "setpriv")
    (tmp_path / "raw").write_bytes(b"".join(bytes([n + 1]) * CLUSTER for n in range(16)))
    path = tmp_path / "image"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", tmp_path / "raw", path)
    assert judged(path) == ("qcow2", MiB)
    return path


def place(path, *, of):
    """Where the file has the table of clusters, its own or the counts'."""
    content = path.read_bytes()
    l1, refcounts = struct.unpack_from(">Q", content, 40)[0], struct.unpack_from(">Q", content, 48)[0]
    l2 = struct.unpack_from(">Q", content, l1)[0] & OFFSET
    block = struct.unpack_from(">Q", content, refcounts)[0] & OFFSET
    return {"header": 0, "l1": l1, "l2": l2, "refcounts": refcounts, "block": block}[of]


def put(path, n, at):
    return patch(path, place(path, of="l2") + 8 * n, struct.pack(">Q", at | 1 << 63))


@pytest.mark.parametrize("what", ["header", "l1", "l2", "refcounts"])
def test_refuses_a_cluster_on_what_describes_it(image, what):
    at = place(image, of=what)
    words = refusal(put(image, 3, at)) if at else None

    # An entry without a place stands for zeros, so that no cluster can be put on the header.
    assert words is None or "lie on each other" in words


def test_refuses_a_cluster_that_is_another(image):
    other = struct.unpack_from(">Q", image.read_bytes(), place(image, of="l2") + 8 * 5)[0] & OFFSET

    assert "lie on each other" in refusal(put(image, 3, other))


@pytest.mark.parametrize("word", [CLUSTER + 512, 5 * CLUSTER | 1 << 60, 5 * CLUSTER | 4])
def test_refuses_an_entry_that_makes_no_sense(image, word):
    assert "makes no sense" in refusal(put(image, 3, word))


def test_refuses_a_cluster_behind_the_end(image):
    assert "missing" in refusal(put(image, 3, 1 << 40))


def test_refuses_compressed_clusters_on_each_other(tmp_path):
    needs("qemu-img")
    (tmp_path / "raw").write_bytes(b"".join(f"{n:08d}".encode() for n in range(MiB // 8)))
    path = tmp_path / "image"
    qemu_img("convert", "-c", "-f", "raw", "-O", "qcow2", tmp_path / "raw", path)
    assert judged(path) == ("qcow2", MiB)
    at = place(path, of="l2")

    assert "compressed clusters lie on each other" in refusal(patch(path, at, path.read_bytes()[at + 8 : at + 16]))


@pytest.mark.parametrize("offset", [0, 2, 8, 30])
def test_takes_a_file_whose_counts_alone_are_wrong(image, tmp_path, offset):
    """Every read of it is right, since no read looks at them."""
    patch(image, place(image, of="block") + offset, b"\0\0")
    assert subprocess.run(
        ["qemu-img", "check", "-q", "-f", "qcow2", image], capture_output=True, check=False
    ).returncode
    pool = Qcow2Pool(tmp_path / "pool")

    bring_in(pool, image, inspected(pool, image))

    assert holds(pool, "v-image", {n: n + 1 for n in range(16)})


def test_takes_what_a_crash_leaves_with_lazy_refcounts(tmp_path):
    needs("qemu-img", "qemu-io", "prlimit", "setpriv")
    path = make(tmp_path / "image", "qcow2", options="lazy_refcounts=on", size=MiB)
    killed = ["-c", "write -q -P 7 0 512k", "-c", "flush", "-c", "sigraise 9"]
    subprocess.run(["qemu-io", "-f", "qcow2", *killed, path], check=False)
    assert path.read_bytes()[79] & 1, "marked as one whose counts are not to be believed"
    pool = Qcow2Pool(tmp_path / "pool")

    bring_in(pool, path, inspected(pool, path))

    assert holds(pool, "v-image", dict.fromkeys(range(8), 7))
