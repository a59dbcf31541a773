"""What a backup says of itself: a file of JSON with every other file's length and digest.

A reader passes over fields that it does not know, and refuses a newer format.
A name in it is taken for a path only where it has one of the forms below: a
backup may come from anywhere.
"""

from __future__ import annotations

import json
import re
from binascii import unhexlify
from collections.abc import Mapping
from dataclasses import asdict, field, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from kiln.ground.short_files import read_short
from kiln.ground.values import dataclass
from kiln.pools.family import NAME, SUFFIX
from kiln.service.backups.errors import BackupBroken, BackupRefused

FILE = "manifest.json"
FORMAT = 1

DATABASE = "database.sqlite"
IDENTITY = "identity"
RECORDS = "records"
VOLUMES = "volumes"  #: The folder of ``v-….qcow2``.
KEYS = "keys"  #: The folder of those below.
BUCKETS = "buckets"

TIME = 2  #: Where in a stamp the time of change is.

#: What is secret, by its name in ``keys`` and in a data folder. Without it nothing sealed or encrypted can be read.
SECRETS = ("master.key", "volumes.key", "ca.key", "ca.pem")

_MOST = 2**63 - 1  #: Of each number of a stamp.
_MOST_BYTES = 512 * 1024 * 1024
_MODES = (0o400, 0o600, 0o644)
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file: its length in bytes, the SHA-256 of all its bytes, and what the file was that it is a copy of."""

    bytes: int
    sha256: str
    source: tuple[int, ...] = ()  #: Inode, length and time of change in nanoseconds; none: not to be told again.
    mode: int = 0o600  #: Of the file that is made of it.
    attribute: str = ""  #: Of an object: what is known of it, in hexadecimal digits.


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """See the module's docstring."""

    made_at: str
    kiln: str  #: The version of the program.
    schema: str  #: The version of the database's tables.
    deployment: str
    generation: int
    files: Mapping[str, Entry]
    moments: Mapping[str, str] = field(default_factory=dict)  #: By instance, how its disks were caught.
    left_out: tuple[str, ...] = ()  #: What is not in it, in words.
    missed: Mapping[str, str] = field(default_factory=dict)  #: Instances and disks as of their last capture, and why.
    broken: Mapping[str, str] = field(default_factory=dict)  #: Volumes with headers that tell nothing, and why.
    without: tuple[str, ...] = ()  #: Instances that were to be missed.

    @property
    def lacks(self) -> tuple[str, ...]:
        """What is not in it, in words, with what could not be caught."""
        missed = (
            f"what was written to {one} since it was last captured, or made: {why}"
            for one, why in sorted(self.missed.items())
        )
        broken = (
            f"a sound {one}, which is there as it lay in the pool: {why}" for one, why in sorted(self.broken.items())
        )
        return (*missed, *broken, *self.left_out)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was missed but what was to be, and nothing is broken."""
        return self.missed.keys() <= set(self.without) and not self.broken

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(one.bytes for one in self.files.values())


def write(folder: Path, manifest: Manifest) -> None:
    """Write it into the folder; nothing is synced. Raises OSError."""
    said = {"format": FORMAT, **asdict(manifest)}
    (folder / FILE).write_text(json.dumps({**said, "checksum": checksum_of(said)}, indent=1, sort_keys=True) + "\n")


def read(folder: Path) -> Manifest:
    """The manifest of the backup in the folder. Raises BackupBroken, BackupRefused for a newer one, OSError."""
    path = folder / FILE
    if path.is_symlink() or not path.is_file():
        raise BackupBroken(f"{folder} is no backup: it has no {FILE}")
    try:
        said = json.loads(read_short(path, _MOST_BYTES))
        checksum = said.pop("checksum")
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        raise BackupBroken(f"{path} is cut short or damaged") from error
    if isinstance(said.get("format"), int) and said["format"] > FORMAT:
        raise BackupRefused(f"{path} is of format {said['format']}, and this Kiln knows {FORMAT}", "Use a newer Kiln.")
    if checksum != checksum_of(said):
        raise BackupBroken(f"{path} is not what was written: its checksum differs")
    try:
        return _manifest(said)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise BackupBroken(f"{path} lacks what a manifest has: {error}") from error


def is_known(path: str) -> bool:
    """Whether a backup may have a file of that name."""
    folder, _, name = path.partition("/")
    if folder == VOLUMES:
        return name.endswith(SUFFIX) and NAME.fullmatch(name.removesuffix(SUFFIX)) is not None
    if folder == KEYS:
        return name in SECRETS
    if folder == BUCKETS:
        parts = name.split("/")
        return len(parts) > 1 and all(part not in ("", ".", "..") and "\0" not in part for part in parts)
    return path in (DATABASE, IDENTITY, RECORDS)


def _manifest(said: dict[str, Any]) -> Manifest:
    known = {one.name for one in fields(Manifest)}
    given = {name: value for name, value in said.items() if name in known}
    files = {str(path): _entry(entry) for path, entry in said["files"].items()}
    for path in files:
        if not is_known(path):
            raise ValueError(f"{path!r} is no file of a backup")
    if DATABASE not in files:
        raise ValueError(f"{DATABASE} is not in it")
    reasons = {name: _reasons(said.get(name, {})) for name in ("moments", "missed", "broken")}
    words = {name: tuple(map(str, said.get(name, ()))) for name in ("left_out", "without")}
    return Manifest(**{**given, "files": files, **words, **reasons})


def _reasons(said: Any) -> dict[str, str]:
    """Words by what they are of."""
    if not isinstance(said, dict) or not all(isinstance(why, str) for why in said.values()):
        raise ValueError("words by name are none")
    return said


def _entry(said: dict[str, Any]) -> Entry:
    known = {one.name for one in fields(Entry)}
    entry = Entry(**{name: value for name, value in said.items() if name in known})
    if not isinstance(entry.bytes, int) or entry.bytes < 0 or not _DIGEST.fullmatch(entry.sha256):
        raise ValueError("a length or a digest is none")
    if entry.mode not in _MODES or not all(isinstance(one, int) and 0 <= one <= _MOST for one in entry.source):
        raise ValueError("a mode or a stamp is none")
    unhexlify(entry.attribute)
    return replace(entry, source=tuple(entry.source))


def checksum_of(said: Mapping[str, Any]) -> str:
    """The SHA-256 of what a manifest says, without this one."""
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
