"""Callers of a served Kiln that is killed again and again: each asks until it is answered, and remembers everything.

A caller works on its own instances, one after the other, so that it knows what
every disk and image of its must hold. What it was answered it can ask again
under the same ClientToken.
"""

from __future__ import annotations

import random
import sqlite3
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from kiln.client.client import ApiFailure, Client
from kiln.client.transport import Unreachable
from kiln.testing import Served
from tests.kill.checks import Bytes
from tests.pools.patterns import BLOCK

PATIENCE_S = 300.0
TYPE = "ecs.t5-lc1m1.small"
BUCKET = "images"
_PAUSE_S = 0.05
_BLOCKS = 4


@dataclass
class Truth:
    """What must be there at the end, by ID."""

    images: dict[str, list[Bytes]] = field(default_factory=dict)
    snapshots: dict[str, Bytes] = field(default_factory=dict)
    disks: dict[str, Bytes] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    answered: list[tuple[str, dict[str, Any], dict[str, Any]]] = field(default_factory=list)


class Caller:
    """Asks a Kiln that may be dead at any moment."""

    def __init__(self, kiln: Served, truth: Truth) -> None:
        self._client = Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)
        self.truth = truth

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, action: str, /, *, over: str = "", **params: Any) -> dict[str, Any]:
        """The answer, whenever it comes.

        A request that changes something is repeated under its ClientToken;
        *over* is the code that says to a repeated one without a token that it
        had been done.
        """
        declared = self._client.catalogue.action(action)
        if declared.is_idempotent:
            params.setdefault("ClientToken", str(uuid.uuid4()))
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = self._client.call(action, params)
            except Unreachable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_S)
                continue
            except ApiFailure as failure:
                if not over or failure.code != over:
                    raise
                answer = {}
            if declared.is_idempotent:
                self.truth.answered.append((action, params, answer))
            return answer

    def wait(self, look: Callable[[], Any]) -> Any:
        """What *look* finds once it finds something."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := look()):
            assert time.monotonic() < deadline, "nothing came of it"
            time.sleep(_PAUSE_S)
        return found

    def image_comes(self, image: str) -> None:
        """Wait until the image is Available."""

        def look() -> bool:
            (row,) = self.ask("DescribeImages", ImageId=image, Status="ALL")["Images"]["Image"]
            assert row["Status"] != "CreateFailed", row
            return row["Status"] == "Available"

        self.wait(look)

    def snapshot_comes(self, snapshot: str) -> None:
        """Wait until the snapshot is accomplished."""

        def look() -> bool:
            (row,) = self.ask("DescribeSnapshots", SnapshotIds=[snapshot])["Snapshots"]["Snapshot"]
            assert row["Status"] != "failed", row
            return row["Status"] == "accomplished"

        self.wait(look)

    def instance_is(self, instance: str, status: str) -> None:
        """Wait until the instance is in that status."""

        def look() -> bool:
            rows = self.ask("DescribeInstances", InstanceIds=[instance])["Instances"]["Instance"]
            assert rows, f"{instance} is gone"
            return rows[0]["Status"] == status

        self.wait(look)

    def disks_of(self, instance: str) -> list[str]:
        """The instance's disks in the order of their device names."""
        rows = self.ask("DescribeDisks", InstanceId=instance)["Disks"]["Disk"]
        return [row["DiskId"] for row in sorted(rows, key=lambda row: row["Device"])]


