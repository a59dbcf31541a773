"""``kiln demo``: the main job, on real disks and real virtual machines, step by step and with its times.

A Kiln of its own is started in a temporary data folder and driven over HTTP,
as any client would; the guests are talked to over their serial consoles. What
is claimed is checked, and the demo fails when it is not so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import field
from pathlib import Path
from typing import Any, TypeVar

from kiln.client.client import Client
from kiln.client.waiters import wait
from kiln.ground.units import KiB
from kiln.ground.values import dataclass
from kiln.guest.image import build
from kiln.guest.session import open_session
from kiln.service.accounts import ensure_first_account
from kiln.service.assemble import assemble
from kiln.service.claim import hold_data_folder, make_data_folder
from kiln.service.ending import end
from kiln.service.settings import Settings, read_settings
from kiln.upkeep.findings import is_well
from kiln.upkeep.fsck import fsck
from kiln.upkeep.sweep import sweep

Result = TypeVar("Result")
Say = Callable[[str], None]

_ENDS_WITHIN_S = 30.0

TEXT = "Fired once, poured often."
LATER = "Written after the image was made."
PATH = "/data0/demo"


class DemoFailed(Exception):
    """Something that the demo claims did not hold; the message says what."""


@dataclass
class Demo:
    """One run. Every step is said with its time when it is done."""

    say: Say
    client: Client
    settings: Settings
    steps: list[tuple[str, float]] = field(default_factory=list)

    def step(self, what: str, do: Callable[[], Result]) -> Result:
        """Do one step and say how long it took."""
        began = time.monotonic()
        result = do()
        took = time.monotonic() - began
        self.steps.append((what, took))
        self.say(f"{len(self.steps):2}. {what:<66} {_time(took):>9}")
        return result

    def ask(self, instance: str, *commands: str) -> str:
        """Have a guest carry out commands; returns the last one's answer."""
        answer = ""
        with open_session(self.settings.folder.console(instance)) as session:
            for command in commands:
                answer = session.ask(command)
        return answer

    def pool_bytes(self) -> int:
        """What all volumes together take on the disk."""
        return sum(path.stat().st_blocks * 512 for path in self.settings.folder.pool.glob("*.qcow2"))

    def expect(self, claim: str, found: object, expected: object) -> None:
        """Fail unless they are equal."""
        if found != expected:
            raise DemoFailed(f"{claim}: expected {expected!r}, found {found!r}")


def demo(say: Say, cache: Path, *, keep: Path | None = None) -> None:
    """Run the demo; *cache* is the setting, *keep* the data folder if it is to stay. Raises DemoFailed, GuestError."""
    began = time.monotonic()
    folder = keep or Path(tempfile.mkdtemp(prefix="kiln-demo-"))
    make_data_folder(folder)
    settings = read_settings({}, data=folder, cache=cache, listen="127.0.0.1:0", log="warning")
    try:
        say(f"Kiln's main job, with real disks and real virtual machines, in {folder}")
        say("")
        with _served(settings) as client:
            _tell(Demo(say, client, settings))
        _inspect(settings, say)
    finally:
        _switch_off(settings)
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    say("")
    say(f"All of it held. {time.monotonic() - began:.1f} s in all.")


def _tell(it: Demo) -> None:
    """The story itself."""
    golden = it.step("a small Debian guest is made from Debian's own packages", lambda: _golden(it))
    base = it.step("ImportImage: its disk becomes an image", lambda: _import(it, golden))
    first = it.step("RunInstances: VM 1 is started from it", lambda: _run(it, base))
    it.step("VM 1 boots from its disk, through a boot loader", lambda: it.ask(first, "uptime"))
    it.step(f"VM 1 writes {PATH} and syncs", lambda: it.ask(first, f"write {PATH} {TEXT}", "sync"))
    before = it.pool_bytes()
    image = it.step("CreateImage of the running VM 1, from call to Available", lambda: _create_image(it, first))
    written = it.pool_bytes() - before
    captured = it.client.call("DescribeImages", ImageId=image)["Images"]["Image"][0]
    size = captured["Size"]
    it.say(f"    {image}: {size} GiB, {written // KiB} KiB written, not a byte of the disk copied")
    it.step(
        f"VM 1 goes on, and writes something else to {PATH}", lambda: it.ask(first, f"write {PATH} {LATER}", "sync")
    )
    second = it.step("RunInstances: VM 2 is started from the new image", lambda: _run(it, image))
    read = it.step(f"VM 2 boots and reads {PATH}", lambda: it.ask(second, f"read {PATH}"))
    it.say(f"    VM 2 reads: {read}")
    it.expect("VM 2 reads what VM 1 wrote before the image was made", read, TEXT)
    it.expect("VM 1 reads what it wrote afterwards", it.ask(first, f"read {PATH}"), LATER)
    it.step("StopInstance: VM 1 powers off", lambda: _stop(it, first))
    it.step("ReplaceSystemDisk: VM 1 gets a new system disk of the image", lambda: _replace(it, first, image))
    it.step("StartInstance: VM 1 starts again", lambda: _start(it, first))
    again = it.step(f"VM 1 boots and reads {PATH}", lambda: it.ask(first, f"read {PATH}"))
    it.say(f"    VM 1 reads: {again}")
    it.expect("VM 1 reads the image's file after ReplaceSystemDisk", again, TEXT)
    it.step("both are stopped and deleted", lambda: _delete(it, first, second))


