"""The shapes that all doors share.

A door decides whether a request is meant for it, proves who sent it, and
spells the answer in its own way. It knows no operation by name, and asks
storage only through ``Credentials`` and ``Nonces``.

    request -> choose -> door.admit -> (somebody runs the operation) -> door.answer
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol

from kiln.calls.sessions import Session
from kiln.declare.errors import ApiError
from kiln.declare.products import ActionKey
from kiln.ground.values import dataclass
from kiln.wire.key import Key
from kiln.wire.nonces import Nonces

Format = Literal["JSON", "XML"]


@dataclass(frozen=True, kw_only=True)
class RawRequest:
    """A request as it came, nothing decoded.

    ``headers`` have lower-case names and values decoded as Latin-1, which is
    what ASGI servers hand over. ``path`` is the path as sent, still encoded.
    """

    method: str
    path: str
    query_string: bytes
    headers: list[tuple[str, str]]
    body: bytes
    client_host: str = ""
    is_tls: bool = False
    came_at: float = field(default_factory=time.perf_counter, compare=False)  #: When all of it was there.

    @cached_property
    def fields(self) -> Mapping[str, str]:
        """Headers by lower-case name, read as UTF-8 where they are; repeated ones sorted and joined by ``,``."""
        found = dict(self.headers)
        if len(found) == len(self.headers) and "".join(found.values()).isascii():
            return found
        several: dict[str, list[str]] = {}
        for name, value in self.headers:
            several.setdefault(name, []).append(value if value.isascii() else _utf8(value))
        return {name: ",".join(sorted(values)) for name, values in several.items()}

    @property
    def host(self) -> str:
        """What the client calls this server; it comes back as HostId."""
        return self.fields.get("host", "")


def _utf8(raw: str) -> str:
    try:
        return raw.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return raw


class Credentials(Protocol):
    """Who may come in. Called once a request, before the signature is proved."""

    def access_key(self, key_id: str) -> Key | None:
        """The AccessKey of that id."""

    def session(self, token: str) -> Key | None:
        """The key that this token is of, whether its time is over or not; None of what is no token of ours."""

    def app(self, app_key: str) -> Key | None:
        """The application of that AppKey."""

    def instance(self, instance_id: str, role: str) -> Key | None:
        """The instance of that ID, while it has the role that its guest's keys name. It has no secret itself."""

    def users(self, account_id: str) -> frozenset[str]:
        """Mail addresses of the people who may use the account's apps; empty when none are configured."""


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """A request whose sender is proved.

    ``params`` holds what the operation may want, known or not; whatever served
    the proof (keys, signatures, nonces, times) has been taken out.
    """

    account_id: str
    key: ActionKey
    params: dict[str, str]
    format: Format
    access_key_id: str
    session: Session | None = None
    user_email: str | None = None
    region: str = ""  #: That the host which the sender signed for is named for, if it is.


class Answer(NamedTuple):
    """An HTTP answer, whole but for Content-Length. Header names are lower-case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Door(Protocol):
    """One way in, and out again."""

    @property
    def name(self) -> str:
        """For logs and metrics."""

    def recognises(self, request: RawRequest) -> bool:
        """Whether the request is meant for this door, well made or not."""

    def admit(self, request: RawRequest, credentials: Credentials, nonces: Nonces, now: float) -> Admitted:
        """Prove the request at *now* (seconds since the epoch), or raise the ApiError that says why not.

        The nonce is remembered only after everything else about the proof was right.
        """

    def answer(
        self,
        request: RawRequest,
        outcome: Mapping[str, Any] | ApiError,
        request_id: str,
        admitted: Admitted | None,
    ) -> Answer:
        """Spell *outcome*; *admitted* is None when the request was refused at the door."""
