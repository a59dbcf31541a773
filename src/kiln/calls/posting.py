"""One HTTP request to whoever an account names, which may be anybody: a POST, of whose answer only the status is read.

The address is chosen among those that the name has, of IPv6 and IPv4, asked
whether it may be reached, and then connected to itself, so that a name which means
another address a moment later leads nowhere else. Redirects are not followed. All of it, the
answer too, is over within a time, however slowly the other side speaks.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from kiln.networks.callout import CallsOut, read_address
from kiln.networks.own_addresses import Address

LONGEST_URL = 2048
_LONGEST_HEAD = 8192
_PORTS = {"http": 80, "https": 443}
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\r?\n")
_FORM = "of the form https://HOST[:PORT]/PATH"
_SAID_MOST = 200  # Letters of a reason that are kept.


class UrlRefused(ValueError):
    """What a URL lacks, in words."""


class Outcome(NamedTuple):
    """What became of a request."""

    status: int  #: Of the answer; 0 where none came.
    error: str = ""  #: Why it was no success; empty where it was one.


def read_url(url: str, may: CallsOut) -> SplitResult:
    """The parts of a URL that somebody gave. Raises UrlRefused."""
    if not re.fullmatch(r"[!-~]+", url) or len(url) > LONGEST_URL:
        raise UrlRefused(f"up to {LONGEST_URL} visible ASCII characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise UrlRefused(_FORM) from None
    if parts.scheme not in _PORTS or not host or port == 0:
        raise UrlRefused(_FORM)
    if "@" in parts.netloc or "#" in url:
        raise UrlRefused("without a user, a password and a fragment")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}|[0-9a-f:.]{2,45}", host):
        raise UrlRefused("with a host that is a name or an address")
    if ":" in host or re.fullmatch(r"[0-9.]+", host):
        try:
            address = read_address(host)
        except ValueError:
            raise UrlRefused("with a host that is a name or an address") from None
        if why := _why_not(may, address, parts):
            raise UrlRefused(f"of somebody whom webhooks may reach: {why}")
    return parts


def post(url: str, headers: Mapping[str, str], body: bytes, may: CallsOut, within_s: float) -> Outcome:
    """Send it, and tell what came of it; never raises for what the other side does."""
    until = time.monotonic() + within_s
    try:
        parts = read_url(url, may)
        with _connected(parts, may, until) as connection:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
            connection.settimeout(_left(until))
            connection.sendall(head.encode("ascii") + body)
            status = _status_of(connection, until)
    except TimeoutError:
        return Outcome(0, f"it took longer than {within_s:g} s")
    except (OSError, UrlRefused, UnicodeError) as error:
        return Outcome(0, _said(error))
    if 200 <= status < 300:  # noqa: PLR2004 - every success of HTTP.
        return Outcome(status)
    followed = ", and redirects are not followed" if 300 <= status < 400 else ""  # noqa: PLR2004 - as above.
    return Outcome(status, f"it answered {status}{followed}")


def _connected(parts: SplitResult, may: CallsOut, until: float) -> socket.socket:
    """A connection to an address of the host that may be reached. Raises OSError, UrlRefused."""
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [read_address(str(one[4][0])) for one in found]
    allowed = [address for address in addresses if not _why_not(may, address, parts)]
    if not allowed:
        # Not which address: that of an inner name is nobody's business who cannot look it up.
        raise UrlRefused(_why_not(may, addresses[0], parts) if addresses else f"{host} has no address")
    plain = _connected_to(allowed, port, until)
    if parts.scheme == "http":
        return plain
    try:
        plain.settimeout(_left(until))
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _connected_to(addresses: Sequence[Address], port: int, until: float) -> socket.socket:
    """A connection to the first of these, or where that is in vain to the first of the other version of IP.

    A host that has an address of IPv6 is often not to be reached there by all.
    """
    tried = list({address.version: address for address in reversed(addresses)}.values())
    tried.sort(key=addresses.index)
    for address in tried[:-1]:
        try:
            return socket.create_connection((str(address), port), _left(until) / len(tried))
        except OSError:
            continue
    return socket.create_connection((str(tried[-1]), port), _left(until))


def _why_not(may: CallsOut, address: Address, parts: SplitResult) -> str:
    """Why it is not to be reached so; empty where it is."""
    if not may.lets(address, parts.port or _PORTS[parts.scheme]):
        return "the setting webhooks_to does not let them reach this address"
    if parts.scheme == "http" and not may.names(address):
        return "without TLS they reach only networks that the setting webhooks_to names"
    return ""


def _status_of(connection: socket.socket, until: float) -> int:
    """The status of the answer. Raises OSError for what is none, or has too long a head."""
    came = b""
    while len(came) < _LONGEST_HEAD:
        if (found := _STATUS.match(came)) is not None:
            status = int(found[1])
            _, end, rest = came.partition(b"\r\n\r\n")
            if status >= 200:  # noqa: PLR2004 - others announce one.
                return status
            if end:
                came = rest
                continue
        elif b"\n" in came:
            break
        connection.settimeout(_left(until))
        piece = connection.recv(4096)
        if not piece:
            raise ConnectionError("it closed the connection before it answered")
        came += piece
    raise ConnectionError("what it answered is no HTTP")


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _said(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:_SAID_MOST]
