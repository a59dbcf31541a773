"""A served Kiln with one instance whose guest counts on its disks; either can be killed without the other."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from kiln.guest.session import Session, open_session
from kiln.machines import process
from kiln.machines.runfolder import RunFolder
from kiln.testing import Served, start_kiln
from tests.kill.callers import BUCKET, Caller, Truth
from tests.machines.disks import files_open

KILLED = 137
PATIENCE_S = 300.0
_DEADLY = "deadly"  #: The file beside the data folder that names the point at which Kiln is to die.
_NUMBERED_SECTOR = 1
_COUNTING = "$(cat /run/seq.pid)"  #: The process in the guest that counts.
_DATA_DISK = {"Size": 1, "Category": "cloud_essd"}


class Host:
    """See the module's docstring."""

    def __init__(self, kiln: Served, caller: Caller, instance: str, stack: ExitStack, *, is_on: bool = True) -> None:
        self.kiln = kiln
        self.caller = caller
        self.instance = instance
        self._stack = stack
        if is_on:
            self.connect()

    @contextmanager
    def restored(self, data: Path) -> Iterator[Host]:
        """The same host once more, in a data folder that was put back: nothing of it runs."""
        with (
            start_kiln(data, machines="qemu", accel="tcg") as kiln,
            Caller(kiln, Truth()) as caller,
            ExitStack() as stack,
        ):
            stack.callback(_cut_power, kiln, self.instance)
            caller.instance_is(self.instance, "Stopped")
            yield Host(kiln, caller, self.instance, stack, is_on=False)

    @contextmanager
    def booted(self) -> Iterator[Session]:
        """What the guest answers once its instance was started."""
        self.caller.ask("StartInstance", InstanceId=self.instance)
        self.caller.instance_is(self.instance, "Running")
        with open_session(self._folder.console) as session:
            yield session

    def connect(self) -> None:
        """Speak to the guest, and have it count."""
        console = self._folder.console
        self.session: Session = self._stack.enter_context(open_session(console))
        self.session.ask("seq start")

    @contextmanager
    def counting_paused(self) -> Iterator[None]:
        """Have the guest do what it is asked alone: under TCG its processor is slow, and counting takes all of it."""
        self.session.ask(f"run kill -STOP {_COUNTING}")
        yield
        self.session.ask(f"run kill -CONT {_COUNTING}")

    @property
    def pid(self) -> int | None:
        """The machine's process, while it lives."""
        return process.find(self._folder)

    @property
    def disks(self) -> list[str]:
        """The disks, in the order in which the guest writes them: that of their serial numbers, which are their IDs."""
        return sorted(self.caller.disks_of(self.instance))

    def lives(self, pid: int) -> bool:
        """Whether the machine is the one that it was, counts on, and can write to its file systems."""
        before = self._count()
        self.caller.wait(lambda: self._count() > before)
        text = uuid.uuid4().hex
        for folder in ("/data0", "/data1", "/data2"):
            self.session.ask(f"write {folder}/text {text}")
        return self.pid == pid

    def ask_and_die(
        self, action: str, point: str, also: Callable[[], None] = lambda: None, **params: Any
    ) -> dict[str, Any]:
        """The answer to a call in whose course Kiln died at *point*, and was started again.

        *also* happens while it is dead.
        """
        deadly = self.kiln.data.with_name(_DEADLY)
        deadly.write_text(point)
        with self._asking(action, params) as answers:
            assert self.kiln.process is not None
            assert self.kiln.process.wait(PATIENCE_S) == KILLED
            deadly.unlink()
            also()
            self.kiln.start()
        return answers[0]

    def ask_and_kill(self, action: str, after_s: float, **params: Any) -> dict[str, Any]:
        """The answer to a call after which Kiln was killed as soon as that, and started again."""
        with self._asking(action, params) as answers:
            time.sleep(after_s)
            self.kiln.kill9()
            self.kiln.start()
        return answers[0]

    @contextmanager
    def _asking(self, action: str, params: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
        """Somebody who asks until he is answered, which he has been afterwards."""
        answers: list[dict[str, Any]] = []
        asking = threading.Thread(target=lambda: answers.append(self.caller.ask(action, **params)))
        asking.start()
        try:
            yield answers
        finally:
            asking.join()

    def kill_machine(self) -> None:
        """Cut the instance's power."""
        pid = self.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self.caller.wait(lambda: self.pid is None)

    def numbers(self, image: str) -> list[int]:
        """What the guest had last written to each disk of the image, in its order."""
        query = (
            "SELECT snapshots.volume FROM snapshots JOIN image_disks ON image_disks.snapshot = snapshots.id "
            "WHERE image_disks.image = ? ORDER BY snapshots.source_disk"
        )
        return [self.number(volume) for (volume,) in self._rows(query, image)]

    def heads(self) -> list[str]:
        """The volumes of its disks, in the order in which the guest writes them."""
        query = "SELECT volume FROM disks WHERE instance = ? ORDER BY id"
        return [volume for (volume,) in self._rows(query, self.instance)]

    def number(self, volume: str) -> int:
        """The number on one volume."""
        copy = self.kiln.data / "sector"
        path = self.kiln.data / "pool" / f"{volume}.qcow2"
        command = ["qemu-img", "dd", "-U", "-f", "qcow2", "-O", "raw", "bs=512"]
        place = [f"skip={_NUMBERED_SECTOR}", f"count={_NUMBERED_SECTOR + 1}", f"if={path}", f"of={copy}"]
        subprocess.run([*command, *place], check=True, capture_output=True)
        return int(copy.read_bytes().strip(b" \0") or 0)

    def depth(self, disk: str) -> int:
        """How many volumes the disk stands on, its head with them, as the database knows them."""
        ((volume,),) = self._rows("SELECT volume FROM disks WHERE id = ?", disk)
        count = 0
        while volume is not None:
            count += 1
            ((volume,),) = self._rows("SELECT parent FROM volumes WHERE id = ?", volume)
        return count

    def unnamed_volumes(self) -> list[str]:
        """The files of volumes that the machine has open although they have no name any more."""
        return [name for name in files_open(self.pid) if name.endswith("(deleted)")]

    def merges(self) -> int:
        """How many merges are still to be done."""
        ((count,),) = self._rows("SELECT count(*) FROM tasks WHERE action = ? AND status = 'Processing'", "Merge")
        return int(count)

    def _count(self) -> int:
        """How far the guest has counted."""
        return int(self.session.ask("seq") or 0)

    @property
    def _folder(self) -> RunFolder:
        return RunFolder(self.kiln.data / "run" / self.instance)

    def _rows(self, query: str, value: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.kiln.data / "kiln.sqlite", timeout=300)) as database:
            return database.execute(query, (value,)).fetchall()


