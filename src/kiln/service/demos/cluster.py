"""``kiln demo cluster``: two hosts over one PostgreSQL and one Ceph, of which one dies in the middle of CreateImage.

Both hosts are this one: each is a process that works, with machines and a data
folder of its own. Two more processes answer requests, and the story goes through
both of these doors. A host dies as by a power cut: its Kiln ends at a point that
is named for kill tests, and its machines by SIGKILL.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

from kiln.client.client import Client
from kiln.client.waiters import wait
from kiln.declare.roles import Role
from kiln.ground.values import dataclass
from kiln.guest.image import build
from kiln.guest.session import open_session
from kiln.machines.process import open_process
from kiln.machines.qemu import QemuMachines
from kiln.service.accounts import Keys
from kiln.service.claim import make_data_folder
from kiln.service.demos.stage import (
    Demo,
    DemoFailed,
    Say,
    Steps,
    address_of,
    begun,
    environment_of,
    say_end,
    switch_off,
    wait_for_interrupt,
)
from kiln.service.engines.ceph import POOL, PROGRAMS, Ceph, started_ceph
from kiln.service.engines.postgresql import started_postgresql
from kiln.service.engines.programs import EngineAbsent, of_postgresql, require
from kiln.service.settings import Settings, read_settings

_PATH = "/data0/demo"
_TEXT, _LATER = "Fired on one host.", "Poured on another."
_TYPE = "ecs.t5-lc2m1.nano"
_GIVEN_UP_AFTER = "10s"  #: A host that is silent; a large installation waits longer.
_DIES_AT = "rbd.snapshot.made"  #: Ceph has the snapshots, and nobody knows of them.
_DIES_WITHIN_S = 60.0
_HOSTS, _DOORS = ("host-1", "host-2"), ("door-1", "door-2")
_SAID_MOST = 2000


@dataclass
class Kiln:
    """One process of the deployment, and where it answers."""

    settings: Settings
    process: subprocess.Popen[str]
    endpoint: str

    @property
    def name(self) -> str:
        """What its host is called."""
        return self.settings.host


@dataclass
class Deployment:
    """The processes that answer requests, and those that work."""

    doors: Sequence[Kiln]
    hosts: Sequence[Kiln]

    def host_of(self, instance: str) -> Kiln:
        """The host that lives and has an instance's machine. Raises DemoFailed."""
        for host in self.hosts:
            if host.process.poll() is None and (host.settings.folder.run / instance).exists():
                return host
        raise DemoFailed(f"{instance} is on no host that lives")

    def ask(self, instance: str, *commands: str) -> str:
        """Have a guest carry out commands; returns the last one's answer. Raises DemoFailed, GuestError."""
        answer = ""
        with open_session(self.host_of(instance).settings.folder.console(instance)) as session:
            for command in commands:
                answer = session.ask(command)
        return answer


def demo(say: Say, cache: Path, *, keep: Path | None = None, stays: bool = False) -> None:
    """Run it; *cache* is the setting, *keep* the folder if it is to stay, *stays* as ``Demo`` has it.

    Raises DemoFailed, GuestError; then nothing that it began is left either.
    """
    began = time.monotonic()
    try:
        require(*PROGRAMS)
        of_postgresql("postgres")
    except EngineAbsent as error:
        raise DemoFailed(f"{error}: `./kiln demo cluster` of a checkout installs what it needs") from error
    folder = keep or Path(tempfile.mkdtemp(prefix="kiln-demo-"))
    make_data_folder(folder)
    say(f"Kiln on two hosts, over one PostgreSQL and one Ceph, in {folder}")
    say("")
    try:
        _perform(Steps(say), cache, folder, stays=stays, began=began)
    except subprocess.CalledProcessError as error:
        raise DemoFailed(f"{error.cmd[0]} ended with {error.returncode}: {error.stderr or ''}") from error
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if not stays:
        say_end(say, began)


def _perform(steps: Steps, cache: Path, folder: Path, *, stays: bool, began: float) -> None:
    with ExitStack() as engines:
        server = steps.do("PostgreSQL is begun", lambda: engines.enter_context(started_postgresql({})))
        ceph = steps.do("Ceph is begun, of one node", lambda: engines.enter_context(started_ceph()))
        settings = _settings(cache, folder, server.address, ceph)
        with ExitStack() as serving:
            deployment = steps.do(
                "two processes that answer requests, and two that work, as two hosts",
                lambda: _deployed(serving, settings, folder),
            )
            one, two = (
                Demo(steps, _client(serving, door), _keys(settings), settings, stays) for door in deployment.doors
            )
            _tell(deployment, one, two)
            if stays:
                say_end(steps.say, began)
                one.show()
                with suppress(KeyboardInterrupt):
                    wait_for_interrupt()
        if not stays:  # Else there is more in the pool than the story has put there.
            _inspect(deployment, steps.say)


