"""What every version that landed left on disk is taken over by this one, whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect, text

from kiln.declare.states import ImageStatus, InstanceStatus, TaskStatus
from kiln.pools import overlay
from kiln.store import schema
from kiln.store.database import open_postgresql, open_sqlite
from kiln.store.disks import disks
from kiln.store.images import disks_of, images
from kiln.store.instances import instances
from kiln.store.rows import metadata
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.upkeep.duties import DUTIES
from kiln.upkeep.restore import prepare
from kiln.upkeep.watch import watch
from tests.clouds import Cloud
from tests.kill import checks
from tests.kill.kilns import keep, open_kiln, settle
from tests.reading import every, find, the
from tests.tools import needs
from tests.upgrade.folders import VERSIONS, unpack
from tests.warm import kiln, start_kiln
from tools.keep_data_folder import digest

pytestmark = pytest.mark.slow

each_version = pytest.mark.parametrize("version", VERSIONS)


#: What chains of files read as, by their files' own digests: QEMU is asked once of the same bytes.
_READ: dict[tuple[bytes, ...], str] = {}


def reads_as(folder: Path, volume: str) -> str:
    """What ``digest`` finds, by way of what it found of the same files before."""
    name: str | None = f"{volume}.qcow2"
    held = []
    while name is not None:
        path = folder / "pool" / name
        held.append(sha256(path.read_bytes()).digest())
        name = overlay.read(path).backing
    chain = tuple(held)
    if chain not in _READ:
        _READ[chain] = digest(folder, volume)
    return _READ[chain]


def is_as_before(cloud: Cloud, expected: dict) -> None:
    for image, status in expected["images"].items():
        assert the(cloud, images, id=image).status == status
        with cloud.ports.database.read() as tx:
            assert [disk.snapshot for disk in disks_of(tx, [image])[image]] == expected["image_disks"][image]
    for snapshot, held in expected["snapshots"].items():
        assert reads_as(cloud.folder, the(cloud, snapshots, id=snapshot).volume) == held, snapshot
    for disk, held in expected["disks"].items():
        assert reads_as(cloud.folder, the(cloud, disks, id=disk).volume) == held, disk


def tasks_have_ended_well(cloud: Cloud, expected: dict) -> None:
    ends = {the(cloud, tasks, id=task).action: the(cloud, tasks, id=task).status for task in expected["tasks"]}
    assert ends == dict.fromkeys(ends, TaskStatus.FINISHED)


def test_a_folder_is_kept_of_every_schema_but_the_newest():
    """The newest is kept, too, once it has landed: ``tools/keep_data_folder.py`` says how."""
    landed = {f"{n:04}" for n in range(1, int(schema.NEWEST))}

    kept = {version.partition("-")[0] for version in VERSIONS}
    assert landed <= kept, "tools/keep_data_folder.py COMMIT, the last before the new migration"
    assert kept <= landed | {schema.NEWEST}


@each_version
def test_a_kept_folder_has_a_task_of_every_action_that_is_older(version, tmp_path):
    actions = list(unpack(version, tmp_path)["tasks"].values())

    # A password is given to every instance that another action has just started.
    once = [action for action in actions if action != "GivePassword"]
    assert len(set(once)) == len(once) >= 17
    assert set(actions) <= DUTIES.keys()


@each_version
def test_takes_everything_over(version, tmp_path):
    needs("qemu-img")
    expected = unpack(version, tmp_path)

    with open_kiln(tmp_path) as cloud:
        is_as_before(cloud, expected)
        watch(cloud.ports)  # Somebody waits for a machine that died with its Kiln.
        settle(cloud)
        keep(cloud)

        tasks_have_ended_well(cloud, expected)
        is_as_before(cloud, expected)
        checks.nothing_is_halfway(cloud)
        checks.every_name_is_kept(cloud)
        checks.nothing_is_astray(cloud)
        made = {the(cloud, images, id=image.id).status for image in every(cloud, images)}
        assert made == {ImageStatus.AVAILABLE, ImageStatus.DEPRECATED}


@pytest.mark.parametrize("version", [version for version in VERSIONS if version.endswith("-trash")])
def test_gives_back_what_waits_in_the_trash(version, tmp_path):
    needs("qemu-img")
    expected = unpack(version, tmp_path)
    waits = expected["trash"]

    with open_kiln(tmp_path) as cloud:
        settle(cloud)
        keep(cloud)
        for one in (waits["image"], *waits["disks"]):
            cloud.ports.database.write(lambda tx, one=one: prepare(tx, cloud.ports, one))
        settle(cloud)
        keep(cloud)

        is_as_before(cloud, expected)
        assert the(cloud, images, id=waits["image"]).status == ImageStatus.AVAILABLE
        is_as_before(cloud, {"images": {}, **waits})
        checks.nothing_is_halfway(cloud)
        checks.every_name_is_kept(cloud)
        checks.nothing_is_astray(cloud)


@each_version
def test_serves_it(version, tmp_path):
    """As the program does it, with its threads, its chores and its port."""
    needs("qemu-img")
    data = tmp_path / "data"
    expected = unpack(version, data)

    with start_kiln(data):
        _wait_for_tasks(data)

    with open_kiln(data) as cloud:
        tasks_have_ended_well(cloud, expected)
        is_as_before(cloud, expected)


@pytest.mark.vm
@pytest.mark.slow_vm
@each_version
def test_finds_the_machine_dead_that_ran(version, tmp_path):
    """Its pid file, its locks and its logs are there, and perhaps another process under its number."""
    needs("qemu-img", "qemu-system-x86_64")
    data = tmp_path / "data"
    expected = unpack(version, data)

    with open_kiln(data) as cloud:
        kept = the(cloud, instances, name="kept")
        assert kept.status == InstanceStatus.RUNNING
        others = [task for task in every(cloud, tasks) if task.action in ("StartInstance", "RunInstances")]
        # Only what is looked at here needs QEMU.
        cloud.ports.database.write(lambda tx: tasks.delete(tx, tasks.c.id.in_([task.id for task in others])))
    with start_kiln(data, machines="qemu", accel="tcg"):
        deadline = time.monotonic() + 300
        while _status(data, kept.id) != InstanceStatus.STOPPED:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        # Nor does anything wait for it that was to be done in its guest, such as to give a password.
        _wait_for_tasks(data)

    with open_kiln(data) as cloud:
        for image, status in expected["images"].items():
            assert the(cloud, images, id=image).status == status
        assert find(cloud, disks, instance=kept.id) is not None
    shutil.rmtree(data)  # It would keep the users that it has for machines and networks, of which a host has few.


@pytest.mark.parametrize("word", ["serve", "fsck", "env"])
@pytest.mark.parametrize("left_by", ["a stop", "a kill"])
def test_refuses_a_newer_one_and_changes_nothing(word, left_by, tmp_path):
    data = tmp_path / "data"
    unpack(VERSIONS[-1], data)
    _mark_as_newer(data) if left_by == "a stop" else _die_marking_as_newer(data)
    before = contents(data)

    environment = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    ended = kiln(word, "--data", data, env=environment)

    assert ended.returncode > 0
    assert "9999" in ended.stderr
    assert "Nothing was changed" in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
    assert contents(data) == before


@pytest.mark.postgresql
@each_version
def test_postgresql_has_the_same_tables_and_rows_after_an_upgrade(version, tmp_path, postgresql_address):
    """The rows of the kept folder, in a PostgreSQL of that schema, upgrade to what SQLite's upgrade to."""
    unpack(version, tmp_path)
    old = _rows(create_engine(f"sqlite:///{tmp_path}/kiln.sqlite"))
    sqlite = open_sqlite(tmp_path / "kiln.sqlite")
    schema.create(sqlite)

    postgresql = open_postgresql(postgresql_address)
    _fill(postgresql.engine, version, old)
    schema.create(postgresql)

    assert _declared_rows(postgresql) == _declared_rows(sqlite)
    postgresql.close()
    sqlite.close()


