from __future__ import annotations

import asyncio
import json
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from kiln.service.ballast import Ballast
from kiln.service.datafolder import DataFolder
from kiln.service.health import CHECKS, LEAST_FREE, health
from kiln.service.writing import closed
from kiln.store import schema
from kiln.store.database import open_postgresql, open_sqlite
from kiln.upkeep.keeper import Chore, Keeper
from kiln.wire.paths.health import HealthPath
from kiln.wire.paths.threads import Threads
from tests.clouds import make_cloud
from tests.postgresql import start_postgresql
from tests.tools import lacks, needs
from tests.warm import start_kiln


def ask(ports) -> tuple[int, dict]:
    """The status and the facts that ``GET /readyz`` is answered with."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    with ThreadPoolExecutor(1) as executor:
        app = HealthPath(lambda: ((found := health(ports)).is_ready, found.told), Threads(executor, at_once=1))
        asyncio.run(app({"type": "http", "method": "GET", "path": "/readyz", "headers": []}, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_is_well(cloud):
    status, facts = ask(cloud.ports)

    assert (status, facts["status"], facts["tasks"], facts["machines"]) == (200, "ok", 0, "none")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_says_what_has_ended_though_nobody_stopped_it(cloud):
    def end(ports) -> None:
        raise SystemExit

    keeper = Keeper(cloud.ports, (Chore("ends", 60.0, end), Chore("goes_on", 60.0, lambda _: None)))
    keeper.start()
    deadline = time.monotonic() + 300
    while not keeper.dead():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    found = health(cloud.ports, dead=keeper.dead())
    keeper.stop()

    facts = found.told
    assert (found.is_alive, found.is_ready, facts["status"]) == (False, False, "failing")
    assert found.checks["parts"] == facts["reason"]
    assert "keeper-ends" in facts["reason"]
    assert "keeper-goes_on" not in facts["reason"]
    assert keeper.dead() == []


def test_says_why_webhooks_are_not_told_and_lives(cloud):
    found = health(cloud.ports, untold="nobody looks")

    assert (found.is_alive, found.is_ready) == (True, False)
    assert "nobody looks" in found.checks["webhooks"]


def test_is_well_while_its_disk_has_room(cloud, tmp_path):
    ballast = Ballast(tmp_path / "ballast")

    assert ballast.free_bytes() > LEAST_FREE
    assert health(cloud.ports, ballast).is_ready


def test_says_why_it_cannot_read_its_database(tmp_path):
    file = tmp_path / "kiln.sqlite"
    database = open_sqlite(file)
    schema.create(database)
    cloud = make_cloud(tmp_path, database)
    database.close()
    file.write_bytes(b"no database" * 1000)

    status, facts = ask(cloud.ports)

    assert (status, facts["status"]) == (503, "failing")
    assert facts["reason"].startswith("the database is damaged: file is not a database. Nothing is written")


@pytest.mark.postgresql
def test_says_that_its_database_is_gone(tmp_path):
    with start_postgresql() as address:
        database = open_postgresql(address)
        schema.create(database)
        cloud = make_cloud(tmp_path, database)
        assert ask(cloud.ports)[0] == 200

    status, facts = ask(cloud.ports)

    database.close()
    assert status == 503
    assert "SELECT" not in facts["reason"]


@contextmanager
def read_only(folder):
    """What lies below *folder* cannot be written; who uses it goes on using it."""
    needs("mount", "umount")
    if subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False).returncode:
        lacks("the right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


WELL = dict.fromkeys(("database", "room", "data", "pool", "machines", "buckets", "webhooks", "parts"), "ok")
SAID = {
    "": "the data folder cannot be written (Read-only file system): nothing can be made, changed or deleted.",
    "pool": "the pool cannot be written (Read-only file system): no disk can be made, captured or deleted",
    "run": "the folder of the machines cannot be written (Read-only file system): no machine can be started.",
    "buckets": "the folder of the buckets cannot be written (Read-only file system): nothing can be exported",
}


@pytest.mark.parametrize("closed", SAID)
def test_says_what_cannot_be_done_in_a_folder_that_became_read_only(tmp_path, closed):
    with start_kiln(tmp_path / "data") as kiln:
        (tmp_path / "data" / closed).mkdir(exist_ok=True)
        assert asked(kiln)[::2] == (200, WELL)

        with read_only(tmp_path / "data" / closed):
            status, reason, checks = asked(kiln)
            assert asked(kiln, "healthz")[0] == 200, "to start it anew would not help"

        assert (status, reason[: len(SAID[closed])]) == (503, SAID[closed])
        assert reason.endswith("reading goes on.")
        assert str(tmp_path) not in reason
        name = {"": "data", "run": "machines"}.get(closed, closed)
        assert checks == WELL | {name: reason}
        assert asked(kiln)[::2] == (200, WELL)


def asked(kiln, path="readyz") -> tuple[int, str | None, dict[str, str]]:
    """What a served Kiln says of itself: the status, the reason where it is failing, and the checks."""
    try:
        with urllib.request.urlopen(f"{kiln.endpoint}/{path}", timeout=300) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as answer:
        status, body = answer.code, answer.read()
    said = json.loads(body)
    return status, said.get("reason"), said.get("checks", {})


def test_each_check_is_explained_to_who_watches():
    page = (Path(__file__).resolve().parents[2] / "docs" / "howto" / "watch.md").read_text()

    assert [name for name in CHECKS if f"`{name}`" not in page] == []
    assert list(WELL) == list(CHECKS)


def test_makes_nothing_where_it_looks(cloud, tmp_path):
    folder = DataFolder(cloud.folder)
    before = sorted(cloud.folder.rglob("*"))

    assert health(cloud.ports, folder=folder).is_ready

    assert sorted(cloud.folder.rglob("*")) == before
    assert list(closed(DataFolder(tmp_path / "nowhere"), has_database=True)) == []
