"""HTTP by hand: what is sent is exactly what stands here, byte for byte."""

from __future__ import annotations

import base64
import hmac
import json
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import quote

from kiln.testing import Served


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def members(self) -> dict[str, Any]:
        """The body, which is JSON."""
        return json.loads(self.body)


class Connection:
    """One connection to a served Kiln."""

    def __init__(self, stream: socket.socket, file: IO[bytes]) -> None:
        self._socket = stream
        self._file = file

    def send(self, raw: bytes) -> None:
        """Send these bytes."""
        self._socket.sendall(raw)

    def end(self) -> None:
        """Send nothing more, and go on to read."""
        self._socket.shutdown(socket.SHUT_WR)

    def request(self, line: str, headers: dict[str, str], body: bytes = b"") -> Reply:
        """Send a request and read its reply. Content-Length and Host are added where they are not given."""
        whole = {"Host": "ecs.example", "Content-Length": str(len(body))} | headers
        head = "".join(f"{name}: {value}\r\n" for name, value in whole.items())
        self.send(f"{line} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        return self.reply(has_body=not line.startswith("HEAD "))

    def reply(self, *, has_body: bool = True) -> Reply:
        """Read one reply."""
        status = self._file.readline()
        assert status.startswith(b"HTTP/1.1 "), status
        headers = {}
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = self._file.read(int(headers["content-length"])) if has_body and "content-length" in headers else b""
        return Reply(int(status.split()[1]), headers, body)

    def is_closed(self) -> bool:
        """Whether the server has closed the connection."""
        return self._file.read(1) == b""


@contextmanager
def connect(kiln: Served) -> Iterator[Connection]:
    """A connection, closed at the end."""
    with socket.create_connection(kiln.address, timeout=300) as stream, stream.makefile("rb") as file:
        yield Connection(stream, file)


def signed(kiln: Served, method: str, params: dict[str, str]) -> dict[str, str]:
    """*params* with all that the RPC signature adds, by its published description."""
    whole = {
        "AccessKeyId": kiln.access_key_id,
        "Format": "JSON",
        "RegionId": kiln.region,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": str(uuid.uuid4()),
        "SignatureVersion": "1.0",
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "Version": "2014-05-26",
        **params,
    }
    text = f"{method}&%2F&{quote(encode(whole), safe='~')}"
    signature = base64.b64encode(hmac.digest(f"{kiln.secret}&".encode(), text.encode(), "sha1")).decode()
    return whole | {"Signature": signature}


def encode(params: dict[str, str], safe: str = "") -> str:
    """*params* as a query, sorted; the characters of *safe* are left as they are."""
    return "&".join(f"{quote(k, safe='~' + safe)}={quote(params[k], safe='~' + safe)}" for k in sorted(params))
