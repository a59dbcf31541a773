"""Images that inspection lets pass, and that still must not get in, or not as they claim."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time

import pytest

from kiln.ground.units import KiB, MiB
from kiln.pools import moves
from kiln.pools.errors import PoolFull, SourceRefused, ToolFailed
from kiln.pools.limits import ENVIRONMENT, Limits
from kiln.pools.qcow2 import Qcow2Pool
from tests.mounts import mounted
from tests.pools.images import patch
from tests.pools.patterns import believed, bring_in, holds, inspected, put, reads_as
from tests.tools import needs


@pytest.fixture
def pool(tmp_path):
    needs("qemu-img", "qemu-io", "prlimit", "setpriv")
    return Qcow2Pool(tmp_path / "pool")


def make(path, form, content, *arguments):
    """An image of *content* that qemu-img makes."""
    data = path.with_suffix(".data")
    data.write_bytes(content)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", form, *arguments, data, path], check=True)
    data.unlink()
    return path


def bring(pool, path, form, size):
    """Bring in without inspection, as if it had let the file pass."""
    bring_in(pool, path, believed(path, form, size))


@pytest.mark.parametrize(
    ("form", "options"), [("qcow2", ""), ("vmdk", "subformat=monolithicSparse"), ("vmdk", "subformat=streamOptimized")]
)
@pytest.mark.parametrize("cut", [300 * KiB, 700 * KiB])
def test_refuses_an_image_whose_data_are_cut_off(pool, tmp_path, form, options, cut):
    path = make(tmp_path / "image", form, os.urandom(MiB), *(["-o", options] if options else []))
    os.truncate(path, (path.stat().st_size - cut) // 512 * 512)

    with pytest.raises(SourceRefused, match="cut short"):
        bring_in(pool, path, inspected(pool, path, form))

    assert list(pool.volumes()) == pool.sweep() == []


def test_refuses_clusters_that_stand_for_many(pool, tmp_path):
    """All of an image's first-level entries point to one table, so that a small file reads as a large one."""
    path = tmp_path / "image"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "512G"], check=True)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -q 0 64k", path], check=True)
    with path.open("r+b") as file:
        file.seek(40)
        (table,) = struct.unpack(">Q", file.read(8))
        file.seek(table)
        entry = file.read(8)
        file.seek(table)
        file.write(entry * 1024)

    with pytest.raises(SourceRefused, match="lie on each other"):
        bring_in(pool, path, inspected(pool, path))