def _tell(deployment: Deployment, one: Demo, two: Demo) -> None:
    """The story itself; *one* and *two* tell the same, by the one door and by the other."""
    ask = deployment.ask
    golden = one.step(
        "a small Debian guest is made from Debian's own packages",
        lambda: build(one.settings.guest_cache, one.bucket() / "guest.qcow2"),
    )
    base = one.step("door-1: ImportImage, its disk becomes an image", lambda: one.import_image("golden", golden))
    first = two.step("door-2: RunInstances, VM 1 is started from it", lambda: two.run_instance(base, _TYPE, "vm-1"))
    lost = deployment.host_of(first)
    left = next(host for host in deployment.hosts if host is not lost)
    one.step(f"VM 1 boots on {lost.name}", lambda: ask(first, "uptime"))
    one.step(f"VM 1 writes {_PATH} and syncs", lambda: ask(first, f"write {_PATH} {_TEXT}", "sync"))
    image = one.step("door-1: CreateImage of the running VM 1, to Available", lambda: _create_image(one, first))
    second = two.step(
        "door-2: RunInstances, VM 2 is started from the image", lambda: two.run_instance(image, _TYPE, "vm-2")
    )
    where = deployment.host_of(second).name
    read = two.step(f"VM 2 boots on {where} and reads {_PATH}", lambda: ask(second, f"read {_PATH}"))
    two.expect("VM 2 reads what VM 1 wrote", read, _TEXT)
    two.step("VM 2 is deleted", lambda: two.delete(second))
    one.step(f"VM 1 writes something else to {_PATH} and syncs", lambda: ask(first, f"write {_PATH} {_LATER}", "sync"))
    later = two.step(f"door-2: CreateImage of VM 1; in its middle {lost.name} dies", lambda: _cut(lost, two, first))
    one.say(f"    {lost.name}: its Kiln ended when Ceph had the snapshot, its machines by SIGKILL")
    one.step(f"door-1: the image is Available, by {left.name}", lambda: wait(one.client, "image", later, "Available"))
    third = one.step("door-1: RunInstances, VM 3 is started from it", lambda: one.run_instance(later, _TYPE, "vm-3"))
    read = one.step(f"VM 3 boots on {left.name} and reads {_PATH}", lambda: ask(third, f"read {_PATH}"))
    one.say(f"    VM 3 reads: {read}")
    one.expect("VM 3 reads what VM 1 had synced before its host died", read, _LATER)
    one.step(f"VM 1 is Stopped, since {lost.name} is lost", lambda: wait(one.client, "instance", first, "Stopped"))
    one.leave("both are stopped and deleted", first, third)


def _create_image(it: Demo, instance: str) -> str:
    image: str = it.client.call("CreateImage", InstanceId=instance)["ImageId"]
    wait(it.client, "image", image, "Available")
    return image


def _cut(lost: Kiln, it: Demo, instance: str) -> str:
    """CreateImage, in whose middle the instance's host dies; returns the image. Raises DemoFailed."""
    _place_of_death(lost.settings).write_text(_DIES_AT)
    image: str = it.client.call("CreateImage", InstanceId=instance)["ImageId"]
    try:
        lost.process.wait(_DIES_WITHIN_S)
    except subprocess.TimeoutExpired:
        raise DemoFailed(f"{lost.name} did not come to {_DIES_AT}") from None
    machines = QemuMachines(lost.settings.folder.run)
    for one in list(machines.running()):
        with open_process(machines.folder(one)) as qemu:
            if qemu is not None:
                qemu.kill()
    switch_off(lost.settings)  # What carries its networks.
    return image


def _place_of_death(settings: Settings) -> Path:
    """The file that names the point at which a host's Kiln ends."""
    return settings.data.with_name(f"{settings.host}.dies")


def _settings(cache: Path, folder: Path, address: str, ceph: Ceph) -> Settings:
    """What all processes have; the data folder and what goes with it each gets for itself."""
    shared = folder / "shared"
    shared.mkdir(exist_ok=True)
    return read_settings(
        {},
        data=folder / "nobody",
        shared=shared,
        cache=cache,
        listen="127.0.0.1:0",
        log="info",
        database=address,
        pool=f"rbd:{POOL}",
        ceph_conf=str(ceph.configuration),
        grace="0",
        host_grace=_GIVEN_UP_AFTER,
        server_access_key_id=f"LTAI{secrets.token_hex(8)}",
        server_access_key_secret=secrets.token_hex(15),
    )


def _keys(settings: Settings) -> Keys:
    return Keys(
        account="",
        access_key_id=settings.server_access_key_id,
        access_key_secret=settings.server_access_key_secret,
        app_key="",
        app_secret="",
        are_new=False,
    )


def _client(serving: ExitStack, door: Kiln) -> Client:
    keys = _keys(door.settings)
    client = Client(door.endpoint, keys.access_key_id, keys.access_key_secret, door.settings.region_ids[0])
    return serving.enter_context(closing(client))


def _deployed(serving: ExitStack, settings: Settings, folder: Path) -> Deployment:
    """All processes, when they have begun. Raises DemoFailed with what one has said that has not."""
    doors = [replace(settings, data=folder / name, host=name, role=Role.API, machines="none") for name in _DOORS]
    hosts = [replace(settings, data=folder / name, host=name, role=Role.WORKER) for name in _HOSTS]
    hosts = [replace(one, kill_at=f"@{_place_of_death(one)}") for one in hosts]
    kilns = []
    for one in [*hosts, *doors]:
        log = one.data.with_name(f"{one.host}.log")
        # Machines outlive their Kiln, and this is done after that has ended.
        serving.callback(switch_off, one)
        process = serving.enter_context(begun(one, serving.enter_context(log.open("wb"))))
        try:
            kilns.append(Kiln(one, process, address_of(process)))
        except DemoFailed:
            raise DemoFailed(f"{one.host} ended before it listened: {_end_of(log)}") from None
    return Deployment(doors=kilns[len(hosts) :], hosts=kilns[: len(hosts)])


def _end_of(log: Path) -> str:
    """The last that a process has said."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _SAID_MOST))
        return file.read(_SAID_MOST).decode(errors="replace")


def _inspect(deployment: Deployment, say: Say) -> None:
    """With all processes ended: Ceph holds what the database says, and nothing else. Raises DemoFailed."""
    found = subprocess.run(
        [sys.executable, "-P", "-m", "kiln.cli.main", "fsck"],
        env=environment_of(deployment.hosts[-1].settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        raise DemoFailed(f"fsck: {found.stdout[-_SAID_MOST:]}{found.stderr[-_SAID_MOST:]}")
    say("    fsck: Ceph holds what the database says, and nothing else")
