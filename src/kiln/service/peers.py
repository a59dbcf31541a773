"""How processes of a deployment prove to each other that they are of it, and where each is asked.

All of them have the master key, and nobody else has. From it follows the key of an
authority that each makes anew, the same everywhere, and writes nowhere. With that
each certifies, at its start, the key that it has made for itself, under the ID that
its row in the database has: so whoever asks knows that it speaks with the process
that it looked up, and with no other of the deployment's, nor one of before.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from kiln.ground.journal import Journal
from kiln.service import http
from kiln.service.assemble import Assembly
from kiln.service.authority import load, peer_identity
from kiln.service.errors import SecretBroken
from kiln.service.listening import listen
from kiln.service.secrets import Sealer
from kiln.service.settings import Settings
from kiln.wire.paths.consoles import Consoles
from kiln.wire.peers.answering import Answering
from kiln.wire.peers.lines import Lines
from kiln.wire.peers.proof import Proof, name_of

log = Journal("kiln.service")

_NAMED = "Kiln's processes"


@contextmanager
def peer_listener(settings: Settings) -> Iterator[socket.socket | None]:
    """Where others ask this process; None where there are no others. Raises NotListening."""
    if not settings.database:
        yield None
        return
    host = settings.listen.rpartition(":")[0]
    with listen(settings.peer_listen or f"{host}:0") as listener:
        yield listener


class Peers:
    """This process's part in what processes ask each other; none where it is alone."""

    def __init__(self, assembly: Assembly, listener: socket.socket | None, member: str) -> None:
        ports, asking = assembly.ports, assembly.asking
        #: Of this process's machines, and by it of others'.
        self.consoles = Consoles(ports.machines, None if asking is None else Lines(asking, ports.database))
        self.address = ""  #: HOST:PORT where it is asked; empty where it is not.
        self._asking, self._answering = asking, None
        if listener is None:
            return
        ports.terminals.door = member
        try:
            self._proof = prove(assembly.sealer, member)
        except SecretBroken as error:
            # Whatever needs no secret goes on where the key is lost.
            log.warning("no_peers", reason=str(error))
            return
        self.address = http.reach(listener)
        self._answering = Answering(ports, self.consoles, listener)

    def begin(self) -> None:
        """Ask and answer from now on, on the running event loop."""
        if self._answering is not None:
            assert self._asking is not None  # Who has others to answer has others to ask.
            self._asking.begin(self._proof)
            self._answering.begin(self._proof)

    def end(self) -> None:
        """Answer nobody any more; on the event loop's thread."""
        if self._answering is not None:
            self._answering.end()


def prove(sealer: Sealer, member: str) -> Proof:
    """The proof of the process of that ID, in the deployment whose master key *sealer* has. Raises SecretBroken."""
    secret = hashlib.sha512(sealer.derived("peers")).digest()
    own, certified = peer_identity(secret, _NAMED, name_of(member))
    return Proof(
        answers=_context(ssl.PROTOCOL_TLS_SERVER, own, certified),
        asks=_context(ssl.PROTOCOL_TLS_CLIENT, own, certified),
    )


def _context(kind: int, own: bytes, authority: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(kind)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority.decode())
    load(context, own)
    return context
