"""UEFI variables as they are kept outside of their machine: a text that is packed, bounded, and believed in nothing.

They are the firmware's, and so the guest's, who may write anything there: Kiln looks at how long they are and no more.
"""

from __future__ import annotations

import base64
import zlib

from kiln.ground.units import KiB, MiB

#: Of the largest flash memory that a platform here has.
MOST_BYTES = 64 * MiB
#: As a text. What all firmware keeps takes some KiB of it; that of x86_64 always fits, whatever its guest writes there.
MOST_PACKED = 768 * KiB


class NotVariables(ValueError):
    """A text that nothing was packed to, or another length than the firmware has."""


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
