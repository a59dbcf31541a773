"""What a browser asked for, and what it is answered: the words of HTTP that pages need, and those that guard them."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import field
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from kiln.console import style
from kiln.console.hosts import LOOPBACK, is_loopback
from kiln.ground.values import dataclass

#: Where the console lies on its server.
ROOT = "/console"
ENTER = "/enter"  #: Below it: where a link leads to.
LINKS = "/links"  #: Below it: where whoever has keys asks for a link.
THROUGH = "/through"  #: Likewise: where a browser reaches a service elsewhere.
FORM = "application/x-www-form-urlencoded"  #: The type of what a browser's form sends.

_MOST_FIELDS = 2000
_WORTH_PACKING = 1024  #: Bytes; less fits into one packet as it is.

#: What a browser may do with an answer of ours. Nothing is inline but the style that we know by its hash, and nothing
#: comes from elsewhere, so that a name with a script in it is a name.
CONTENT_POLICY = (
    f"default-src 'none'; style-src 'self' {style.SOURCE}; "
    "script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
GUARDS: tuple[tuple[str, str], ...] = (
    ("content-security-policy", CONTENT_POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)

#: Headers by which a proxy says that a request comes from elsewhere.
_OF_PROXIES = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-real-ip")

Pairs = tuple[tuple[str, str], ...]


class Malformed(ValueError):
    """A request that no browser makes from a page of ours."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request. Raises nothing; ``of_scope`` does."""

    method: str
    path: str  #: Below ``/console``, with a slash first.
    query: Pairs = ()
    form: Pairs = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)  #: By their whole names; ``cookie`` knows ours.
    is_tls: bool = False
    is_local: bool = False  #: Whether it came from this very machine.
    peer: str = ""  #: The address that it came from; of what a proxy of this machine brings, as that says.

    def asked(self, name: str) -> str:
        """A parameter of the URL; empty where there is none."""
        return next((value for key, value in self.query if key == name), "")

    def cookie(self, name: str) -> str:
        """A cookie of this console's; empty where there is none."""
        return self.cookies.get(self.cookie_name(name), "")

    def given(self, name: str) -> str:
        """A field of the form; empty where there is none."""
        return next((value for key, value in self.form if key == name), "")

    @property
    def host(self) -> str:
        """The name that the browser asked for, in lower case and without a port; an address of IPv6 in brackets."""
        try:
            return (urlsplit(f"//{self.headers.get('host', '')}").hostname or "").strip("[]")
        except ValueError:
            return ""

    @property
    def is_safe(self) -> bool:
        """Whether a secret comes here without being seen: by TLS, from this machine, or as a proxy on it says."""
        if self.is_local and any(name in self.headers for name in _OF_PROXIES):
            return self.is_secure
        return self.is_tls or self.is_local

    @property
    def is_of_this_host(self) -> bool:
        """Whether it comes from this host by a name of the loopback, and no proxy says that it brings it."""
        is_brought = any(name in self.headers for name in (*_OF_PROXIES, "via"))
        return is_loopback(self.peer) and self.host in LOOPBACK and not is_brought

    @property
    def is_secure(self) -> bool:
        """Whether the browser speaks TLS, to us or to a proxy."""
        # Whoever makes the header up has cookies sent by TLS alone, and gains nothing.
        return self.is_tls or self.headers.get("x-forwarded-proto", "") == "https"

    def cookie_name(self, name: str) -> str:
        """A cookie's name at this server: a host's cookies are those of all its ports."""
        try:
            port = urlsplit(f"//{self.headers.get('host', '')}").port
        except ValueError:
            port = None
        return f"{name}_{port}" if port else name

    @property
    def is_from_here(self) -> bool:
        """Whether the browser, as far as it says, sends it from a page of this console, or by a person's own hand."""
        # A page without referrers sends the Origin "null", so that alone says nothing; the newer header does.
        if self.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return False
        origin = self.headers.get("origin", "null")
        try:
            return origin == "null" or urlsplit(origin).netloc == self.headers.get("host", "")
        except ValueError:
            return False


