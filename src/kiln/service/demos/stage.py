"""What every story stands on: a Kiln of its own, steps that are said with their times, and claims that are checked.

The Kiln is started in a temporary data folder and driven over HTTP, as by any
client. In the end its pool is compared with its database.
"""

from __future__ import annotations

import base64
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from kiln.client.client import Client
from kiln.client.waiters import wait
from kiln.ground.values import dataclass
from kiln.machines.qemu import QemuMachines
from kiln.networks.keepers import KeptNetworks
from kiln.service.accounts import Keys, ensure_first_account
from kiln.service.assemble import assemble
from kiln.service.claim import hold_data_folder, make_data_folder
from kiln.service.consoles import ask_for_link
from kiln.service.demos.at_work import AtWork
from kiln.service.ending import end
from kiln.service.secrets import Sealer
from kiln.service.settings import Settings, described, read_settings
from kiln.upkeep.findings import is_well
from kiln.upkeep.fsck import fsck
from kiln.upkeep.sweep import sweep

Result = TypeVar("Result")
Say = Callable[[str], None]

BUCKET = "demo"

_ENDS_WITHIN_S = 30.0


class DemoFailed(Exception):
    """Something that the demo claims did not hold; the message says what."""


class Steps:
    """What has been done of a story; each step is said with its number and its time when it is done.

    On a terminal one sees meanwhile which it is, and for how long.
    """

    def __init__(self, say: Say) -> None:
        self._at_work = AtWork(say, sys.stdout)
        self.say = self._at_work.say
        self.at = self._at_work.at  #: Of a step that has stages: which it is at.
        self.done = 0

    def do(self, what: str, do: Callable[[], Result]) -> Result:
        """Do one step and say how long it took."""
        began = time.monotonic()
        with self._at_work.on(what):
            result = do()
        self.done += 1
        self.say(f"{self.done:2}. {what:<66} {shown(time.monotonic() - began):>9}")
        return result


@dataclass
class Demo:
    """One run of a story."""

    steps: Steps
    client: Client
    keys: Keys
    settings: Settings
    stays: bool = False  #: Whether what was made shall be there to be looked at when the story is told.

    def say(self, line: str) -> None:
        """Say something between the steps."""
        self.steps.say(line)

    def step(self, what: str, do: Callable[[], Result]) -> Result:
        """Do one step and say how long it took."""
        return self.steps.do(what, do)

    def leave(self, what: str, *instances: str) -> None:
        """The last step: delete instances, unless all shall stay to be looked at."""
        if not self.stays:
            self.step(what, lambda: self.delete(*instances))

    def show(self) -> None:
        """Say where all that was made can be seen."""
        self.say("")
        self.say("What was made, in a browser (the link signs in once, within an hour):")
        self.say(ask_for_link(self.client.endpoint, *self.client.keys, Sealer.in_folder(self.settings.folder.shared)))
        self.say(f"Another link, in another shell: kiln console --data {shlex.quote(str(self.settings.data))}")
        self.say("Ctrl-C ends it, and takes all of it away.")

    def bucket(self) -> Path:
        """The folder of the bucket that images come from."""
        folder = self.settings.folder.buckets / BUCKET
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def pool_bytes(self) -> int:
        """What all volumes together take on the disk."""
        return sum(path.stat().st_blocks * 512 for path in self.settings.folder.pool.glob("*.qcow2"))

    def expect(self, claim: str, found: object, expected: object) -> None:
        """Fail unless they are equal."""
        if found != expected:
            raise DemoFailed(f"{claim}: expected {expected!r}, found {found!r}")

    def import_image(self, name: str, disk: Path) -> str:
        """The ID of a new image of Debian, made of a file that is in the demo's bucket by then."""
        mapping = {"OSSBucket": BUCKET, "OSSObject": disk.name, "Format": "QCOW2"}
        answer = self.client.call("ImportImage", ImageName=name, Platform="Debian", DiskDeviceMapping=[mapping])
        image: str = answer["ImageId"]
        wait(self.client, "image", image, "Available")
        return image

    def run_instance(self, image: str, instance_type: str, name: str) -> str:
        """The ID of a new instance of that name, which is Running."""
        answer = self.client.call(
            "RunInstances", ImageId=image, InstanceType=instance_type, InstanceName=name, Amount=1
        )
        (instance,) = answer["InstanceIdSets"]["InstanceIdSet"]
        wait(self.client, "instance", instance, "Running")
        return str(instance)

    def console(self, instance: str) -> str:
        """What the instance has printed on its serial console."""
        answer = self.client.call("GetInstanceConsoleOutput", InstanceId=instance, RemoveSymbols=True)
        return base64.b64decode(answer["ConsoleOutput"]).decode(errors="replace")

    def delete(self, *instances: str) -> None:
        """Delete instances, and wait until they are gone."""
        for instance in instances:
            self.client.call("DeleteInstance", InstanceId=instance, Force=True)
        for instance in instances:
            wait(self.client, "instance", instance, None)


