"""What is known of an object beside its bytes: its checksums, and what its writer said of it.

It lies in an extended attribute of the object's file, so that it comes into
being, moves and goes with it. The attribute names the length and the time of
the bytes that it is of: where somebody else has written to the file since, it
is of nothing, and so is what no door has written. Such an object's ETag is made
of what the file system says.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field

from kiln.buckets.port import FactsRefused
from kiln.ground.values import dataclass

#: The extended attribute that holds them, version 1 of it: see docs/internals/bytes-on-disk.md.
ATTRIBUTE = "user.kiln.object"

#: ext4 gives all attributes of a file one block of 4 KiB, less what its own take.
MOST_BYTES = 3072


@dataclass(frozen=True, kw_only=True)
class ObjectFacts:
    """See the module."""

    etag: str  #: Without quotes. The MD5 in capital hexadecimal digits, unless there is a hyphen in it.
    crc64: int | None = None  #: CRC-64/XZ of the bytes, where it is known.
    headers: Mapping[str, str] = field(default_factory=dict)  #: ``content-type`` and its like, as the writer sent them.

    @property
    def kind(self) -> str:
        """``Normal``, or ``Multipart`` of one that came in parts: what OSS calls it."""
        return "Multipart" if self.etag.partition("-")[2] not in ("", "0") else "Normal"


def keep(descriptor: int, facts: ObjectFacts) -> None:
    """Write *facts* beside the bytes of an open file, which are all there by now.

    A file system that keeps no attributes keeps the bytes alone. Raises
    FactsRefused where the writer would lose what only it knows.
    """
    raw = dump(facts, os.fstat(descriptor))
    _check_length(raw)
    try:
        os.setxattr(descriptor, ATTRIBUTE, raw)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.E2BIG, errno.ERANGE):
            raise
        if set(facts.headers) - {"content-type"}:
            raise FactsRefused("the file system of this bucket keeps no headers of objects") from None


def require_short(headers: Mapping[str, str]) -> None:
    """Raise FactsRefused for headers that no object of an upload can keep, whatever its bytes will be."""
    longest = ObjectFacts(etag=f"{'F' * 32}-10000", crc64=2**64 - 1, headers=headers)
    _check_length(_spell(longest, 2**63 - 1, 2**63 - 1))


def _check_length(raw: bytes) -> None:
    if len(raw) > MOST_BYTES:
        raise FactsRefused(f"headers of an object may take {MOST_BYTES} bytes together")


def dump(facts: ObjectFacts, found: os.stat_result) -> bytes:
    """What is written for a file of which *found* is so."""
    return _spell(facts, found.st_size, found.st_mtime_ns)


def _spell(facts: ObjectFacts, size_bytes: int, mtime_ns: int) -> bytes:
    of_file = {"version": 1, "size": size_bytes, "mtime_ns": mtime_ns}
    return json.dumps(of_file | {"etag": facts.etag, "crc64": facts.crc64, "headers": dict(facts.headers)}).encode()


def known(file: int | str, found: os.stat_result) -> ObjectFacts:
    """The facts of a file, by its descriptor or its path, of which *found* is so."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(os.getxattr(file, ATTRIBUTE, follow_symlinks=isinstance(file, int)))
        if (told["version"], told["size"], told["mtime_ns"]) == (1, found.st_size, found.st_mtime_ns):
            return ObjectFacts(etag=told["etag"], crc64=told["crc64"], headers=told["headers"])
    of_file = f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns}"
    return ObjectFacts(etag=f"{hashlib.md5(of_file.encode(), usedforsecurity=False).hexdigest().upper()}-0")
