"""Disks that come packed: taken out whole, or refused, and never beyond what they may take."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import tarfile
from functools import cache

import pytest

from kiln.ground.units import KiB, MiB
from kiln.pools import unpacking
from kiln.pools.errors import Cancelled, PoolFull, SourceRefused, ToolFailed
from kiln.pools.folder import Folder
from kiln.pools.limits import ENVIRONMENT
from kiln.pools.unpacking_child import zstd
from tests.tools import needs

DISK = os.urandom(100 * KiB) + bytes(3 * MiB) + b"end of the disk" + bytes(5000)


def pack_by_zstd(content):
    """As zstd's own tool does, with a checksum."""
    return zstd.compress(content, options={zstd.CompressionParameter.checksum_flag: 1})


_PACKERS = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress, "zstd": pack_by_zstd}


@cache
def packed(kind, content):
    """What each kind makes of it; several tests want the same, which takes longer than to unpack it."""
    return _PACKERS[kind](content)


def packed_zeros(kind, size):
    """So many zeros, in streams of a MiB."""
    return packed(kind, bytes(MiB)) * (size // MiB)


@pytest.fixture
def unpack(tmp_path):
    """Unpacks a file of that content; returns what came out, and how much of it lies on the disk."""
    needs("prlimit", "setpriv")
    (tmp_path / "pool").mkdir()
    folder = Folder(tmp_path / "pool")

    def run(content, cancelled=lambda: False):
        (tmp_path / "packed").write_bytes(content)
        with (tmp_path / "packed").open("rb") as file, unpacking.unpacked(folder, file, cancelled) as disk:
            took = os.fstat(disk.fileno()).st_blocks * 512
            return os.pread(disk.fileno(), 64 * MiB, 0), took

    yield run
    assert list((tmp_path / "pool").iterdir()) == []


def an_ova(files, form=None):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize("kind", _PACKERS)
class TestCompressed:
    def test_is_unpacked_with_holes_for_zeros(self, unpack, kind):
        content, took = unpack(packed(kind, DISK))

        assert content == DISK
        assert took < 300 * KiB

    def test_may_be_several_one_after_the_other(self, unpack, kind):
        assert unpack(packed(kind, DISK[: 2 * MiB]) + packed(kind, DISK[2 * MiB :]) + bytes(1024))[0] == DISK

    @pytest.mark.parametrize("left", [20, 1000, -1, -9])
    def test_is_refused_when_it_is_cut_short(self, unpack, kind, left):
        with pytest.raises(SourceRefused, match="cut short"):
            unpack(packed(kind, DISK)[:left])

    def test_is_refused_when_it_is_damaged(self, unpack, kind):
        content = bytearray(packed(kind, DISK))
        content[len(content) // 2] ^= 0xFF

        with pytest.raises(SourceRefused, match="damaged"):
            unpack(bytes(content))

    def test_is_refused_with_something_else_behind_it(self, unpack, kind):
        with pytest.raises(SourceRefused, match="damaged"):
            unpack(packed(kind, DISK) + b"something else")

    def test_is_refused_when_it_unpacks_out_of_proportion(self, unpack, kind, monkeypatch):
        monkeypatch.setattr(unpacking, "_ALWAYS", 0)
        monkeypatch.setattr(unpacking, "_RATIO", 5)

        with pytest.raises(SourceRefused, match="out of all proportion"):
            unpack(packed_zeros(kind, 32 * MiB))

    def test_is_refused_when_nothing_is_in_it(self, unpack, kind):
        with pytest.raises(SourceRefused, match="Nothing"):
            unpack(packed(kind, b""))

    def test_leaves_others_room(self, unpack, kind, monkeypatch):
        monkeypatch.setattr(unpacking, "_ROOM_TAKEN", 0.0)

        with pytest.raises(PoolFull):
            unpack(packed(kind, DISK))

    def test_ends_when_it_is_cancelled(self, unpack, kind, monkeypatch):
        monkeypatch.setattr(unpacking, "_TICK_S", 0.001)

        with pytest.raises(Cancelled):
            unpack(packed_zeros(kind, 64 * MiB), lambda: True)


class TestOva:
    def test_gives_its_one_disk(self, unpack):
        assert unpack(an_ova({"web.ovf": b"<x/>", "web.cert": b"y", "web-disk1.vmdk": DISK}))[0] == DISK

    def test_uses_no_name_as_one(self, unpack, tmp_path):
        assert unpack(an_ova({"../../web.ovf": b"<x/>", "/etc/../disk.vmdk": DISK}))[0] == DISK

    @pytest.mark.parametrize(
        ("files", "words"),
        [
            ({"a.ovf": b"x", "a.vmdk": b"1", "b.vmdk": b"2"}, "2 disks"),
            ({"a.ovf": b"x"}, "no disk"),
            ({"a.vmdk": b"x"}, "no OVA"),
            ({"a.ovf": b"x", "b.ovf": b"y", "a.vmdk": b"1"}, "no OVA"),
            ({f"{n}.txt": b"" for n in range(1001)}, "more files"),
        ],
    )
    def test_of_another_content_is_refused(self, unpack, files, words):
        with pytest.raises(SourceRefused, match=words):
            unpack(an_ova(files))

    def test_follows_no_link(self, unpack):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("a.ovf"))
            link = tarfile.TarInfo("a.vmdk")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
            archive.addfile(link)

        with pytest.raises(SourceRefused, match="no disk"):
            unpack(packed.getvalue())

    @pytest.mark.parametrize("kind", ["sha1", "sha256", "sha512"])
    @pytest.mark.parametrize("is_last", [True, False])
    def test_is_held_against_its_manifest(self, unpack, kind, is_last):
        line = f"{kind.upper()}(web.vmdk)= {hashlib.new(kind, DISK).hexdigest()}\r\n".encode()
        files = [("web.ovf", b"<x/>"), ("web.vmdk", DISK)]
        files.insert(len(files) if is_last else 1, ("web.mf", b"SHA1(web.ovf)= 00\n" + line))
        damaged = DISK[:5000] + b"x" + DISK[5001:]

        assert unpack(an_ova(dict(files)))[0] == DISK
        with pytest.raises(SourceRefused, match="manifest"):
            unpack(an_ova(dict(files) | {"web.vmdk": damaged}))

    @pytest.mark.parametrize("manifest", [b"", b"MD5(a.vmdk)= 00", b"SHA1(b.vmdk)= 00", b"SHA1(" * 99999])
    def test_whose_manifest_says_nothing_of_the_disk_is_refused(self, unpack, manifest):
        with pytest.raises(SourceRefused, match="manifest"):
            unpack(an_ova({"a.ovf": b"x", "a.mf": manifest, "a.vmdk": DISK}))

    @pytest.mark.parametrize("name", ["a.vmdk", "a.vmdk.gz"])
    def test_may_keep_its_disk_compressed(self, unpack, name):
        packed = gzip.compress(DISK)
        manifest = f"SHA256({name})= {hashlib.sha256(packed).hexdigest()}".encode()

        assert unpack(an_ova({"a.ovf": b"x", "a.mf": manifest, name: packed}))[0] == DISK
        with pytest.raises(SourceRefused, match="damaged"):
            unpack(an_ova({"a.ovf": b"x", name: packed[:-9]}))

    @pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_may_be_of_each_kind_of_tar(self, unpack, form):
        packed = an_ova({"a.ovf": b"x", "n" * 90 + ".vmdk": DISK}, form=form)

        assert unpack(packed)[0] == DISK

    @pytest.mark.parametrize("member", ["b.vmdk", "a.mf"])
    def test_with_a_damaged_header_is_refused(self, unpack, member):
        packed = bytearray(an_ova({"a.ovf": b"x", "a.vmdk": DISK, member: b"1"}))
        packed[packed.index(member.encode(), 4 * MiB - 1 * MiB) + 1] ^= 0xFF

        with pytest.raises(SourceRefused, match="damaged"):
            unpack(bytes(packed))

    def test_without_its_end_is_refused(self, unpack):
        packed = an_ova({"a.ovf": b"x", "a.vmdk": DISK})
        length = 3 * 512 + -(-len(DISK) // 512) * 512

        with pytest.raises(SourceRefused, match="cut short"):
            unpack(packed[:length])

    @pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
    @pytest.mark.parametrize(("size", "count"), [(0o77777777777, 1), (12, 3000)])
    def test_with_headers_beyond_measure_is_refused(self, unpack, kind, size, count):
        header = tarfile.TarInfo("a")
        header.type, header.size = kind, size
        one = header.tobuf(tarfile.USTAR_FORMAT) + b"12 path=abc\n".ljust(512, b"\0")

        with pytest.raises(SourceRefused):
            unpack(an_ova({"a.ovf": b"x"})[:1024] + one * count)

    def test_with_a_disk_of_less_than_nothing_is_refused(self, unpack):
        disk = tarfile.TarInfo("a.vmdk")
        disk.size = -512

        with pytest.raises(SourceRefused):
            unpack(an_ova({"a.ovf": b"x"})[:1024] + disk.tobuf(tarfile.GNU_FORMAT) + bytes(10240))

    def test_with_a_disk_with_holes_is_refused(self, unpack):
        disk = tarfile.TarInfo("a.vmdk")
        disk.size, disk.pax_headers = 512, {"GNU.sparse.map": "0,512", "GNU.sparse.size": "1024"}
        packed = an_ova({"a.ovf": b"x"})[:1024] + disk.tobuf(tarfile.PAX_FORMAT) + bytes(10240)

        with pytest.raises(SourceRefused, match="not known here"):
            unpack(packed)

    def test_that_is_cut_short_is_refused(self, unpack):
        with pytest.raises(SourceRefused):
            unpack(an_ova({"a.ovf": b"x", "a.vmdk": DISK})[: 2 * MiB])


def test_is_unpacked_once(unpack):
    inner = gzip.compress(DISK)

    assert unpack(gzip.compress(inner))[0] == inner


def test_lets_what_is_not_packed_be(unpack):
    assert unpack(DISK)[0] == DISK
    boot_sector = b"\x1f\x8b\x08".ljust(510, b"\0") + b"\x55\xaa" + DISK
    assert unpack(boot_sector)[0] == boot_sector


def test_blames_no_file_for_what_is_not_there(unpack, tmp_path, monkeypatch):
    monkeypatch.setitem(ENVIRONMENT, "PATH", str(tmp_path))

    with pytest.raises(ToolFailed):
        unpack(gzip.compress(DISK))


def test_blames_no_file_for_want_of_memory(unpack, monkeypatch):
    # Enough for Python, which may not end when it has less than it needs to begin, and not for a window of 64 MiB.
    monkeypatch.setattr(unpacking, "_MEMORY", 80 * MiB)

    with pytest.raises(ToolFailed):
        unpack(lzma.compress(DISK, preset=9))


def test_blames_the_file_for_time_that_only_it_took(unpack, monkeypatch):
    monkeypatch.setattr(unpacking, "_CPU_S", 1)
    monkeypatch.setattr(unpacking, "_PATIENCE", 600)

    with pytest.raises(SourceRefused, match="processor"):
        unpack(bz2.compress(bytes(8 * MiB)) * 1000)


class TestZstd:
    def test_one_that_wants_more_memory_than_it_may_is_refused(self, unpack):
        # A window of 2 GiB, which the frame's header asks for.
        content = b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([(31 - 10) << 3]) + b"\x01\0\0"

        with pytest.raises(SourceRefused):
            unpack(content)

    def test_one_that_needs_a_dictionary_is_refused(self, unpack):
        words = zstd.train_dict([b"a disk of some bytes %d" % n * 9 for n in range(900)], 2000)

        with pytest.raises(SourceRefused):
            unpack(zstd.compress(DISK, zstd_dict=words))

    def test_frames_that_are_to_be_skipped_are(self, unpack):
        skipped = b"\x50\x2a\x4d\x18\x04\0\0\0note"

        content, _ = unpack(zstd.compress(DISK[:4000]) + skipped + zstd.compress(DISK[4000:]))

        assert content == DISK

    @pytest.mark.parametrize("number", range(0x50, 0x60))
    def test_one_that_begins_with_a_frame_to_be_skipped_is_unpacked(self, unpack, number):
        skipped = bytes((number, 0x2A, 0x4D, 0x18)) + b"\x04\0\0\0note"

        content, _ = unpack(skipped + zstd.compress(DISK))

        assert content == DISK

    def test_one_of_nothing_but_frames_to_be_skipped_is_refused(self, unpack):
        with pytest.raises(SourceRefused):
            unpack(b"\x50\x2a\x4d\x18\x04\0\0\0note" * 100)


def test_an_ova_of_several_disks_is_refused_with_their_names(unpack):
    files = {"a.ovf": b"<Envelope/>", "one.vmdk": DISK, "tw\u00f6\x1b.vmdk": DISK}

    with pytest.raises(SourceRefused, match=r"2 disks \(one\.vmdk, tw\?\?\.vmdk\)"):
        unpack(an_ova(files))
