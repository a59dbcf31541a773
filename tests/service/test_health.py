from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kiln.service.ballast import Ballast
from kiln.service.health import LEAST_FREE, health
from kiln.store import schema
from kiln.store.database import open_postgresql, open_sqlite
from kiln.upkeep.keeper import Chore, Keeper
from kiln.wire.paths.health import HealthPath
from kiln.wire.paths.threads import Threads
from tests.clouds import make_cloud
from tests.postgresql import start_postgresql


def ask(ports) -> tuple[int, dict]:
    """The status and the facts that ``GET /healthz`` is answered with."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    with ThreadPoolExecutor(1) as executor:
        app = HealthPath(lambda: health(ports), Threads(executor, at_once=1))
        asyncio.run(app({"type": "http", "method": "GET", "path": "/healthz", "headers": []}, receive, send))
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
    deadline = time.monotonic() + 30
    while not keeper.dead():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    is_well, facts = health(cloud.ports, dead=keeper.dead())
    keeper.stop()

    assert (is_well, facts["status"]) == (False, "failing")
    assert "keeper-ends" in facts["reason"]
    assert "keeper-goes_on" not in facts["reason"]
    assert keeper.dead() == []


def test_is_well_while_its_disk_has_room(cloud, tmp_path):
    ballast = Ballast(tmp_path / "ballast")

    assert ballast.free_bytes() > LEAST_FREE
    assert health(cloud.ports, ballast)[0]


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
@pytest.mark.timeout(60)
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
