"""Whose pool a folder is: a small file in a hidden folder of it, and a look at both that changes nothing."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.pools.errors import IdentityBroken, IdentityTooNew
from kiln.pools.family import SUFFIX, is_volume
from kiln.pools.folder import Folder, minding_room
from kiln.pools.port import Generation, Identity
from kiln.pools.records import FOLDER_MODE, Summary, summarise

HIDDEN = ".kiln"  #: In the pool's folder; hidden entries are no strangers there.
FORMAT = 1
_NAME = "identity"
_MOST_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What was seen of a pool without touching it."""

    identity: Identity | None
    volumes: frozenset[str]
    records: Summary | None


class IdentityFile:
    """The identity in a folder, which need not exist: a line of JSON with a checksum, replaced whole or not at all."""

    def __init__(self, folder: Folder) -> None:
        self._path = folder.path / _NAME
        self._folder = folder

    def read(self) -> Identity | None:
        """What it says; None when there is no such file. Raises IdentityBroken, IdentityTooNew, OSError."""
        try:
            with self._path.open("rb") as file:
                raw = file.read(_MOST_BYTES)
        except FileNotFoundError:
            return None
        return parsed(raw)

    def write(self, identity: Identity) -> None:
        """Say who it is; on the disk when this returns. Raises PoolFull, OSError."""
        line = spelled(identity)
        with minding_room():
            self._folder.path.mkdir(mode=FOLDER_MODE, exist_ok=True)
        with self._folder.draft() as draft:
            draft.write_bytes(line)
            reach("identity.drafted")
            self._folder.replace(draft, _NAME)
        reach("identity.written")


def look(folder: Path) -> Sight:
    """See whose the pool in *folder* is and what it holds. Changes nothing, and the folder need not exist.

    Raises IdentityBroken, IdentityTooNew, RecordsTooNew, OSError.
    """
    try:
        with os.scandir(folder) as entries:
            volumes = frozenset(entry.name.removesuffix(SUFFIX) for entry in entries if is_volume(entry))
    except FileNotFoundError:
        return Sight(identity=None, volumes=frozenset(), records=None)
    hidden = folder / HIDDEN
    return Sight(identity=IdentityFile(Folder(hidden)).read(), volumes=volumes, records=summarise(hidden))


def spelled(identity: Identity) -> bytes:
    """An identity as it is kept: a line of JSON with a checksum."""
    said = {"format": FORMAT, **asdict(identity)}
    return json.dumps({**said, "checksum": _checksum(said)}).encode() + b"\n"


def parsed(raw: bytes) -> Identity:
    """What such a line says. Raises IdentityBroken, IdentityTooNew."""
    try:
        said: dict[str, Any] = json.loads(raw)
        checksum = said.pop("checksum", "")
        if isinstance(said.get("format"), int) and said["format"] > FORMAT:
            raise IdentityTooNew(f"the pool's identity is of format {said['format']}; this Kiln knows {FORMAT}")
        if checksum != _checksum(said):
            raise IdentityBroken("the file that says whose pool it is is damaged")
        begun = said["next"]
        return Identity(
            str(said["deployment"]),
            _generation(said["generation"]),
            None if begun is None else _generation(begun),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IdentityBroken("the file that says whose pool it is is empty, cut short or damaged") from error


def _generation(said: dict[str, Any]) -> Generation:
    return Generation(int(said["number"]), str(said["mark"]))


def _checksum(said: dict[str, Any]) -> str:
    return blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=8).hexdigest()
