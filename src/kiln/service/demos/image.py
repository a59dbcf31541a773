"""``kiln demo``: the main job, on real disks and real virtual machines, step by step and with its times.

The guests are talked to over their serial consoles.
"""

from __future__ import annotations

from pathlib import Path

from kiln.client.waiters import wait
from kiln.ground.units import KiB
from kiln.guest.image import build
from kiln.guest.session import open_session
from kiln.service.demos.stage import Demo, Say, perform

TEXT = "Fired once, poured often."
LATER = "Written after the image was made."
PATH = "/data0/demo"
_TYPE = "ecs.t5-lc2m1.nano"


def demo(say: Say, cache: Path, *, keep: Path | None = None, stays: bool = False) -> None:
    """Run it; *cache* is the setting, *keep* the data folder if it is to stay, *stays* as ``Demo`` has it.

    Raises DemoFailed, GuestError.
    """
    perform("Kiln's main job, with real disks and real virtual machines", _tell, say, cache, keep=keep, stays=stays)


def _tell(it: Demo) -> None:
    """The story itself."""
    golden = it.step(
        "a small Debian guest is made from Debian's own packages",
        lambda: build(it.settings.guest_cache, it.bucket() / "guest.qcow2"),
    )
    base = it.step("ImportImage: its disk becomes an image", lambda: it.import_image("golden", golden))
    first = it.step("RunInstances: VM 1 is started from it", lambda: it.run_instance(base, _TYPE, "vm-1"))
    it.step("VM 1 boots from its disk, through a boot loader", lambda: _ask(it, first, "uptime"))
    it.step(f"VM 1 writes {PATH} and syncs", lambda: _ask(it, first, f"write {PATH} {TEXT}", "sync"))
    before = it.pool_bytes()
    image = it.step("CreateImage of the running VM 1, from call to Available", lambda: _create_image(it, first))
    written = it.pool_bytes() - before
    captured = it.client.call("DescribeImages", ImageId=image)["Images"]["Image"][0]
    size = captured["Size"]
    it.say(f"    {image}: {size} GiB, {written // KiB} KiB written, not a byte of the disk copied")
    it.step(
        f"VM 1 goes on, and writes something else to {PATH}", lambda: _ask(it, first, f"write {PATH} {LATER}", "sync")
    )
    second = it.step("RunInstances: VM 2 is started from the new image", lambda: it.run_instance(image, _TYPE, "vm-2"))
    read = it.step(f"VM 2 boots and reads {PATH}", lambda: _ask(it, second, f"read {PATH}"))
    it.say(f"    VM 2 reads: {read}")
    it.expect("VM 2 reads what VM 1 wrote before the image was made", read, TEXT)
    it.expect("VM 1 reads what it wrote afterwards", _ask(it, first, f"read {PATH}"), LATER)
    it.step("StopInstance: VM 1 powers off", lambda: _stop(it, first))
    it.step("ReplaceSystemDisk: VM 1 gets a new system disk of the image", lambda: _replace(it, first, image))
    it.step("StartInstance: VM 1 starts again", lambda: _start(it, first))
    again = it.step(f"VM 1 boots and reads {PATH}", lambda: _ask(it, first, f"read {PATH}"))
    it.say(f"    VM 1 reads: {again}")
    it.expect("VM 1 reads the image's file after ReplaceSystemDisk", again, TEXT)
    it.leave("both are stopped and deleted", first, second)


def _ask(it: Demo, instance: str, *commands: str) -> str:
    """Have a guest carry out commands; returns the last one's answer."""
    answer = ""
    with open_session(it.settings.folder.console(instance)) as session:
        for command in commands:
            answer = session.ask(command)
    return answer


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