def test_refuses_a_small_file_that_unpacks_to_more_than_there_is(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    with mounted("-t", "tmpfs", "-o", "size=8m", "tmpfs", folder):
        pool = Qcow2Pool(folder / "pool")
        path = make(tmp_path / "image", "qcow2", b"\x55" * (64 * MiB), "-c")
        assert path.stat().st_size < MiB

        with pytest.raises(PoolFull, match="may take"):
            bring(pool, path, "qcow2", 64 * MiB)

        assert list(pool.volumes()) == pool.sweep() == []


@pytest.mark.parametrize(("form", "options"), [("qcow2", ("-c",)), ("vmdk", ("-o", "subformat=streamOptimized"))])
def test_refuses_compressed_data_that_make_no_sense(pool, tmp_path, form, options):
    path = make(tmp_path / "image", form, os.urandom(MiB // 2).hex().encode(), *options)
    # A block of a kind that deflate does not have; what is damaged further behind may unpack to something.
    patch(path, _first_packed(path.read_bytes(), form), b"\xff" * 64)

    with pytest.raises(SourceRefused, match="could not be read to the end"):
        bring_in(pool, path, inspected(pool, path, form))


def _first_packed(content, form):
    """Where the first compressed cluster or grain of the file begins."""
    if form == "vmdk":
        (directory,) = struct.unpack_from("<Q", content, 56)
        (table,) = struct.unpack_from("<I", content, directory * 512)
        return struct.unpack_from("<I", content, table * 512)[0] * 512 + 12
    (l1,) = struct.unpack_from(">Q", content, 40)
    (l2,) = struct.unpack_from(">Q", content, l1)
    return struct.unpack_from(">Q", content, l2 & (1 << 56) - 512)[0] & (1 << 54) - 1


def test_tells_a_fault_of_the_machine_from_one_of_the_file(pool, tmp_path, monkeypatch):
    """qemu-img ends with the same status, be it short of memory or of sense."""
    path = make(tmp_path / "image", "qcow2", os.urandom(MiB))
    source = inspected(pool, path)
    monkeypatch.setattr(moves, "_LOOK", Limits(memory_bytes=20 * MiB))

    with pytest.raises(ToolFailed):
        bring_in(pool, path, source)


def test_says_that_qemu_img_is_missing(pool, tmp_path, monkeypatch):
    path = make(tmp_path / "image", "qcow2", os.urandom(MiB))
    source = inspected(pool, path)
    monkeypatch.setitem(ENVIRONMENT, "PATH", str(only(tmp_path, "setpriv", "prlimit")))

    with pytest.raises(ToolFailed, match="qemu-img"):
        bring_in(pool, path, source)


def only(folder, *tools):
    """A folder for PATH in which these alone are."""
    (folder / "bin").mkdir()
    for tool in tools:
        (folder / "bin" / tool).symlink_to(shutil.which(tool))
    return folder / "bin"


def test_reads_a_vhd_by_its_size_and_not_by_its_geometry(pool, tmp_path):
    """Virtual PC's own files are cut by QEMU to whole cylinders unless it is told not to."""
    path = make(tmp_path / "image", "vpc", b"\1" * (MiB + 512), "-o", "force_size=on")
    content = bytearray(path.read_bytes())
    footer = content[:28] + b"vpc " + content[32:64] + bytes(4) + content[68:512]
    footer[64:68] = struct.pack(">I", ~sum(footer) & 0xFFFFFFFF)
    content[:512] = content[-512:] = footer
    path.write_bytes(content)

    bring_in(pool, path, inspected(pool, path, "vpc"))

    assert pool.size("v-image") == MiB + 512
    assert holds(pool, "v-image", dict.fromkeys(range(16), 1))


def test_leaves_a_backing_file_closed_even_if_one_is_named(pool, tmp_path):
    secret = make(tmp_path / "secret", "raw", b"\1" * MiB)
    path = tmp_path / "image"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", path, "1M"], check=True)

    bring(pool, path, "qcow2", MiB)

    assert holds(pool, "v-image", {})


def test_sends_out_over_what_was_there(pool, tmp_path):
    pool.create("v-image", MiB)
    (tmp_path / "sent").write_text("something older")

    pool.send_out("v-image", tmp_path / "sent", "raw", lambda _: None, lambda: False)

    assert (tmp_path / "sent").read_bytes() == bytes(MiB)


def test_sees_what_lies_in_the_page_cache(tmp_path):
    path = tmp_path / "layer"
    path.write_bytes(os.urandom(MiB))
    assert moves._is_cached(path)

    # The kernel need not drop a page that it was asked to drop, so it is asked until it does.
    deadline = time.monotonic() + 300
    while dropped(path) and moves._is_cached(path):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def dropped(path):
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


@pytest.mark.parametrize("form", ["raw", "qcow2", "vpc", "vmdk", "vdi"])
@pytest.mark.parametrize("is_cached", [True, False])
def test_sends_out_what_is_in_the_page_cache_and_what_is_not(pool, tmp_path, form, is_cached):
    pool.create("v-image", MiB)
    put(pool, "v-image", {3: 3, 15: 9})
    if not is_cached:
        dropped(tmp_path / "pool" / "v-image.qcow2")

    pool.send_out("v-image", tmp_path / "sent", form, lambda _: None, lambda: False)

    driver = f'json:{{"driver":"{form}","file":{{"driver":"file","filename":"{tmp_path / "sent"}"}}}}'
    assert reads_as(driver, {3: 3, 15: 9})