def perform(
    title: str,
    story: Callable[[Demo], None],
    say: Say,
    cache: Path,
    *,
    keep: Path | None,
    regions: str | None = None,
    stays: bool = False,
) -> None:
    """Tell *story* on a Kiln of its own; *cache* is the setting, *keep* the data folder if it is to stay,
    *regions* what is served instead of the usual ones; *stays* as ``Demo`` has it.

    Raises DemoFailed, and what the story raises; then no machine is left either.
    """
    began = time.monotonic()
    folder = keep or Path(tempfile.mkdtemp(prefix="kiln-demo-"))
    make_data_folder(folder)
    settings = read_settings({}, data=folder, cache=cache, listen="127.0.0.1:0", log="error", regions=regions)
    try:
        say(f"{title}, in {folder}")
        say("")
        with _served(settings) as endpoint, assemble(settings) as assembly:
            keys = ensure_first_account(assembly.database, assembly.sealer, settings, assembly.ports.clock())
            with closing(_client(endpoint, keys, settings)) as client:
                demo = Demo(Steps(say), client, keys, settings, stays)
                story(demo)
                if stays:
                    say_end(say, began)
                    demo.show()
                    with suppress(KeyboardInterrupt):
                        wait_for_interrupt()
        if not stays:  # Else there is more in the pool than the story has put there.
            _inspect(settings, say)
    finally:
        _switch_off(settings)
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if not stays:
        say_end(say, began, " With --stay all of it is there for a look, with a link to its console.")


def wait_for_interrupt() -> None:
    """Until Ctrl-C, which raises KeyboardInterrupt; a terminal has sent it to the Kiln of the demo as well."""
    while True:
        signal.pause()


def say_end(say: Say, began: float, more: str = "") -> None:
    """Say that the story is told, and how long it took."""
    say("")
    say(f"All of it held. {time.monotonic() - began:.1f} s in all.{more}")


def shown(seconds: float) -> str:
    """A time for people."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _inspect(settings: Settings, say: Say) -> None:
    """With the server stopped: the pool holds what the database says, and nothing else."""
    with hold_data_folder(settings.data), assemble(settings) as assembly:
        sweep(assembly.ports)
        findings = fsck(assembly.ports, repair=True, say=lambda _: None)
    if not is_well(findings):
        raise DemoFailed("fsck: " + "; ".join(f"{f.subject} {f.text}" for f in findings))
    say("    fsck: the pool holds what the database says, and nothing else")


def _switch_off(settings: Settings) -> None:
    """A demo that failed or was interrupted leaves machines and their networks, which outlive their Kiln."""
    if settings.folder.database.exists():
        with hold_data_folder(settings.data):
            switch_off(settings)


def switch_off(settings: Settings) -> None:
    """End the machines of a host, and their networks, whose Kiln has ended."""
    machines = QemuMachines(settings.folder.run)
    for instance in list(machines.running()):
        machines.stop(instance, force=True)
    networks = KeptNetworks(settings.folder.networks)
    for vpc in networks.vpcs():
        networks.let_go(vpc)


@contextmanager
def _served(settings: Settings) -> Iterator[str]:
    """A Kiln in a process of its own; its endpoint."""
    with begun(settings) as server:
        yield address_of(server)


@contextmanager
def begun(settings: Settings, log: BinaryIO | None = None) -> Iterator[subprocess.Popen[str]]:
    """``kiln serve`` with these settings, which may listen by now; it is ended at last. What it logs goes to *log*."""
    command = [sys.executable, "-P", "-m", "kiln.cli.main", "serve"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment_of(settings)
    ) as server:
        try:
            yield server
        finally:
            end(server, _ENDS_WITHIN_S)


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment of a process with these settings; what is set for another Kiln in this shell is not for it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    told = {name: getattr(settings, name) for name in described()}
    return kept | {f"KILN_{name.upper()}": str(value) for name, value in told.items() if value not in (None, "")}


def address_of(server: subprocess.Popen[str]) -> str:
    """Where it listens, once it does. Raises DemoFailed."""
    assert server.stdout is not None  # It is a pipe.
    for line in server.stdout:
        if line.startswith("listening on "):
            return line.split()[-1]
    raise DemoFailed("the server ended before it listened; what it said is above")


def _client(endpoint: str, keys: Keys, settings: Settings) -> Client:
    return Client(endpoint, keys.access_key_id, keys.access_key_secret, settings.region_ids[0])