def contents(folder: Path) -> dict[str, tuple]:
    """Every file and folder below, with its mode, time and bytes; but not SQLite's shared memory."""
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        if path.name == "kiln.sqlite-shm":
            continue
        status = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, data)
    return found


def _mark_as_newer(data: Path) -> None:
    engine = create_engine(f"sqlite:///{data}/kiln.sqlite")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()


def _die_marking_as_newer(data: Path) -> None:
    """What was written last is in the log alone."""
    marks = (
        "import os, sqlite3; file = sqlite3.connect('kiln.sqlite'); "
        "file.execute(\"UPDATE alembic_version SET version_num = '9999'\"); file.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", marks], cwd=data, check=True)
    assert (data / "kiln.sqlite-wal").stat().st_size > 0


def _status(data: Path, instance: str) -> str:
    engine = create_engine(f"sqlite:///{data}/kiln.sqlite")
    with engine.connect() as connection:
        found = connection.execute(text("SELECT status FROM instances WHERE id = :id"), {"id": instance}).scalar_one()
    engine.dispose()
    return str(found)


def _wait_for_tasks(data: Path) -> None:
    engine = create_engine(f"sqlite:///{data}/kiln.sqlite")
    deadline = time.monotonic() + 300
    while True:
        with engine.connect() as connection:
            left = connection.execute(text("SELECT count(*) FROM tasks WHERE status = 'Processing'")).scalar_one()
        if not left:
            engine.dispose()
            return
        assert time.monotonic() < deadline, f"{left} tasks are left"
        time.sleep(0.05)


def _rows(engine) -> dict[str, list[dict]]:
    with engine.connect() as connection:
        names = [name for name in inspect(connection).get_table_names() if name != "alembic_version"]
        found = {
            name: [dict(row) for row in connection.execute(text(f'SELECT * FROM "{name}"')).mappings()]
            for name in names
        }
    engine.dispose()
    return found


def _fill(engine, version: str, rows: dict[str, list[dict]]) -> None:
    with engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(files("kiln.store") / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, version.partition("-")[0])
        for table, found in rows.items():
            flags = {c["name"] for c in inspect(connection).get_columns(table) if str(c["type"]) == "BOOLEAN"}
            for row in found:
                row |= {name: bool(row[name]) for name in flags if row[name] is not None}
                columns = ", ".join(f'"{name}"' for name in row)
                values = ", ".join(f":{name}" for name in row)
                connection.execute(text(f'INSERT INTO "{table}" ({columns}) VALUES ({values})'), row)
        connection.commit()


def _declared_rows(database) -> dict[str, list]:
    with database.engine.connect() as connection:
        return {
            table.name: sorted(repr(tuple(row)) for row in connection.execute(table.select()))
            for table in metadata.sorted_tables
        }
