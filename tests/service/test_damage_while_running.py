"""A disk spoils a page of the database below a Kiln that runs: it writes and deletes nothing more, and says so."""

from __future__ import annotations

import contextlib
import sqlite3
import threading

import pytest

from kiln.operations import CATALOGUE
from kiln.service.checking import DailyCheck
from kiln.service.health import health
from kiln.store.database import open_sqlite
from kiln.store.disks import disks
from kiln.store.errors import DatabaseMalformed
from kiln.store.tags import Tag, tags
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.tasks.worker import Duty, Worker
from kiln.upkeep import unfinished
from kiln.upkeep.keeper import CHORES, Chore, Keeper
from kiln.wire.dispatch import Dispatcher
from kiln.wire.gateway import Gateway
from kiln.wire.nonces import MemoryNonces
from tests.clouds import REGION, make_cloud
from tests.fuzz.requests import WAYS
from tests.fuzz.target import OneAccount, read
from tests.reading import every
from tests.stock import an_instance

ACCOUNT = "1000000000000001"
ROWS = 200


@pytest.fixture
def cloud(tmp_path, sqlite):
    """A Kiln with something to delete, and many tags, of which no page is in memory."""
    cloud = make_cloud(tmp_path, sqlite)
    an_instance(cloud, data_disks=1)
    with cloud.ports.database.read() as tx:
        heads = [row.id for row in volumes.all(tx)]
    assert heads
    for number in range(ROWS):
        tag = Tag(account=ACCOUNT, resource_type="image", resource="m-1", key=f"k{number:03}", value="v" * 200)
        cloud.ports.database.write(lambda tx, tag=tag: tags.insert(tx, tag))
    reopen(cloud)
    yield cloud
    cloud.ports.database.close()


