"""A served Kiln whose disk fails while it works: what was answered is kept, and the rest is refused or made later.

python -m tests.full.failing FOLDER
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from kiln.client.client import ApiFailure, Client
from kiln.ground.units import KiB
from kiln.testing import Served, start_kiln
from kiln.upkeep.abandoned import ABANDONED
from kiln.upkeep.fsck import fsck
from tests.kill.kilns import open_kiln

_PATIENCE_S = 300.0

#: What may be answered meanwhile. A name is taken by an image of which the answer was not told.
_TOLD = ("ServiceUnavailable", "InvalidImageName.Duplicated", "IncorrectDiskStatus.CreatingSnapshot")

#: The calls that fail, a round each: what says that something is on the disk, and what puts it there.
ROUNDS = ("fsync,fdatasync", "pwrite64", "fsync,fdatasync,pwrite64,ftruncate,rename,link")


def main(folder: Path) -> None:
    data = folder / "data"
    (data / "buckets" / "images").mkdir(parents=True)
    (data / "buckets" / "images" / "disk.raw").write_bytes(os.urandom(256 * KiB))
    with (
        start_kiln(data) as kiln,
        closing(Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)) as client,
    ):
        mapping = {"DiskDeviceMapping.1.OSSBucket": "images", "DiskDeviceMapping.1.OSSObject": "disk.raw"}
        source = str(client.call("ImportImage", mapping, ImageName="source")["ImageId"])
        _wait(lambda: _status(client, source) == "Available")
        instance = client.call("CreateInstance", ImageId=source, InstanceType="ecs.t5-lc1m1.small")["InstanceId"]
        _wait(lambda: _power(client, instance) == "Stopped")
        tried: dict[str, str | None] = {}
        for n, calls in enumerate(ROUNDS):
            with _failing(kiln, calls):
                for m in range(4):
                    tried[f"try-{n}-{m}"] = _create(client, instance, f"try-{n}-{m}")
                    _tag(client, source, f"{n}-{m}")
                # What was answered before is answered still, or it is said that it cannot be.
                assert _reads(client, source)
            _wait(lambda n=n: _create(client, instance, f"after-{n}") is not None)  # type: ignore[misc]
        # The disk did fail, and under the database too.
        assert "database_closed" in kiln.log.read_text()
        _wait(lambda: not list(client.rows("DescribeImages", Status="Creating")))
        known = {row["ImageName"]: row for row in client.rows("DescribeImages", Status="ALL")}
        for name, image in tried.items():
            if image is not None:
                assert known[name]["Status"] in ("Available", "CreateFailed"), known[name]
        assert {known[f"after-{n}"]["Status"] for n in range(len(ROUNDS))} == {"Available"}
        kiln.kill9()
        kiln.start()
        again = {row["ImageName"]: row for row in client.rows("DescribeImages", Status="ALL")}
        assert {name: row["Status"] for name, row in again.items()} == {n: row["Status"] for n, row in known.items()}
        kiln.stop()
    with open_kiln(data) as cloud:
        assert [
            f for f in fsck(cloud.ports, repair=True, say=lambda _: None) if f.sort == "broken" or ABANDONED in f.text
        ] == []


@contextmanager
def _failing(kiln: Served, calls: str) -> Iterator[None]:
    """Have these system calls of the service fail, each second of them, as a broken disk lets them."""
    assert kiln.process is not None
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(kiln.process.pid), "-e", f"trace={calls}"]
    with subprocess.Popen([*command, "-e", f"inject={calls}:error=EIO:when=1+2"]) as tracer:
        _wait(lambda: _is_traced(kiln.process.pid) or tracer.poll() is not None)  # type: ignore[union-attr]
        assert tracer.poll() is None, "strace may not follow a process here"
        try:
            yield
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(_PATIENCE_S)


def _is_traced(pid: int) -> bool:
    """Whether all threads of a process are followed."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # A thread that has ended meanwhile.
            if "TracerPid:\t0\n" in (task / "status").read_text():
                return False
    return True


def _create(client: Client, instance: str, name: str) -> str | None:
    """The image's ID, or None where the service says that it is at fault, or that another is still being made."""
    try:
        return str(client.call("CreateImage", InstanceId=instance, ImageName=name)["ImageId"])
    except ApiFailure as failure:
        if failure.code not in _TOLD:
            raise
        return None


def _tag(client: Client, image: str, name: str) -> None:
    try:
        client.call("AddTags", {"Tag.1.Key": name, "Tag.1.Value": ""}, ResourceType="image", ResourceId=image)
    except ApiFailure as failure:
        if failure.code not in _TOLD:
            raise


def _reads(client: Client, image: str) -> bool:
    return _status(client, image) == "Available"


def _status(client: Client, image: str) -> str:
    (row,) = client.rows("DescribeImages", ImageId=image, Status="ALL")
    return str(row["Status"])


def _power(client: Client, instance: str) -> str:
    (row,) = client.rows("DescribeInstances", InstanceIds=[instance])
    return str(row["Status"])


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
