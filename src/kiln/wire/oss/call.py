"""What an operation of OSS is handed, and what it gives back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import BinaryIO, Protocol

from kiln.buckets.folder import FolderBuckets
from kiln.buckets.uploads import Uploads
from kiln.ground.clock import Clock
from kiln.ground.values import dataclass
from kiln.store.database import Database
from kiln.wire.doors.door import Answer, Credentials
from kiln.wire.key import Key
from kiln.wire.oss.errors import InvalidArgument
from kiln.wire.oss.request import OssRequest

_number = re.compile(r"[0-9]{1,9}").fullmatch
_control = re.compile(r"[\x00-\x1f\x7f]").search


@dataclass(frozen=True, kw_only=True)
class OssSite:
    """What is served, and to whom."""

    credentials: Credentials
    database: Database  #: Whose the buckets are.
    buckets: FolderBuckets
    uploads: Uploads
    clock: Clock
    region: str  #: Of a request whose host names none.
    own_names: tuple[str, ...] = ("localhost",)  #: Names below which buckets may be named: see ``to_oss``.


@dataclass(frozen=True, kw_only=True)
class OssCall:
    """One request, proved and allowed."""

    site: OssSite
    request: OssRequest
    key: Key
    now: float
    owner: str = ""  #: The account that has the bucket.
    body: bytes = b""  #: Of an operation that takes a short one.

    @property
    def bucket(self) -> str:
        """Its name."""
        return self.request.bucket

    @property
    def name(self) -> str:
        """The object's."""
        return self.request.name

    def text(self, parameter: str) -> str:
        """A parameter that is a text, "" where it is not given. Raises InvalidArgument for what no XML can hold."""
        value = self.request.query.get(parameter, "")
        if _control(value):
            raise InvalidArgument(name=parameter, reason="it has control characters")
        return value

    def number(self, parameter: str, default: int, most: int, least: int = 1) -> int:
        """A parameter that is a number within bounds. Raises InvalidArgument."""
        value = self.request.query.get(parameter, "")
        if not value:
            return default
        if not _number(value) or not least <= int(value) <= most:
            raise InvalidArgument(name=parameter, reason=f"it is a number from {least} to {most}")
        return int(value)

    def encoding(self) -> str:
        """How names are to be spelled: ``url``, or "" for as they are. Raises InvalidArgument."""
        value = self.request.query.get("encoding-type", "")
        if value.lower() not in ("", "url"):
            raise InvalidArgument(name="encoding-type", reason="it is url or nothing")
        return value

    def is_new_only(self) -> bool:
        """Whether the object must not be there yet. Raises InvalidArgument."""
        value = self.request.fields.get("x-oss-forbid-overwrite", "false").lower()
        if value not in ("true", "false"):
            raise InvalidArgument(name="x-oss-forbid-overwrite", reason="it is true or false")
        return value == "true"


class Incoming(Protocol):
    """Bytes that come. ``drop`` is always called at the end, and does nothing after ``keep``."""

    def write(self, piece: bytes) -> None:
        """The next of them."""

    def keep(self) -> Answer:
        """All have come."""

    def drop(self) -> None:
        """Leave nothing of what was not kept."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """Bytes that go: *length* of *file* from *start*. ``held`` is closed at the end."""

    status: int
    headers: tuple[tuple[str, str], ...]
    file: BinaryIO
    start: int
    length: int
    held: ExitStack


def to_headers(fields: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Headers of an answer, as those of a request are read: what is no ASCII travels as UTF-8."""
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    return tuple((name, value.encode().decode("latin-1")) for name, value in pairs)