@contextmanager
def open_host(folder: Path, guest: Path) -> Iterator[Host]:
    """A host in *folder*, whose instance is made of the small guest's disk and has two data disks of 1 GiB."""
    with (
        start_kiln(folder / "data", machines="qemu", accel="tcg", kill_at=f"@{folder / _DEADLY}") as kiln,
        Caller(kiln, Truth()) as caller,
        ExitStack() as stack,
    ):
        bucket = kiln.data / "buckets" / BUCKET
        bucket.mkdir()
        shutil.copyfile(guest, bucket / "guest.qcow2")
        mapping = {"DiskDeviceMapping.1.OSSBucket": BUCKET, "DiskDeviceMapping.1.OSSObject": "guest.qcow2"}
        image = caller.ask("ImportImage", **mapping)["ImageId"]
        caller.image_comes(image)
        disks = {f"DataDisk.{n}.{name}": value for n in (1, 2) for name, value in _DATA_DISK.items()}
        answer = caller.ask("RunInstances", ImageId=image, InstanceType="ecs.t5-lc2m1.nano", **disks)
        (instance,) = answer["InstanceIdSets"]["InstanceIdSet"]
        stack.callback(_cut_power, kiln, instance)
        caller.instance_is(instance, "Running")
        yield Host(kiln, caller, instance, stack)
        caller.ask("StopInstance", InstanceId=instance, ForceStop=True)
        caller.instance_is(instance, "Stopped")


def _cut_power(kiln: Served, instance: str) -> None:
    """Leave no machine behind, whatever became of Kiln."""
    pid = process.find(RunFolder(kiln.data / "run" / instance))
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
