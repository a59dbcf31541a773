"""UEFI variables as they are kept outside of their machine: a text that is packed, bounded, and believed in nothing.

They are the firmware's, and so the guest's, who may write anything there: Kiln looks at how long they are, and at
whether the firmware would take them for its own. That is a firmware volume (PI specification, volume 3, 3.2.1) with a
store of variables (edk2, MdeModulePkg/Include/Guid/VariableFormat.h), whose headers it checks before all else. What is
damaged behind those shows in nothing.

A power cut in the midst of a reclaim, in which the firmware writes all of it anew, leaves blocks erased, and what was
to be in them in a spare area behind. As long as the first block is there OVMF completes that at its next start. Where
that was erased just then OVMF formats all of it, before it looks at the spare (``InitializeVariableFvHeader``): so it
was measured with 2022.11, in which the spare was empty then. What is damaged here is what it would throw away.
"""

from __future__ import annotations

import base64
import struct
import zlib

from kiln.ground.units import KiB, MiB

#: Of the largest flash memory that a platform here has.
MOST_BYTES = 64 * MiB
#: As a text. What all firmware keeps takes some KiB of it; that of x86_64 always fits, whatever its guest writes there.
MOST_PACKED = 768 * KiB


#: Of the beginning, in which both headers are.
HEAD_BYTES = 4 * KiB
_VOLUME = struct.Struct("<32xQ4s4xH6x")  #: What goes before; its length, its mark, and how long its header is.
_STORE = struct.Struct("<16xIBB")  #: Which kind it is; its length, that it is formatted, and that it is healthy.
_FORMATTED, _HEALTHY = 0x5A, 0xFE


class NotVariables(ValueError):
    """A text that nothing was packed to, another length than the firmware has, or what no firmware would take."""


def require_whole(head: bytes, length: int) -> None:
    """Raise NotVariables where a firmware would throw away *length* bytes of which *head* is the beginning."""
    if len(head) < _VOLUME.size:
        raise NotVariables("they are cut short")
    volume, mark, header = _VOLUME.unpack_from(head)
    if mark != b"_FVH" or header % 2 or not _VOLUME.size <= header <= len(head) - _STORE.size or volume > length:
        raise NotVariables("they do not begin as a firmware's")
    if sum(struct.unpack_from(f"<{header // 2}H", head)) % 0x10000:
        raise NotVariables("the sum of their header is wrong")
    store, formatted, healthy = _STORE.unpack_from(head, header)
    if (formatted, healthy) != (_FORMATTED, _HEALTHY) or store > volume - header:
        raise NotVariables("their store is not formatted")


def pack(content: bytes) -> str:
    """The text for *content*; empty where that would be longer than MOST_PACKED."""
    packed = base64.b64encode(zlib.compress(content)).decode()
    return packed if len(packed) <= MOST_PACKED else ""


def unpack(packed: str, length: int) -> bytes:
    """The bytes, of which there are *length*. Raises NotVariables."""
    content = _unpacked(packed, length)
    if len(content) != length:
        raise NotVariables(f"they are of a firmware that keeps another length than {length} bytes")
    return content


def require_readable(packed: str) -> None:
    """Raise NotVariables where no firmware can have it."""
    _unpacked(packed, MOST_BYTES)


def _unpacked(packed: str, most: int) -> bytes:
    """What is in it: one byte more than *most* at the most."""
    if len(packed) > MOST_PACKED:
        raise NotVariables(f"they are longer than {MOST_PACKED} characters")
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(base64.b64decode(packed, validate=True), most + 1)
    except (ValueError, zlib.error) as error:
        raise NotVariables(f"they cannot be read: {error}") from error
    if len(content) <= most and not unpacking.eof:
        raise NotVariables("they are cut short")
    if len(content) > most:
        raise NotVariables(f"they have more than {most} bytes")
    return content
