"""Images and disks on Ceph, over HTTP, against Ceph's own snapshots, clones, imports and exports, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from bench.ceph import Bytes, CephItself
from bench.floors import random_file
from bench.report import Figure, at_most, median_of
from bench.sections.section import Bench
from bench.server import Server, start_server
from bench.stock import INSTANCE_TYPE, Stock, open_stock
from bench.waits import GENTLE_S, create_image, rest, run_instance
from kiln.client.client import Client
from kiln.client.waiters import wait
from kiln.ground.units import GiB, MiB
from kiln.service.engines.ceph import POOL, Ceph

_NAMESPACE = "bench"
_BUCKET = "bench"
_SIZE_GIB = 20
_GONE_WITHIN_S = 180.0
_LOOK_S = 0.2


def run(it: Bench, ceph: Ceph, address: str) -> None:
    """Serve one process on Ceph and on the empty database at *address*, and measure it beside Ceph."""
    it.report.head("Disks on Ceph (one node, in memory): from the call to Available, over HTTP, asked every 2 ms")
    shapes = it.either((1, 4, 17), (1, 4))
    data = it.folder / "on-ceph"
    settings = {
        "database": address,
        "pool": f"rbd:{POOL}/{_NAMESPACE}",
        "ceph_conf": str(ceph.configuration),
        "grace": "0",
    }
    with open_stock(data, **settings) as stock:
        instances = {count: stock.instance([_SIZE_GIB] * count) for count in shapes}
        (image,) = stock.images(stock.snapshot(_SIZE_GIB), 1, size_gib=_SIZE_GIB)
        filled = _image_names(stock, instances[shapes[-1]])
    with (
        closing(CephItself(ceph, max(shapes), _SIZE_GIB * GiB)) as itself,
        closing(Bytes(ceph, _NAMESPACE)) as there,
        _served(data, settings) as server,
        closing(server.client()) as client,
    ):
        for name in filled:
            there.fill(name, it.either(4, 1) * MiB)
        _captures(it, client, itself, instances)
        _launches(it, client, itself, image)
        _copied(it, client, there, instances[shapes[-1]], shapes[-1])
        _transfers(it, server, client, itself)
        _left(it, client, there)


@contextmanager
def _served(data: Path, settings: dict[str, str]) -> Iterator[Server]:
    named = {f"KILN_{name.upper()}": value for name, value in settings.items()}
    with start_server(data, one_core=False, settings=named) as server:
        yield server


def _image_names(stock: Stock, instance: str) -> list[str]:
    """Which images of Ceph an instance's disks are."""
    return [stock.assembly.pool.blockdevs(head)[-1]["image"] for head in stock.heads(instance)]


def _captures(it: Bench, client: Client, itself: CephItself, instances: dict[int, str]) -> None:
    took: dict[int, list[float]] = {count: [] for count in instances}
    floor: dict[int, list[float]] = {count: [] for count in instances}
    for instance in instances.values():
        create_image(client, instance, GENTLE_S)
    for _ in range(it.either(11, 2)):
        for count, instance in instances.items():
            rest()
            took[count].append(create_image(client, instance, GENTLE_S).done_s * 1000)
            floor[count].append(itself.snap(count) * 1000)
    for count in instances:
        what = f"CreateImage of a stopped instance, {count} disk{'s' * (count > 1)} of {_SIZE_GIB} GiB"
        against = {f"rbd snap create{', all at once' * (count > 1)}": statistics.median(floor[count])}
        it.report.add(median_of(what, "ms", took[count], against=against))


def _launches(it: Bench, client: Client, itself: CephItself, image: str) -> None:
    took, floor = [], []
    run_instance(client, image, INSTANCE_TYPE)
    for _ in range(it.either(11, 2)):
        rest()
        took.append(run_instance(client, image, INSTANCE_TYPE).disk_s * 1000)
        floor.append(itself.clone() * 1000)
    against = {"rbd clone": statistics.median(floor)}
    it.report.add(median_of(f"RunInstances, until its disk of {_SIZE_GIB} GiB is there", "ms", took, against=against))


