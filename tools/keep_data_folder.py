"""Keeps a small data folder as one version of Kiln leaves it, for every later version to upgrade in its tests.

    .venv/bin/python tools/keep_data_folder.py                  what is checked out here
    .venv/bin/python tools/keep_data_folder.py COMMIT           an older version, from a worktree that is made for it
    .venv/bin/python tools/keep_data_folder.py --beside WORD    another of a version of which there is one

Writes tests/upgrade/folders/NNNN.tar.xz, or NNNN-WORD.tar.xz, where NNNN is the newest migration of that version; one
that has landed is history, and another is kept beside it. The folder was left by a kill: in it are every kind of
volume, a task of every action, most not begun and some half done, a trash in which something waits, what a machine
leaves behind that died with Kiln, and ``expected.json`` with the bytes of everything that was whole by then. The
program that lays it out is the old one, and so are its tests' beginnings; from here comes only this file.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "tests" / "upgrade" / "folders"
EXPECTED = "expected.json"
_TRASH = "trash.json"  #: What waits in the trash, until it is in the other.

_BLOCK, _BLOCKS = 65536, 16  #: Of each volume as much is read: all that was written to it.

#: What waits for the agent of a guest, which machines that are only states have none of; and what leaves a host for
#: another, of which a Kiln on SQLite has none once it is served.
_ENDLESS = {"GivePassword", "MoveInstance"}

_LEASE_S = 50.0  #: Less than a lease of any version.

#: Where a task dies. The others are not begun.
_HALFWAY = {
    "CreateImage": "capture.frozen",
    "ImportImage": "intake.brought_in",
    "ExportImage": "export_image.written",
    "RunInstances": "heads.made",
    "ReplaceSystemDisk": "heads.made",
    "ResizeDisk": "resize_disk.grown",
    "Merge": "merge.absorbed",
    "RestoreTrash": "restore.retrieved",
    "EmptyTrash": "trash.purged",
}


def keep(commit: str | None, beside: str = "") -> Path:
    """Lay out the folder in a process of that version, and pack it."""
    with tempfile.TemporaryDirectory(prefix="kiln-keep-", dir="/tmp") as scratch, _checked_out(commit, scratch) as tree:
        Path(scratch).chmod(0o755)
        folder = Path(scratch) / "data"
        environment = os.environ | {"PYTHONPATH": f"{tree / 'src'}:{tree}"}
        subprocess.run([sys.executable, "-P", __file__, "--lay-out", folder], cwd=tree, env=environment, check=True)
        waits = folder / _TRASH
        expected = _expect(folder) | {"trash": json.loads(waits.read_text()) if waits.exists() else {}}
        waits.unlink(missing_ok=True)
        (folder / EXPECTED).write_text(json.dumps(expected, indent=1) + "\n")
        packed = KEPT / f"{_version(folder)}{beside and '-'}{beside}.tar.xz"
        KEPT.mkdir(exist_ok=True)
        owner = ["--owner=0", "--group=0", "--numeric-owner", "--sort=name"]
        command = [
            "tar",
            "--sparse",
            *owner,
            "--exclude=qmp",
            "--exclude=agent",
            "--exclude=console",
            "-cJf",
            str(packed),
        ]
        subprocess.run([*command, "-C", folder, "."], check=True, env=os.environ | {"XZ_OPT": "-9e"})
    return packed


@contextlib.contextmanager
def _checked_out(commit: str | None, scratch: str) -> Iterator[Path]:
    if commit is None:
        yield ROOT
        return
    tree = Path(scratch) / "tree"
    subprocess.run(["git", "-C", ROOT, "worktree", "add", "-q", "--detach", tree, commit], check=True)
    try:
        yield tree
    finally:
        subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", tree], check=True)


def lay_out(folder: Path) -> None:
    """Fill the folder. Runs in the old version, whose modules are imported here and nowhere else."""
    _in_child(lambda: _begin_all(folder))
    for action, point in _HALFWAY.items():
        _in_child(lambda action=action, point=point: _die_at(folder, action, point))  # type: ignore[misc]
    _in_child(lambda: _leave_a_machine(folder))
    _forget_what_has_no_end(folder)
    folder.chmod(0o711)
    (folder / "lock").touch(0o600)
    (folder / "pool" / ".tmp-v-00000000000000000000").write_bytes(b"QFI\xfb")


def _forget_what_has_no_end(folder: Path) -> None:
    """Take away the tasks that nobody could carry out: for guests that will never answer, and hosts that are not."""
    with contextlib.closing(sqlite3.connect(folder / "kiln.sqlite")) as database, database:
        for action in _ENDLESS:
            database.execute("DELETE FROM tasks WHERE action = ?", (action,))


def _begin_all(folder: Path) -> None:
    from tests.kill.kilns import open_kiln  # noqa: PLC0415 - the old version's.
    from tests.stock import a_disk  # noqa: PLC0415 - likewise.

    begun: set[str] = set()
    with open_kiln(folder) as cloud:
        open_tasks = cloud.open_tasks
        # What was begun before stays so while the next arranges what it needs.
        cloud.open_tasks = lambda: [task for task in open_tasks() if task.id not in begun]  # type: ignore[method-assign]
        _settle_some(cloud)
        for beginning in _beginnings().values():
            beginning(cloud)
            begun |= {task.id for task in open_tasks()}
            # Anew each time, and not for ever: a lease that ends later than any can counts as none.
            until = cloud.clock() + _LEASE_S
            cloud.ports.database.write(lambda tx, begun=frozenset(begun), until=until: _lease(tx, begun, until))  # type: ignore[misc]
        _have_something_wait(folder, cloud)
        cloud.call("DeleteDisk", DiskId=a_disk(cloud).id)  # Its volume is left to the sweeper.


def _settle_some(cloud: Any) -> None:
    """What is whole and stays so: images in each state, a snapshot with tags, free disks."""
    from tests.kill.kilns import settle  # noqa: PLC0415 - the old version's.
    from tests.kill.scenarios import DATA, MORE, SYSTEM, an_image_with, an_instance_with  # noqa: PLC0415 - likewise.

    image = an_image_with(cloud, SYSTEM, DATA)
    old = an_image_with(cloud, MORE)
    cloud.call("ModifyImageAttribute", ImageId=image, ImageName="kept", Description="Whole. Ganz. 完整")
    cloud.call("ModifyImageAttribute", ImageId=old, Status="Deprecated")
    cloud.call("AddTags", {"Tag.1.Key": "k", "Tag.1.Value": "v"}, ResourceType="image", ResourceId=image)
    made = cloud.call("RunInstances", ImageId=image, InstanceType="ecs.t5-lc1m1.small", InstanceName="kept")
    settle(cloud)
    (instance,) = made["InstanceIdSets"]["InstanceIdSet"]
    cloud.call("StopInstance", InstanceId=instance)
    an_instance_with(cloud, SYSTEM, MORE)
    settle(cloud)


def _have_something_wait(folder: Path, cloud: Any) -> None:
    """Delete an image with its snapshots and a disk, which go to the trash where the version has one."""
    from kiln.store.disks import disks  # noqa: PLC0415 - the old version's.
    from kiln.store.snapshots import snapshots  # noqa: PLC0415 - likewise.
    from tests.kill.kilns import keep  # noqa: PLC0415 - likewise.
    from tests.kill.scenarios import DATA, MORE, SYSTEM, an_image_with, fill  # noqa: PLC0415 - likewise.
    from tests.stock import a_disk  # noqa: PLC0415 - likewise.

    if not hasattr(cloud.ports, "grace"):
        return
    with cloud.ports.database.read() as tx:
        before = {row.id for row in snapshots.all(tx)}
    image, disk = an_image_with(cloud, SYSTEM, DATA), a_disk(cloud)
    assert disk.volume is not None
    fill(cloud, disk.volume, MORE)
    with cloud.ports.database.read() as tx:
        made = {row.id: row.volume for row in snapshots.all(tx) if row.id not in before}
        (volume,) = (row.volume for row in disks.all(tx, id=disk.id) if row.volume is not None)
    waits = {
        "image": image,
        "snapshots": {one: digest(folder, held) for one, held in made.items() if held is not None},
        "disks": {disk.id: digest(folder, volume)},
    }
    cloud.call("DeleteImage", ImageId=image)
    for snapshot in made:
        cloud.call("DeleteSnapshot", SnapshotId=snapshot)
    cloud.call("DeleteDisk", DiskId=disk.id)
    keep(cloud)
    (folder / _TRASH).write_text(json.dumps(waits))


def _lease(tx: Any, ids: frozenset[str], until: float) -> None:
    from kiln.store.tasks import tasks  # noqa: PLC0415 - the old version's.

    tasks.update(tx, {"owner": "kept", "lease_until": until}, tasks.c.id.in_(ids))


def _die_at(folder: Path, action: str, point: str) -> None:
    from kiln.ground import killpoints  # noqa: PLC0415 - the old version's.
    from tests.kill.kilns import open_kiln  # noqa: PLC0415 - likewise.

    def hook(reached: str) -> None:
        if reached == point:
            os._exit(137)

    with open_kiln(folder) as cloud:
        task = next(task for task in cloud.open_tasks() if task.action == action)
        killpoints.listen(hook)
        cloud.worker.attempt(task)
    raise AssertionError(f"{action} did not come to {point}")


def _leave_a_machine(folder: Path) -> None:
    """Start a machine and kill it and Kiln: the instance is Running, and its run folder says so too."""
    from kiln.declare.products import ECS, ActionKey  # noqa: PLC0415 - likewise.
    from kiln.machines.process import find  # noqa: PLC0415 - the old version's.
    from kiln.machines.runfolder import RunFolder  # noqa: PLC0415 - likewise.
    from kiln.operations import CATALOGUE  # noqa: PLC0415 - likewise.
    from kiln.service.assemble import assemble  # noqa: PLC0415 - likewise.
    from kiln.service.settings import read_settings  # noqa: PLC0415 - likewise.
    from kiln.store.instances import instances  # noqa: PLC0415 - likewise.
    from kiln.tasks.worker import Worker  # noqa: PLC0415 - likewise.
    from kiln.upkeep import unfinished  # noqa: PLC0415 - likewise.
    from kiln.upkeep.duties import DUTIES  # noqa: PLC0415 - likewise.
    from kiln.wire.dispatch import Dispatcher  # noqa: PLC0415 - likewise.
    from tests.clouds import ACCOUNT, REGION  # noqa: PLC0415 - likewise.

    settings = read_settings({"KILN_ACCEL": "tcg"}, data=folder, machines="qemu")
    with assemble(settings) as assembly:
        ports = assembly.ports
        with ports.database.read() as tx:
            (instance,) = instances.all(tx, name="kept")
        worker = Worker(ports, DUTIES, unfinished)
        dispatcher = Dispatcher(CATALOGUE, ports, worker.id, worker.attempt)
        dispatcher.dispatch(ACCOUNT, ActionKey(ECS, "StartInstance"), {"RegionId": REGION, "InstanceId": instance.id})
        pid = find(RunFolder(folder / "run" / instance.id))
    assert pid is not None, "the machine did not start"
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]:
        time.sleep(0.05)


def _beginnings() -> dict[str, Callable[[Any], Any]]:
    there = Path("tests", "beginnings.py")
    spec = importlib.util.spec_from_file_location("beginnings", there if there.exists() else ROOT / there)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Callable[[Any], Any]] = module.BEGINNINGS
    return {action: begin for action, begin in found.items() if action not in _ENDLESS}


def _in_child(act: Callable[[], None]) -> None:
    """As a process that ends without closing anything."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        finally:
            sys.stderr.flush()
            if status:
                import traceback  # noqa: PLC0415 - for a failure only.

                traceback.print_exc()
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 137), f"a step ended with {status}"


