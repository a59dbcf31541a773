"""Where a service listens, and the certificates that it shows there.

At ``listen`` one port speaks HTTP and TLS, so that a client which was led here
finds what it begins with. At ``tls`` nothing but TLS is spoken, for who wants to
be sure that nobody sends anything in the clear.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from kiln.ground.journal import Journal
from kiln.service.authority import Authority
from kiln.service.certificates import KnownCertificates
from kiln.service.errors import AuthorityBroken, NotListening
from kiln.service.http import bound, reach
from kiln.service.settings import Settings, to_address
from kiln.wire.http.names import OwnNames

log = Journal("kiln.service")


@contextmanager
def listeners(settings: Settings) -> Iterator[list[socket.socket]]:
    """The sockets: that of ``listen``, and behind it that of ``tls`` where it is set. Raises NotListening."""
    with ExitStack() as stack:
        yield [stack.enter_context(listen(one)) for one in (settings.listen, settings.tls) if one]


def listen(address: str) -> socket.socket:
    """A socket that listens at HOST:PORT. Raises NotListening."""
    host, port = to_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise NotListening(address, error) from error
    return listener


def known_certificates(
    settings: Settings, sockets: Sequence[socket.socket], say: Callable[[str], None]
) -> tuple[OwnNames, KnownCertificates | None]:
    """The names by which clients at *sockets* mean this Kiln, and what it shows there. Who calls holds the data folder.

    The authority is made where there is none. Nothing is shown where key or certificate are damaged, or the disk takes
    none: HTTP goes on without TLS, and *say* is told. Raises AuthorityBroken, OSError where the settings ask for TLS.
    """
    own = (socket.gethostname(), settings.public_endpoint, *map(bound, sockets), *map(reach, sockets))
    names = OwnNames(own, settings.own_names)
    authority = Authority(settings.folder)
    try:
        authority.make()
        authority.check()
    except (AuthorityBroken, OSError) as error:
        if settings.tls:
            raise
        log.warning("no_certificates", reason=str(error))
        say(f"there is no TLS, nor CONNECT: {error}")
        return names, None
    return names, KnownCertificates(authority, names, [one.getsockname()[1] for one in sockets[1:]])
