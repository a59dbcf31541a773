"""The one disk of an OVA: a tar archive of an OVF description, disks, and often a manifest of digests.

For the process that unpacks: the archive is read in pieces, no name in it is
ever used as one, no link is followed, and nothing of it is kept in memory but
a bounded part. Source: DSP0243, the specification of OVF.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from kiln.ground.units import KiB, MiB
from kiln.pools.foreign import Refused

_PIECE = 1 * MiB
_HEADER_MOST = 1 * MiB  # What a name, or the record of one member, may have.
_MANIFEST_MOST = 256 * KiB
_MEMBERS_MOST = 1000
_NAME_MOST = 40  #: Characters of a member's name that are told on.
_NAMES_MOST = 4
_DISKS = (".vmdk", ".vhd", ".qcow2", ".img", ".raw", ".vmdk.gz", ".vhd.gz", ".qcow2.gz", ".img.gz", ".raw.gz")
_DIGEST = re.compile(rb"(SHA1|SHA256|SHA512)\s*\((.*)\)\s*=\s*([0-9a-fA-F]+)\s*")
_DAMAGED = "The archive is damaged or cut short."
#: What tarfile raises, beside its own, of headers that contradict themselves or stand on each other without end.
_BROKEN = (tarfile.TarError, ValueError, KeyError, IndexError, OverflowError, RecursionError)


def disk_of(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of the disk, in pieces, as they lie in the archive; a manifest's digest of it is compared at the end.

    Raises Refused when the archive is damaged or no OVA of one disk, OSError.
    """
    source = _Bounded(file)
    disk, manifest = _chosen(_members(source))
    wanted = _digest_of(disk, source, manifest) if manifest else None
    digest = hashlib.new(wanted[0]) if wanted else None
    for piece in _content(disk, source):
        if digest:
            digest.update(piece)
        yield piece
    if wanted and digest and digest.hexdigest() != wanted[1]:
        raise Refused("The OVA is damaged: its disk is not the one that its manifest (.mf) has the digest of.")


class _Bounded:
    """The archive's file; whoever would read more at once than any header has is refused."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, count: int) -> bytes:
        if not 0 <= count <= _HEADER_MOST:
            raise Refused(_DAMAGED)
        return self._file.read(count)


def _members(source: _Bounded) -> list[tarfile.TarInfo]:
    """What is in the archive, up to its end, which has to be there: tarfile takes a damaged header for one."""
    members: list[tarfile.TarInfo] = []
    try:
        with tarfile.open(fileobj=source, mode="r:") as archive:  # type: ignore[call-overload]
            for member in archive:
                if len(members) >= _MEMBERS_MOST:
                    raise Refused("The archive has more files than any OVA.")
                if member.size < 0:
                    raise Refused(_DAMAGED)
                members.append(member)
            source.seek(archive.offset)
    except _BROKEN as error:
        raise Refused(_DAMAGED) from error
    if source.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise Refused(_DAMAGED)
    return members


def _chosen(members: list[tarfile.TarInfo]) -> tuple[tarfile.TarInfo, tarfile.TarInfo | None]:
    """The disk, and the manifest if there is one."""
    disks = [member for member in members if member.isreg() and member.name.lower().endswith(_DISKS)]
    manifests = [member for member in members if member.isreg() and member.name.lower().endswith(".mf")]
    if sum(member.name.lower().endswith(".ovf") for member in members) != 1 or len(manifests) > 1:
        raise Refused("The file is a tar archive and no OVA; take the disk out of it first: tar xf FILE.")
    if len(disks) != 1:
        names = ", ".join(_printable(disk.name) for disk in disks[:_NAMES_MOST])
        told = f"{len(disks)} disks ({names})" if disks else "no disk"
        raise Refused(f"The OVA has {told}; take them out of it, and import each: tar xf FILE.")
    return disks[0], manifests[0] if manifests else None


def _digest_of(disk: tarfile.TarInfo, source: _Bounded, manifest: tarfile.TarInfo) -> tuple[str, str]:
    """The kind and the value, in small hexadecimal digits, of what the manifest says of the disk."""
    if manifest.size > _MANIFEST_MOST:
        raise Refused("The manifest (.mf) of the OVA is longer than any.")
    name = disk.name.removeprefix("./").encode(errors="surrogateescape")
    for line in b"".join(_content(manifest, source)).splitlines():
        said = _DIGEST.fullmatch(line.strip())
        if said and said[2].strip().removeprefix(b"./") == name:
            return said[1].decode().lower(), said[3].decode().lower()
    raise Refused(
        "The manifest (.mf) of the OVA has no digest of its disk that is known here (SHA1, SHA256, SHA512); "
        "take the disk out of it, and import it: tar xf FILE."
    )


def _content(member: tarfile.TarInfo, source: _Bounded) -> Iterator[bytes]:
    if member.issparse():
        raise Refused("The OVA keeps its disk in a way that is not known here; take it out first: tar xf FILE.")
    source.seek(member.offset_data)
    left = member.size
    while left:
        piece = source.read(min(_PIECE, left))
        if not piece:
            raise Refused(_DAMAGED)
        left -= len(piece)
        yield piece


def _printable(name: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in name[:_NAME_MOST])