def _version(folder: Path) -> str:
    with contextlib.closing(sqlite3.connect(folder / "kiln.sqlite")) as database:
        ((version,),) = database.execute("SELECT version_num FROM alembic_version")
    return str(version)


def _expect(folder: Path) -> dict[str, Any]:
    """What must be as it is in every later version, told by the rows and the files alone."""
    with contextlib.closing(sqlite3.connect(folder / "kiln.sqlite")) as database:
        of_images = "SELECT image, position, snapshot FROM image_disks ORDER BY image, position"
        images = dict(database.execute("SELECT id, status FROM images WHERE status <> 'Creating'").fetchall())
        made_of = database.execute(of_images).fetchall()
        snapshots = database.execute("SELECT id, volume FROM snapshots WHERE status = 'accomplished'").fetchall()
        # What a task is about may be another disk, or none, when it has ended.
        at_rest = "SELECT id, volume FROM disks WHERE status IN ('In_use', 'Available') AND volume IS NOT NULL"
        disks = database.execute(at_rest).fetchall()
        tasks = database.execute("SELECT id, action FROM tasks WHERE status = 'Processing'").fetchall()
    return {
        "images": images,
        "image_disks": {image: [one[2] for one in made_of if one[0] == image] for image in images},
        "snapshots": {snapshot: digest(folder, volume) for snapshot, volume in snapshots},
        "disks": {disk: digest(folder, volume) for disk, volume in disks},
        "tasks": dict(tasks),
    }


def digest(folder: Path, volume: str) -> str:
    """Of what is at the beginning of a volume, through all that it stands on."""
    path = folder / "pool" / f"{volume}.qcow2"
    with tempfile.NamedTemporaryFile() as copy:
        command = ["qemu-img", "dd", "-U", "-f", "qcow2", "-O", "raw", f"bs={_BLOCK}", f"count={_BLOCKS}"]
        subprocess.run([*command, f"if={path}", f"of={copy.name}"], check=True, capture_output=True)
        return hashlib.sha256(Path(copy.name).read_bytes()).hexdigest()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--lay-out"]:
        lay_out(Path(sys.argv[2]))
    else:
        parser = argparse.ArgumentParser(prog="tools/keep_data_folder.py")
        parser.add_argument("commit", nargs="?", metavar="COMMIT", help="an older version")
        parser.add_argument("--beside", default="", metavar="WORD", help="have the file's name end in -WORD")
        given = parser.parse_args()
        packed = keep(given.commit, given.beside)
        print(f"{packed.relative_to(ROOT)}: {packed.stat().st_size / 1024:.0f} KiB")