def reopen(cloud):
    cloud.ports.database.close()
    with contextlib.closing(sqlite3.connect(file_of(cloud))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    cloud.refit(database=open_sqlite(file_of(cloud)))


def file_of(cloud):
    return cloud.folder / "kiln.sqlite"


def spoil(cloud, tree="tags", how=bytes):
    """Spoil all pages of a table or an index, below whoever has the file open."""
    with contextlib.closing(sqlite3.connect(f"file:{file_of(cloud)}?mode=ro&immutable=1", uri=True)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        pages = connection.execute("SELECT pageno FROM dbstat WHERE name = ?", (tree,)).fetchall()
    with file_of(cloud).open("r+b") as file:
        for (number,) in pages:
            file.seek((number - 1) * size)
            file.write(how(size))


def read_tags(cloud):
    with cloud.ports.database.read() as tx:
        return len(tags.all(tx))


def test_a_read_that_meets_it_stops_every_write(cloud, caplog):
    with cloud.ports.database.read() as tx:
        before = len(volumes.all(tx))
    spoil(cloud)

    with pytest.raises(DatabaseMalformed, match="malformed"):
        read_tags(cloud)

    written = []
    with pytest.raises(DatabaseMalformed, match="malformed"):
        cloud.ports.database.write(written.append)
    assert written == []
    with cloud.ports.database.read() as tx:
        assert len(volumes.all(tx)) == before
    (told,) = [record for record in caplog.records if record.getMessage() == "database_damaged"]
    assert told.levelname == "ERROR"
    assert "kiln fsck" in str(vars(told))


def test_a_write_that_meets_it_is_rolled_back_and_stops_the_next(cloud):
    spoil(cloud)

    def work(tx):
        volumes.delete(tx, volumes.c.id != "")
        tags.all(tx)

    for _ in range(2):
        with pytest.raises(DatabaseMalformed):
            cloud.ports.database.write(work)

    assert every(cloud, volumes) != []


def test_an_error_of_something_else_stops_nothing(cloud):
    with pytest.raises(ZeroDivisionError):
        cloud.ports.database.write(lambda tx: 1 / 0)
    with pytest.raises(Exception, match="no such table"):
        cloud.ports.database.write(lambda tx: tx.driver("SELECT 1 FROM no_such_table", ()))

    assert cloud.ports.database.damage is None
    cloud.ports.database.write(lambda tx: tags.delete(tx, key="k001"))
    assert read_tags(cloud) == ROWS - 1


def test_health_says_it_in_words(cloud):
    assert health(cloud.ports).is_ready
    spoil(cloud)
    with pytest.raises(DatabaseMalformed):
        read_tags(cloud)

    found = health(cloud.ports)

    facts = found.told
    assert (found.is_ready, found.is_alive) == (False, True)
    assert facts["status"] == "failing"
    for words in ("the database is damaged", "malformed", "Nothing is written or deleted", "kiln fsck"):
        assert words in facts["reason"]


@pytest.mark.parametrize("way", WAYS)
def test_a_request_is_told_that_the_service_is_at_fault(cloud, way):
    disk = every(cloud, disks)[0].id
    gateway = Gateway(Dispatcher(CATALOGUE, cloud.ports), OneAccount(), MemoryNonces(), cloud.clock)
    spoil(cloud)
    spoil(cloud, "sqlite_autoindex_tags_1")

    first = gateway.answer(way("DescribeDisks", {"RegionId": REGION}, cloud.clock()))
    change = gateway.answer(way("DeleteDisk", {"RegionId": REGION, "DiskId": disk}, cloud.clock()))
    reading = gateway.answer(way("DescribeInstanceStatus", {"RegionId": REGION}, cloud.clock()))

    assert [(answer.status, read(answer)["Code"]) for answer in (first, change)] == [(503, "ServiceUnavailable")] * 2
    assert reading.status == 200
    assert b"malformed" not in first.body


def test_no_chore_runs_any_more(cloud):
    runs = []
    spoil(cloud)
    volume = next(row for row in every(cloud, volumes))
    with contextlib.suppress(DatabaseMalformed):
        read_tags(cloud)
    keeper = Keeper(cloud.ports, (*CHORES, Chore("other", 0.0, runs.append)))
    keeper.start()
    keeper.stop()

    assert runs == []
    for chore in CHORES:
        with contextlib.suppress(DatabaseMalformed):
            chore.do(cloud.ports)
    assert cloud.ports.pool.exists(volume.id)
    assert list(cloud.ports.pool.discarded()) == []


def test_a_task_that_meets_it_is_neither_tried_again_nor_given_up(cloud, caplog):
    tried, given_up = [], []

    def carry_out(job):
        tried.append(job.task.id)
        read_tags(cloud)

    worker = Worker(
        cloud.ports, {"Test": Duty(carry_out, give_up=lambda job, error: given_up.append(error))}, unfinished
    )
    cloud.ports.database.write(lambda tx: cloud.as_call(tx).enqueue("r-1"))
    reopen(cloud)
    worker._ports = cloud.ports
    spoil(cloud)

    for task in worker.claim(cloud.clock()):
        worker.attempt(task)

    assert len(tried) == 1
    assert given_up == []
    assert [row.status for row in every(cloud, tasks)] == ["Processing"]
    assert "task_stopped" in caplog.messages


def test_the_daily_check_finds_what_no_statement_meets(cloud):
    check = DailyCheck(file_of(cloud))
    spoil(cloud, "tags_resource" if has_index(cloud, "tags_resource") else "sqlite_autoindex_tags_1")
    check(cloud.ports)
    assert cloud.ports.database.damage is None  # The start has had it checked.

    check(cloud.ports)

    assert cloud.ports.database.damage is not None
    with pytest.raises(DatabaseMalformed):
        cloud.ports.database.write(lambda tx: None)


def has_index(cloud, name):
    with cloud.ports.database.read() as tx:
        return bool(tx.driver("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchall())


def test_the_daily_check_finds_nothing_in_a_whole_one_that_is_written(cloud):
    check = DailyCheck(file_of(cloud))
    check(cloud.ports)
    is_over = threading.Event()

    def write():
        number = 0
        while not is_over.is_set():
            number += 1
            value = f"{number}" * 50
            cloud.ports.database.write(lambda tx: tags.update(tx, {"value": value}, key="k007"))  # noqa: B023

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            check(cloud.ports)
    finally:
        is_over.set()
        writer.join()

    assert cloud.ports.database.damage is None
    assert read_tags(cloud) == ROWS
