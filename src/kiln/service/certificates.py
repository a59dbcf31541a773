"""Certificates of the names that Kiln answers to, each made when a client first asks for it.

A name is one of the cloud's, or what this Kiln is called otherwise: the names
that a setting adds, the addresses where it listens, ``localhost``, and the
public endpoint (``kiln.wire.http.names``). For other
names there is no certificate, so that nobody who is led here by mistake, or on
purpose, takes Kiln for somebody else.

All share one key that lives as long as the process; what is kept of each is
bounded, as names of buckets are anybody's to make up.
"""

from __future__ import annotations

import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from kiln.ground.clock import system_clock
from kiln.service.authority import LEAF_S, Authority, load, new_key, pem_of
from kiln.wire.http.names import LOOPBACK, OwnNames

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

#: So many are kept, some ten KiB each.
_KEPT = 256

#: As ``ssl.SSLContext.sni_callback`` is called, and what it answers: None, or an alert.
_Choice = Callable[[ssl.SSLObject, str | None, ssl.SSLContext], int | None]


class KnownCertificates:
    """See the module. Used on the event loop's thread alone."""

    def __init__(
        self, authority: Authority, names: OwnNames | None = None, alone: Iterable[int] = (), most: int = _KEPT
    ) -> None:
        """At the ports *alone* all is TLS."""
        self._authority = authority
        self._names = names or OwnNames()
        self._alone = frozenset(alone)
        self._most = most
        self._kept: OrderedDict[str, tuple[float, ssl.SSLContext]] = OrderedDict()

    def of_address(self, host: str) -> ssl.SSLContext:
        """See ``Certificates``. Who asks for no name means an address: that one, or any that is ours."""
        names = tuple(dict.fromkeys((host, *LOOPBACK, *self._names.hosts)))
        return self._context(f"address {host}", names, self._choose)

    def of_tunnel(self, target: str, own: tuple[str, int]) -> ssl.SSLContext | None:
        """See ``Certificates``."""
        host = self._names.tunnelled(target, own)
        if host is None:
            return None
        return self._of_name(host) if host else self.of_address(own[0])

    def is_alone(self, port: int) -> bool:
        """See ``Certificates``."""
        return port in self._alone

    def _choose(self, tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        """Show the certificate of the name that is asked for, on a connection to any of our addresses."""
        if name is None:
            return None
        name = name.lower()
        if not self._names.is_any(name):
            return int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
        tls.context = self._of_name(name)
        return None

    def _of_name(self, name: str) -> ssl.SSLContext:
        def is_it(_: ssl.SSLObject, asked: str | None, __: ssl.SSLContext) -> int | None:
            is_other = asked is not None and asked.lower() != name
            return int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME) if is_other else None

        return self._context(name, (name,), is_it)

    def _context(self, kept_as: str, names: tuple[str, ...], choose: _Choice) -> ssl.SSLContext:
        now = time.monotonic()
        kept = self._kept.get(kept_as)
        if kept is not None and now - kept[0] < LEAF_S / 3:
            self._kept.move_to_end(kept_as)
            return kept[1]
        context = self._make(names)
        context.sni_callback = choose
        self._kept[kept_as] = now, context
        self._kept.move_to_end(kept_as)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return context

    def _make(self, names: tuple[str, ...]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        # A ticket answers the last word of a client's handshake at once. Without any, a client that gathers small
        # packets kept its request back until this host acknowledged that word: for 40 ms.
        context.num_tickets = 1
        context.set_alpn_protocols(["http/1.1"])
        leaf = self._authority.certify(names, self._key, datetime.fromtimestamp(system_clock(), UTC))
        load(context, pem_of(self._key) + leaf)
        return context

    @cached_property
    def _key(self) -> EllipticCurvePrivateKey:
        """It lives as long as the process, and nobody keeps it."""
        return new_key()
