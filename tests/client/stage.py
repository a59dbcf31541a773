"""A server that does what a scene says: loopback, real sockets, for what no well service does on demand."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from kiln.client.client import Client

CLOSE = object()  #: Break the connection instead of answering.


class Stage:
    """A server that gives the answers of a list, one a request, and keeps what it was asked."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.bodies: list[str] = []
        self.peers: list[int] = []
        self.clients: list[Client] = []
        stage = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                stage.bodies.append(self.rfile.read(int(self.headers["content-length"])).decode())
                stage.peers.append(self.client_address[1])
                said = stage.script.pop(0)
                if said is CLOSE:
                    self.close_connection = True
                    return
                status, body = said
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def asked(self) -> list[dict[str, str]]:
        """The parameters of each request."""
        return [dict(parse_qsl(body, keep_blank_values=True)) for body in self.bodies]

    def client(self) -> Client:
        """A client of this server; closed with it."""
        self.clients.append(Client(self.address, "id", "secret", "cn-qingdao-env17-d01"))
        return self.clients[-1]