def of_scope(scope: MutableMapping[str, Any]) -> Asked:
    """The request of an ASGI scope, but for its form. Raises Malformed."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path = raw.partition(b"?")[0].decode("latin-1").removeprefix(ROOT)
    peer, server = ((scope.get(end) or ("",))[0] for end in ("client", "server"))
    is_local = is_loopback(peer) or (peer != "" and peer == server)
    told = _spoken_for(scope["headers"]) if is_local else ""
    return Asked(
        method=scope["method"],
        path=path or "/",
        query=pairs(scope["query_string"].decode("latin-1")),
        headers=headers,
        cookies=read_cookies(headers.get("cookie", "")),
        is_tls=scope.get("scheme") in ("https", "wss"),
        is_local=is_local,
        peer=told or peer,
    )


def _spoken_for(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The address that a proxy says it speaks for; empty where it says none.

    It adds that behind what that one has said itself: to the line of that, or as HAProxy does on one of its own. Some
    say the port as well, which is another one with each connection.
    """
    *_, last = [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"] or [""]
    said = last.rpartition(",")[2].strip()
    try:
        spelled = said if said.count(":") > 1 and "[" not in said else urlsplit(f"//{said}").hostname or ""
        return str(ip_address(spelled))
    except ValueError:
        return ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is sent back."""

    status: int = 200
    body: bytes = b""
    kind: str = "text/html; charset=utf-8"
    headers: Pairs = ()
    is_kept: bool = False  #: Whether a browser may keep it: its name changes with its content.

    def spelled(self, asked: Asked) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body as ASGI has them, with the guards that every answer has."""
        body = self.body
        headers = [("content-type", self.kind), *GUARDS, *self.headers]
        headers.append(("cache-control", "public, max-age=31536000, immutable" if self.is_kept else "no-store"))
        headers.append(("vary", "accept-encoding, accept-language, cookie"))
        if len(body) > _WORTH_PACKING and "gzip" in asked.headers.get("accept-encoding", ""):
            body = gzip.compress(body, compresslevel=6, mtime=0)
            headers.append(("content-encoding", "gzip"))
        headers.append(("content-length", str(len(body))))
        sent = b"" if asked.method == "HEAD" else body
        return self.status, [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers], sent


def link_path(token: str) -> str:
    """Where the link that *token* is of leads to, on its server."""
    return f"{ROOT}{ENTER}?token={token}"


def go_to(path: str, *headers: tuple[str, str]) -> Answer:
    """Have the browser go on to a page: after a change, so that to load it again changes nothing again."""
    return Answer(status=303, headers=(("location", ROOT + path), *headers))


def words(status: int, text: str) -> Answer:
    """An answer that is no page."""
    return Answer(status=status, body=f"{text}\n".encode(), kind="text/plain; charset=utf-8")


def cookie(name: str, value: str, asked: Asked, *, seconds: int | None = None) -> tuple[str, str]:
    """The header that has a browser keep a cookie that no script reads and no other site's page sends."""
    parts = [f"{asked.cookie_name(name)}={value}", f"Path={ROOT}", "HttpOnly", "SameSite=Strict"]
    parts += ["Secure"] if asked.is_secure else []
    parts += [] if seconds is None else [f"Max-Age={seconds}"]
    return "set-cookie", "; ".join(parts)


def pairs(text: str) -> Pairs:
    """The pairs of a query or a form. Raises Malformed."""
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS))
    except UnicodeDecodeError:
        raise Malformed("what was sent is no UTF-8") from None
    except ValueError:
        raise Malformed(f"{_MOST_FIELDS} fields at most are sent at once") from None


def query(given: Iterable[tuple[str, str]]) -> str:
    """``?a=b`` of pairs, or nothing of none; what is empty is left out."""
    spelled = "&".join(f"{quote(name)}={quote(value)}" for name, value in given if value)
    return f"?{spelled}" if spelled else ""


def read_cookies(header: str) -> dict[str, str]:
    """The cookies of a request, each as it stands there: ours are never quoted.

    Not by the standard library, whose time for a quoted one grows with the square of its length: a header of 16 KiB
    held up the event loop, and so everybody, for a second.
    """
    named = (one.partition("=") for one in header.split(";"))
    return {name.strip(): value.strip() for name, sign, value in named if sign}