def _transfers(it: Bench, server: Server, client: Client, itself: CephItself) -> None:
    size_mib, turns = it.either(128, 16), it.either(5, 2)
    bucket = server.data / "buckets" / _BUCKET
    bucket.mkdir(parents=True, exist_ok=True)
    file = random_file(bucket / "disk.raw", size_mib * MiB)
    brought: dict[str, list[float]] = {"own": [], "floor": []}
    sent: dict[str, list[float]] = {"own": [], "floor": []}
    for turn in range(turns):
        began = time.perf_counter()
        image = _import(client, file, turn)
        brought["own"].append(time.perf_counter() - began)
        brought["floor"].append(itself.bring_in(file))
        began = time.perf_counter()
        _export(client, image)
        sent["own"].append(time.perf_counter() - began)
        sent["floor"].append(itself.send_out(file, server.data / "exported"))
        _delete(client, image)
        for made in bucket.glob("*_system_*"):
            made.unlink()
    for what, word, found in (("ImportImage", "rbd import", brought), ("ExportImage", "rbd export, synced", sent)):
        against = {f"{word}, the program": statistics.median(found["floor"])}
        it.report.add(median_of(f"{what} of {size_mib} MiB, raw", "s", found["own"], against=against))


def _import(client: Client, file: Path, turn: int) -> str:
    mapping = {"OSSBucket": _BUCKET, "OSSObject": file.name, "Format": "RAW"}
    asked = {"ImageName": f"brought-{turn}", "Platform": "Debian", "DiskDeviceMapping": [mapping]}
    image = str(client.call("ImportImage", asked)["ImageId"])
    wait(client, "image", image, "Available")
    return image


def _export(client: Client, image: str) -> None:
    task = client.call("ExportImage", ImageId=image, OSSBucket=_BUCKET, ImageFormat="raw")["TaskId"]
    wait(client, "task", task, "Finished")


def _delete(client: Client, image: str) -> None:
    """Delete an image and the snapshots that it was made of."""
    (row,) = client.call("DescribeImages", ImageId=image, Status="ALL")["Images"]["Image"]
    client.call("DeleteImage", ImageId=image, Force=True)
    for disk in row["DiskDeviceMappings"]["DiskDeviceMapping"]:
        client.call("DeleteSnapshot", SnapshotId=disk["SnapshotId"], Force=True)


def _copied(it: Bench, client: Client, there: Bytes, instance: str, disks: int) -> None:
    """Make images of disks with bytes in them."""
    count = it.either(4, 2)
    rest()
    lay = there.of_disks()
    for _ in range(count):
        create_image(client, instance, GENTLE_S)
    copied = there.of_disks() - lay
    it.report.add(
        Figure(
            f"bytes of disks copied for an image of {disks}, which have {lay // MiB} MiB",
            copied / count,
            "B",
            n=count,
            aim=at_most(copied, 0, "none"),
        )
    )


def _left(it: Bench, client: Client, there: Bytes) -> None:
    """Delete all that there is."""
    began = time.perf_counter()
    _delete_all(client)
    _until(lambda: not there.images())
    gone_s = time.perf_counter() - began
    with suppress(TimeoutError):  # Ceph takes away by itself what only snapshots had.
        _until(lambda: not there.objects())
    left = there.objects()
    note = f"no image either, {gone_s:.1f} s after the first call to delete all"
    it.report.add(Figure("objects of disks left in Ceph", left, "", note=note, aim=at_most(left, 0, "none")))


def _delete_all(client: Client) -> None:
    instances = [one["InstanceId"] for one in client.rows("DescribeInstances")]
    for instance in instances:
        client.call("DeleteInstance", InstanceId=instance, Force=True)
    for instance in instances:
        wait(client, "instance", instance, None)
    for image in list(client.rows("DescribeImages", {"ImageOwnerAlias": "self", "Status": "ALL"})):
        client.call("DeleteImage", ImageId=image["ImageId"], Force=True)
    for snapshot in list(client.rows("DescribeSnapshots")):
        client.call("DeleteSnapshot", SnapshotId=snapshot["SnapshotId"], Force=True)


def _until(is_so: Callable[[], bool]) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + _GONE_WITHIN_S
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not after {_GONE_WITHIN_S:.0f} s")
        time.sleep(_LOOK_S)
