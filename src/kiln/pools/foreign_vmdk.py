"""What Kiln demands of a VMDK file."""

from __future__ import annotations

import re
import struct

from kiln.ground.units import MiB
from kiln.ground.values import dataclass
from kiln.pools.extents import SECTOR, Extents, sectors
from kiln.pools.foreign import File, Refused, little_endian, sane_size

MAGIC = b"KDMV"
DESCRIPTION_OFFSET = 512
_HEADER = struct.Struct("<4sIIQQQQIQQQ5sH")
_DIRECTORY = slice(56, 64)
_FOOTER_BYTES = 3 * SECTOR  # A marker, the footer, and the marker of the end.
_HAS_NEWLINES, _HAS_REDUNDANT, _HAS_ZERO_GRAINS, _COMPRESSED, _HAS_MARKERS = 1, 2, 4, 1 << 16, 1 << 17
_NEWLINES = b"\n \r\n"
_MARKER = struct.Struct("<QI")
_ZERO_GRAIN = 1
_PLACE_MAX = 1 << 32  # Tables place grains by 32 bits.
_DESCRIPTION_MAX = 20 * SECTOR  # QEMU looks for a parent's name this far, whatever the header says.
_PARENT = re.compile(rb"parentfilenamehint", re.IGNORECASE)
_PARENT_ID = re.compile(rb"^[ \t]*parentCID[ \t]*=[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
_EXTENT = re.compile(
    rb'^[ \t]*(?:RW|RDONLY|NOACCESS)[ \t]+(\d+)[ \t]+(\w+)(?:[ \t]+"([^"\n]*)")?', re.IGNORECASE | re.MULTILINE
)
_TYPE = re.compile(rb'^[ \t]*createType[ \t]*=[ \t]*"([^"\n]*)"', re.IGNORECASE | re.MULTILINE)
_IN_OTHERS = "; send one that is a single sparse file."


@dataclass(frozen=True, kw_only=True)
class _Header:
    """What a header or a footer says. Offsets and sizes are in sectors."""

    version: int
    flags: int
    capacity: int
    grain: int
    description: int
    description_sectors: int
    entries: int  #: Of one table of grains.
    redundant: int  #: Where the second directory of tables is.
    directory: int
    overhead: int  #: No grain is before it.
    newlines: bytes
    compression: int
    end: int  #: In bytes; all grains lie before it.

    @property
    def tables(self) -> int:
        """How many tables of grains there are."""
        return -(-self.capacity // (self.grain * self.entries))

    @property
    def table_sectors(self) -> int:
        """How long each is."""
        return sectors(self.entries * 4)


def size(file: File) -> int:
    """Virtual size of a VMDK that is one sparse file. Raises Refused."""
    if file.read(0, len(MAGIC)) != MAGIC:
        raise Refused("The file is only the description of a VMDK" + _IN_OTHERS)
    header = _header(file)
    if header.version not in (1, 2, 3):
        raise Refused(f"Version {header.version} of VMDK is not supported.")
    size_bytes = sane_size(header.capacity * SECTOR)
    if not 1 <= header.grain <= 128 or header.grain & (header.grain - 1) or not 1 <= header.entries <= 512:  # noqa: PLR2004 - QEMU's own bounds.
        raise Refused("The image is damaged: its grains are impossible.")
    if header.flags & _HAS_NEWLINES and not header.newlines.endswith(_NEWLINES):
        raise Refused("The image is damaged: it was sent as if it were text.")
    for directory in _directories(header):
        if directory >= _PLACE_MAX or not file.holds(directory * SECTOR, header.tables * 4):
            raise Refused("The image is damaged: its table of grains lies outside the file.")
    _check_description(file, header)
    _check_grains(file, header)
    return size_bytes


def _header(file: File) -> _Header:
    """What the header says, or the footer, which is what counts in a stream: QEMU believes all of it."""
    header = file.read(0, _HEADER.size)
    if header[_DIRECTORY] != b"\xff" * 8:
        return _unpack(header, file.length)
    footer = file.read(max(0, file.length - 2 * SECTOR), _HEADER.size)
    if footer[:48] != header[:48] or footer[73:] != header[73:]:
        raise Refused("The image is damaged: its header and its footer differ.")
    return _unpack(footer, file.length - _FOOTER_BYTES)


def _unpack(data: bytes, end: int) -> _Header:
    (_, version, flags, capacity, grain, at, length, entries, redundant, directory, overhead, newlines, compression) = (
        _HEADER.unpack(data)
    )
    return _Header(
        version=version,
        flags=flags,
        capacity=capacity,
        grain=grain,
        description=at,
        description_sectors=length,
        entries=entries,
        redundant=redundant,
        directory=directory,
        overhead=overhead,
        newlines=newlines,
        compression=compression,
        end=end,
    )


def _directories(header: _Header) -> list[int]:
    return [header.directory, header.redundant] if header.flags & _HAS_REDUNDANT else [header.directory]


def _check_grains(file: File, header: _Header) -> None:
    """Refuse grains that do not lie, each in a place of its own, behind what describes them; and tables that differ."""
    if header.compression not in (0, 1) or bool(header.flags & _COMPRESSED) != bool(header.compression):
        raise Refused("The image is compressed in a way that is not known here.")
    if header.compression and not header.flags & _HAS_MARKERS:
        raise Refused("The image is damaged: its compressed grains do not say how long they are.")
    if not file.holds(0, header.overhead * SECTOR):
        raise Refused("The file is cut short.")
    claims = Extents()
    claims.add(0, 1)
    claims.add(header.description, header.description_sectors)
    directories = [_directory(file, header, at, claims) for at in _directories(header)]
    if claims.cross():
        # Asked before the tables are read, so that there are no more of them than the file has room for.
        raise Refused("The image is damaged: some of its tables lie on each other.")
    for number, places in enumerate(zip(*directories, strict=True)):
        if all(place == 0 for place in places):
            continue
        if not all(places):
            raise Refused("The image is damaged: its two directories of grains contradict each other.")
        table, *copies = (file.read(place * SECTOR, header.entries * 4) for place in places)
        if any(copy != table for copy in copies):
            raise Refused("The image is damaged: its two tables of grains contradict each other.")
        _claim(file, header, number * header.entries * header.grain, table, claims)
    if claims.cross():
        raise Refused("The image is damaged: some of its grains lie on each other or on its tables.")


def _directory(file: File, header: _Header, at: int, claims: Extents) -> list[int]:
    """Where the tables of one directory are, 0 for those that there are not; all are added to *claims*."""
    claims.add(at, sectors(header.tables * 4))
    places = little_endian("I", file.read(at * SECTOR, header.tables * 4)).tolist()
    claims.add_alike((place for place in places if place), header.table_sectors)
    return places


def _claim(file: File, header: _Header, first: int, table: bytes, claims: Extents) -> None:
    """Add one table's grains to *claims*; *first* is the first sector of the disk that it describes."""
    blank = _ZERO_GRAIN if header.flags & _HAS_ZERO_GRAINS else 0
    places = little_endian("I", table)
    used = [place for place in places if place > blank]
    if not used:
        return
    if min(used) < header.overhead:
        raise Refused("The image is damaged: some of its grains lie on its tables.")
    left = header.capacity - first
    if not header.compression and left >= header.entries * header.grain:
        if (max(used) + header.grain) * SECTOR > header.end:
            raise Refused("The file is cut short: its last grain is missing.")
        claims.add_alike(used, header.grain)
        return
    for n, place in enumerate(places):
        if place > blank:
            claims.add(place, _grain_sectors(file, header, first + n * header.grain, place))


def _grain_sectors(file: File, header: _Header, sector: int, place: int) -> int:
    """How long the grain of that *sector* of the disk is in the file; of a compressed one its marker must agree."""
    if sector >= header.capacity:
        raise Refused("The image is damaged: it has grains behind the end of the disk.")
    # The last grain of the disk need not be whole; QEMU looks only where one begins, and reads zeros behind the end.
    count = min(header.grain, header.capacity - sector) * SECTOR
    if header.compression and place * SECTOR + _MARKER.size <= header.end:
        marked, packed = _MARKER.unpack(file.read(place * SECTOR, _MARKER.size))
        if marked != sector or not 0 < packed <= 2 * header.grain * SECTOR:
            raise Refused("The image is damaged: some of its grains are not what its tables say.")
        count = _MARKER.size + packed
    if place * SECTOR + count > header.end:
        raise Refused("The file is cut short: its last grain is missing.")
    return sectors(count)


def _check_description(file: File, header: _Header) -> None:
    if header.description == 0 or not header.description_sectors:
        raise Refused("The file is one piece of a VMDK that is spread over several files" + _IN_OTHERS)
    if header.description * SECTOR != DESCRIPTION_OFFSET:
        raise Refused("The image is damaged: its description is not where it belongs.")
    if header.description_sectors * SECTOR > MiB or not file.holds(SECTOR, header.description_sectors * SECTOR):
        raise Refused("The file is cut short: its description is missing.")
    length = max(header.description_sectors * SECTOR, _DESCRIPTION_MAX)
    described = file.read(DESCRIPTION_OFFSET, min(length, file.length - DESCRIPTION_OFFSET))
    if not described[: header.description_sectors * SECTOR].strip(b"\0"):
        raise Refused("The file is one piece of a VMDK that is spread over several files" + _IN_OTHERS)
    parent_ids = [value.lower() for value in _PARENT_ID.findall(described)]
    if _PARENT.search(described) or any(value != b"ffffffff" for value in parent_ids):
        raise Refused("The image depends on a parent VMDK; consolidate it first.")
    if len(parent_ids) != 1:
        raise Refused("The image is damaged: its description does not say once whether it has a parent.")
    types = [value.lower() for value in _TYPE.findall(described)]
    if types not in ([b"monolithicsparse"], [b"streamoptimized"]):
        raise Refused("Only VMDKs of type monolithicSparse and streamOptimized are supported.")
    _check_extents(_EXTENT.findall(described), header)


def _check_extents(extents: list[tuple[bytes, bytes, bytes]], header: _Header) -> None:
    if len(extents) != 1:
        raise Refused("The image is spread over several files" + _IN_OTHERS)
    count, kind, name = extents[0]
    if kind.upper() != b"SPARSE" or b"/" in name or b"\\" in name:
        raise Refused("The image keeps its data in another file" + _IN_OTHERS)
    if int(count) != header.capacity:
        raise Refused("The image is damaged: its description gives another size than its header.")
