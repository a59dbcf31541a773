"""Who webhooks tell: an HTTP server that keeps what came, and answers as it is told to.

with receiving() as receiver:               # answers 204
    receiver.url                            # http://127.0.0.1:PORT/hook
    receiver.answers = [500, 204]           # the next ones; the last of them goes on
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kiln.networks.callout import CallsOut

HERE = CallsOut("127.0.0.1/32,::1/128")


@dataclass
class Came:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """As https://github.com/standard-webhooks/standard-webhooks says that a receiver finds out, by hand."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = b".".join([self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body])
        right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        given = [one.split(",", 1) for one in self.headers["webhook-signature"].split(" ")]
        return any(version == "v1" and hmac.compare_digest(told, right) for version, told in given)


@dataclass
class Receiver:
    url: str
    came: list[Came] = field(default_factory=list)
    answers: list[int] = field(default_factory=lambda: [204])
    more: dict[str, str] = field(default_factory=dict)  #: Headers of its answers.
    refused: set[str] = field(default_factory=set)  #: Resources, and types, of whose events it takes none.

    def answer(self, came: Came) -> int:
        """The status that it answers with."""
        if self.refused and not self.refused.isdisjoint((came.event["type"], came.event["data"].get("resourceId"))):
            return 422
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def receiving(context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Receiver]:
    """A receiver on a free port of that address, until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            came = Came(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            receiver.came.append(came)
            self.send_response(receiver.answer(came))
            for name, value in receiver.more.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    server = Server((host, 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] - of a client that leaves.
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if context is None else "https"
    named = f"[{host}]" if ":" in host else host
    receiver = Receiver(f"{scheme}://{named}:{server.server_address[1]}/hook?a=b")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
