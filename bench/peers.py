"""Others that one could take instead of Kiln: moto and MiniStack, as PyPI has them, in an environment of their own.

Both speak the EC2 protocol of AWS, keep what they know in memory, have no disks
and check no signature. ``tools/lock.sh`` pins them, and ``./kiln bench --peers``
installs what it pins.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from bench.server import Server
from kiln.service.ending import end

_ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = _ROOT / ".venv-peers"
_LOCK = _ROOT / "requirements-peers.lock"
_PATIENCE_S = 300.0
_PAUSE_S = 0.005
_HEADERS = {
    "Content-Type": "application/x-www-form-urlencoded",
    # Nobody checks it, but the service that is meant is read from it.
    "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDBENCH/20260101/us-east-1/ec2/aws4_request, "
    "SignedHeaders=host, Signature=" + "0" * 64,
}


class NoPeers(Exception):
    """They are not installed; the message says how they get here."""


@dataclass(frozen=True)
class Peer:
    """One of them."""

    package: str
    name: str  #: As it calls itself.
    command: Sequence[str]  #: With {port}, on 127.0.0.1.
    environment: Mapping[str, str]  #: With {port} and {folder}.

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {pinned(self.package)}"


PEERS = (
    # Without the six hundred images that it begins with: what is asked for is to be among as many as elsewhere.
    Peer("moto", "moto", ("moto_server", "-H", "127.0.0.1", "-p", "{port}"), {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}),
    Peer("ministack", "MiniStack", ("ministack",), {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": "{port}"}),
)


def pinned(package: str) -> str:
    """The version of a package that the lock file pins. Raises NoPeers when it pins none."""
    for line in _LOCK.read_text().splitlines():
        name, is_pin, version = line.partition("==")
        if is_pin and name == package:
            return version.split()[0]
    raise NoPeers(f"{_LOCK.name} pins no {package}")


def check_installed(environment: Path = ENVIRONMENT) -> None:
    """Raise NoPeers unless every one of them can be started."""
    missing = [peer.name for peer in PEERS if not (environment / "bin" / peer.command[0]).exists()]
    if missing:
        raise NoPeers(f"there is no {' and no '.join(missing)} in {environment}: ./kiln bench --peers installs them")


@contextmanager
def start_peer(peer: Peer, folder: Path, core: int | None) -> Iterator[Server]:
    """Have it serve until the context ends, on *core* alone where one is given; what it writes lands in *folder*.

    Raises RuntimeError with its last words when it ends, and TimeoutError, before it has answered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = str(_free_port())
    program, *arguments = (word.format(port=port) for word in peer.command)
    own = {name: value.format(port=port, folder=folder) for name, value in peer.environment.items()}
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "TMPDIR": str(folder), **own}
    log = folder / "log"
    began = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen(
            [ENVIRONMENT / "bin" / program, *arguments],
            cwd=folder,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509 - no threads yet.
        )
    server = Server(f"http://127.0.0.1:{port}", process.pid, folder, 0.0, core)
    try:
        _until_it_answers(peer, server, process, log)
        yield Server(server.endpoint, server.pid, folder, time.monotonic() - began, core)
    finally:
        end(process, 10)


def _until_it_answers(peer: Peer, server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while process.poll() is None:
        try:
            status, _ = ask(server, "DescribeImages", {"ImageId.1": "ami-00000000000000000"})
        except OSError:
            status = 0  # It does not listen yet.
        if status:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{peer.title} did not answer within {_PATIENCE_S:.0f} s: {_last_words(log)}")
        time.sleep(_PAUSE_S)
    raise RuntimeError(f"{peer.title} ended with {process.returncode} before it answered: {_last_words(log)}")


def _last_words(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").split())[-500:] or "it said nothing"


def to_bytes(server: Server, action: str, params: Mapping[str, str]) -> bytes:
    """A whole request of the EC2 protocol."""
    body = _form(action, params)
    headers = {"Host": server.endpoint.removeprefix("http://"), **_HEADERS, "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST / HTTP/1.1\r\n{head}\r\n{body}".encode()


def ask(server: Server, action: str, params: Mapping[str, str]) -> tuple[int, str]:
    """The status and the body of one answer."""
    connection = http.client.HTTPConnection(server.endpoint.removeprefix("http://"), timeout=_PATIENCE_S)
    try:
        connection.request("POST", "/", _form(action, params), _HEADERS)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def _form(action: str, params: Mapping[str, str]) -> str:
    return urlencode({"Action": action, "Version": "2016-11-15", **params})


def _free_port() -> int:
    """One that nobody has now; neither of them can be told to choose."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