class Load:
    """One caller at work until it is told to stop; ``error`` is what went wrong."""

    def __init__(self, kiln: Served, base: tuple[str, list[Bytes]], seed: int, caller: type[Caller] = Caller) -> None:
        self._thread = threading.Thread(target=self._work, name=f"load-{seed}")
        self.truth = Truth()
        self.error: BaseException | None = None
        self.done = 0
        self._caller = caller(kiln, self.truth)
        self._data = kiln.data
        self._random = random.Random(seed)
        self._base = base
        self._stopping = threading.Event()
        self._instance: str | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Have it end after what it is doing."""
        self._stopping.set()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    def _work(self) -> None:
        try:
            with self._caller:
                self._launch()
                while not self._stopping.is_set():
                    deeds = [self._image, self._image, self._snapshot, self._import, self._replace, self._delete]
                    self._random.choice([*deeds, self._release])()
                    self.done += 1
        except BaseException as error:  # noqa: BLE001 - whoever joins the thread raises it.
            self.error = error

    def _launch(self) -> None:
        """An instance of some image of ours."""
        image, wanted = self._random.choice([self._base, *self.truth.images.items()])
        answer = self._caller.ask("RunInstances", ImageId=image, InstanceType=TYPE)
        (self._instance,) = answer["InstanceIdSets"]["InstanceIdSet"]
        self._caller.instance_is(self._instance, "Running")
        disks = self._caller.disks_of(self._instance)
        self.truth.disks.update(zip(disks, wanted, strict=True))

    def _image(self) -> None:
        disks = self._caller.disks_of(self._instance)
        for disk in disks:
            self._write(disk)
        image = self._caller.ask("CreateImage", InstanceId=self._instance)["ImageId"]
        self.truth.images[image] = [self.truth.disks[disk] for disk in disks]
        self._caller.image_comes(image)

    def _snapshot(self) -> None:
        disk = self._random.choice(self._caller.disks_of(self._instance))
        self._write(disk)
        snapshot = self._caller.ask("CreateSnapshot", DiskId=disk)["SnapshotId"]
        self.truth.snapshots[snapshot] = self.truth.disks[disk]
        self._caller.snapshot_comes(snapshot)

    def _import(self) -> None:
        blocks = [self._random.randrange(1, 256) for _ in range(_BLOCKS)]
        name = f"{uuid.uuid4()}.raw"
        path = self._data / "buckets" / BUCKET / name
        path.write_bytes(b"".join(bytes([byte]) * BLOCK for byte in blocks))
        mapping = {"DiskDeviceMapping.1.OSSBucket": BUCKET, "DiskDeviceMapping.1.OSSObject": name}
        image = self._caller.ask("ImportImage", **mapping)["ImageId"]
        self.truth.images[image] = [blocks]
        self._caller.image_comes(image)

    def _replace(self) -> None:
        choices = [(image, held) for image, held in [self._base, *self.truth.images.items()] if len(held) == 1]
        image, held = self._random.choice(choices)
        self._caller.ask("StopInstance", InstanceId=self._instance, over="IncorrectInstanceStatus")
        self._caller.instance_is(self._instance, "Stopped")
        old, *_ = self._caller.disks_of(self._instance)
        new = self._caller.ask("ReplaceSystemDisk", InstanceId=self._instance, ImageId=image)["DiskId"]
        self.truth.disks.pop(old)
        self.truth.gone.add(old)
        self._caller.wait(lambda: self._caller.disks_of(self._instance)[0] == new)
        self.truth.disks[new] = held[0]

    def _delete(self) -> None:
        """An image and all that it was made of."""
        if not self.truth.images:
            return
        image = self._random.choice(sorted(self.truth.images))
        (row,) = self._caller.ask("DescribeImages", ImageId=image, Status="ALL")["Images"]["Image"]
        made_of = [disk["SnapshotId"] for disk in row["DiskDeviceMappings"]["DiskDeviceMapping"]]
        self._caller.ask("DeleteImage", ImageId=image, Force=True)
        del self.truth.images[image]
        self.truth.gone.add(image)
        for snapshot in made_of:
            self._caller.ask("DeleteSnapshot", SnapshotId=snapshot, Force=True, over="InvalidSnapshotId.NotFound")
            self.truth.gone.add(snapshot)

    def _release(self) -> None:
        """The instance with its disks; and another one."""
        for disk in self._caller.disks_of(self._instance):
            self.truth.disks.pop(disk)
            self.truth.gone.add(disk)
        self._caller.ask("DeleteInstance", InstanceId=self._instance, Force=True, over="InvalidInstanceId.NotFound")
        gone = self._instance
        self._caller.wait(
            lambda: not self._caller.ask("DescribeInstances", InstanceIds=[gone])["Instances"]["Instance"]
        )
        self.truth.gone.add(gone)
        self._launch()

    def _write(self, disk: str) -> None:
        """Write new bytes into a disk, as its guest would if it had one.

        A merge may replace the disk's file this very moment, which it would not under a guest; so it is looked
        whether the bytes arrived.
        """
        byte = self._random.randrange(1, 256)
        at = self._random.randrange(_BLOCKS) * BLOCK

        def write() -> bool:
            path = self._data / "pool" / f"{self._head(disk)}.qcow2"
            place = f"-P {byte} {at} {BLOCK}"
            return all(
                _qemu_io(path, *command) for command in (("-c", f"write {place}"), ("-r", "-c", f"read {place}"))
            )

        self._caller.wait(write)
        blocks = list(self.truth.disks[disk])
        blocks[at // BLOCK] = byte
        self.truth.disks[disk] = blocks

    def _head(self, disk: str) -> str:
        with closing(sqlite3.connect(self._data / "kiln.sqlite", timeout=300)) as database:
            (volume,) = database.execute("SELECT volume FROM disks WHERE id = ?", (disk,)).fetchone()
        return str(volume)


def _qemu_io(path: Path, *arguments: str) -> bool:
    """Whether qemu-io did it: not when the file is in use, or reads as something else."""
    done = subprocess.run(["qemu-io", "-f", "qcow2", *arguments, path], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "failed" not in done.stdout + done.stderr