def _golden(it: Demo) -> str:
    bucket = it.settings.folder.buckets / "demo"
    bucket.mkdir(parents=True, exist_ok=True)
    build(it.settings.guest_cache, bucket / "guest.qcow2")
    return "guest.qcow2"


def _import(it: Demo, name: str) -> str:
    mapping = {"OSSBucket": "demo", "OSSObject": name, "Format": "QCOW2"}
    answer = it.client.call("ImportImage", ImageName="golden", Platform="Debian", DiskDeviceMapping=[mapping])
    wait(it.client, "image", answer["ImageId"], "Available")
    image: str = answer["ImageId"]
    return image


def _run(it: Demo, image: str) -> str:
    answer = it.client.call("RunInstances", ImageId=image, InstanceType="ecs.t5-lc2m1.nano", Amount=1)
    (instance,) = answer["InstanceIdSets"]["InstanceIdSet"]
    wait(it.client, "instance", instance, "Running")
    return str(instance)


def _create_image(it: Demo, instance: str) -> str:
    image: str = it.client.call("CreateImage", InstanceId=instance, ImageName="web")["ImageId"]
    wait(it.client, "image", image, "Available")
    return image


def _stop(it: Demo, instance: str) -> None:
    it.client.call("StopInstance", InstanceId=instance)
    wait(it.client, "instance", instance, "Stopped")


def _start(it: Demo, instance: str) -> None:
    it.client.call("StartInstance", InstanceId=instance)
    wait(it.client, "instance", instance, "Running")


def _replace(it: Demo, instance: str, image: str) -> None:
    disk = it.client.call("ReplaceSystemDisk", InstanceId=instance, ImageId=image)["DiskId"]
    wait(it.client, "disk", disk, "In_use")


def _delete(it: Demo, *instances: str) -> None:
    for instance in instances:
        it.client.call("DeleteInstance", InstanceId=instance, Force=True)
    for instance in instances:
        wait(it.client, "instance", instance, None)


def _inspect(settings: Settings, say: Say) -> None:
    """With the server stopped: the pool holds what the database says, and nothing else."""
    with hold_data_folder(settings.data), assemble(settings) as assembly:
        sweep(assembly.ports)
        findings = fsck(assembly.ports, repair=True, say=lambda _: None)
    if not is_well(findings):
        raise DemoFailed("fsck: " + "; ".join(f"{f.subject} {f.text}" for f in findings))
    say("    fsck: the pool holds what the database says, and nothing else")


def _switch_off(settings: Settings) -> None:
    """A demo that failed or was interrupted leaves machines, which outlive their Kiln."""
    if not settings.folder.database.exists():
        return
    with hold_data_folder(settings.data), assemble(settings) as assembly:
        machines = assembly.ports.machines
        for instance in list(machines.running()):
            machines.stop(instance, force=True)


@contextmanager
def _served(settings: Settings) -> Iterator[Client]:
    """A Kiln in a process of its own, and a client of its first account."""
    command = [sys.executable, "-P", "-m", "kiln.cli.main", "serve", "--data", str(settings.data)]
    command += ["--cache", str(settings.cache), "--listen", settings.listen, "--log", settings.log]
    # What is set for another Kiln in this shell is not for this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            with closing(_client(settings, _address(server))) as client:
                yield client
        finally:
            end(server, _ENDS_WITHIN_S)


def _address(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None  # It is a pipe.
    for line in server.stdout:
        if line.startswith("listening on "):
            return line.split()[-1]
    raise DemoFailed("the server ended before it listened; what it said is above")


def _client(settings: Settings, endpoint: str) -> Client:
    with assemble(settings) as assembly:
        keys: Any = ensure_first_account(assembly.database, assembly.sealer, settings, assembly.ports.clock())
    return Client(endpoint, keys.access_key_id, keys.access_key_secret, settings.region_ids[0])


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
