"""A Kiln as a process of its own, served on the loopback, for tests that come to it as clients do.

The port is whatever was free; a restarted Kiln keeps the one it had, so that
clients that know it go on. The settings of the shell that runs the tests
(``KILN_...``) do not reach it: it has those that it is given, and defaults.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import Any, BinaryIO, Self
from urllib.parse import urlsplit

from kiln.ground.values import dataclass
from kiln.service.datafolder import DataFolder
from kiln.service.ending import end
from kiln.service.settings import DEFAULT_REGION, Settings

ACCESS_KEY_ID, SECRET = "LTAIKilnTests", "secret-of-the-tests"
APP_KEY, APP_SECRET = "100000001", "app-secret-of-the-tests"

_STARTS_WITHIN_S = 300.0  #: A second is enough, but for a machine that has twenty other things to do.
_STOPS_WITHIN_S = 300.0
_SAID = "listening on "


class DidNotStart(Exception):
    """``kiln serve`` ended, or did not listen in time; the message has what it said."""


class DidNotStop(Exception):
    """``kiln serve`` did not end in time when it was asked to, and was killed; the message names its log."""


@dataclass
class Served:
    """A served Kiln and what a client must know of it."""

    data: Path
    settings: dict[str, str]
    access_key_id: str = ACCESS_KEY_ID
    secret: str = SECRET
    app_key: str = APP_KEY
    app_secret: str = APP_SECRET
    region: str = DEFAULT_REGION  #: The first of those that are served.
    endpoint: str = ""  #: ``http://127.0.0.1:PORT``.
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, data: Path, machines: str, settings: Mapping[str, Any]) -> Self:
        """One that is not started yet."""
        given = {"machines": machines, **{name: str(value) for name, value in settings.items()}}
        regions = Settings(data=data, cache=data, regions=given.get("regions", Settings.regions)).region_ids
        return cls(data=data, settings=given, region=next(iter(regions), ""))

    @property
    def host(self) -> str:
        """``127.0.0.1:PORT``."""
        return urlsplit(self.endpoint).netloc

    @property
    def address(self) -> tuple[str, int]:
        """What a socket connects to."""
        parts = urlsplit(self.endpoint)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    @property
    def log(self) -> Path:
        """What it has said since the first start, and what it has logged."""
        return self.data.with_name(self.data.name + ".log")

    @property
    def buckets(self) -> Path:
        """Where its buckets are: a file in a folder of this one is an object, to be imported."""
        shared = self.settings.get("shared")
        return DataFolder(self.data, Path(shared) if shared else None).buckets

    def start(self) -> None:
        """Start it and wait until it listens. Raises DidNotStart."""
        listen = self.host or "127.0.0.1:0"
        settings = {"data": str(self.data), "listen": listen, **self.settings}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
        environment = (
            kept
            | {f"KILN_{name.upper()}": value for name, value in settings.items()}
            | {
                "KILN_SERVER_ACCESS_KEY_ID": self.access_key_id,
                "KILN_SERVER_ACCESS_KEY_SECRET": self.secret,
                "KILN_SERVER_APP_KEY": self.app_key,
                "KILN_SERVER_APP_SECRET": self.app_secret,
            }
        )
        with self.log.open("ab") as log:
            said = log.tell()
            self.process = self.begin(environment, log)
        self.endpoint = self._wait_for_endpoint(said)

    def begin(self, environment: dict[str, str], log: BinaryIO) -> subprocess.Popen[bytes]:
        """Begin the program with that environment; what it says goes to *log*."""
        command = [sys.executable, "-P", "-m", "kiln.cli.main", "serve"]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def stop(self) -> int:
        """Ask it to end, and end it when it does not; returns its exit code. Raises DidNotStop."""
        assert self.process is not None
        if not end(self.process, _STOPS_WITHIN_S):
            raise DidNotStop(f"did not stop within {_STOPS_WITHIN_S} s of SIGTERM; see {self.log}")
        return self.process.returncode

    def kill9(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        """Stop it if it runs, and start it again on the same data and the same port. Raises DidNotStart, DidNotStop."""
        assert self.process is not None
        if self.process.poll() is None:
            self.stop()
        self.start()

    def _wait_for_endpoint(self, said: int) -> str:
        assert self.process is not None
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while time.monotonic() < deadline:
            with self.log.open("rb") as log:
                log.seek(said)
                output = log.read().decode(errors="replace")
            for line in output.splitlines(keepends=True):
                if line.startswith(_SAID) and line.endswith("\n"):
                    return line.removeprefix(_SAID).strip()
            if self.process.poll() is not None:
                raise DidNotStart(f"kiln serve ended with {self.process.returncode}:\n{output}")
            time.sleep(0.02)
        self.kill9()
        raise DidNotStart(f"kiln serve did not listen within {_STARTS_WITHIN_S} s:\n{output}")


@contextmanager
def start_kiln(data: Path, machines: str = "none", **settings: Any) -> Iterator[Served]:
    """A Kiln on the data folder *data*, with *settings* as ``kiln serve`` knows them; stopped at the end.

    What it says and logs goes to *data* with ``.log`` behind its name. Raises DidNotStart, DidNotStop.
    """
    with serving(Served.of(data, machines, settings)) as kiln:
        yield kiln


@contextmanager
def serving(kiln: Served) -> Iterator[Served]:
    """Start *kiln*, and stop it at the end. Raises DidNotStart, DidNotStop."""
    kiln.start()
    try:
        yield kiln
    finally:
        if kiln.process is not None and kiln.process.poll() is None:
            kiln.stop()
