"""Waiting by what a Kiln tells: over real connections, before real rows."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace

import pytest

from kiln.client import waiters
from kiln.client.client import Client
from kiln.declare.ids import new_id
from kiln.declare.states import DiskStatus
from kiln.store.disks import disks
from kiln.wire.http.bounds import Room
from kiln.wire.paths.events import Limits
from tests.client.relay import relayed
from tests.clouds import ACCOUNT, REGION, make_cloud
from tests.wire.paths.site import start_site


def test_a_wait_ends_with_the_news_and_asks_nothing_between(tmp_path, sqlite):
    cloud = make_cloud(tmp_path, sqlite)
    row = disks.of_values({"id": new_id("disk"), "account": ACCOUNT, "region": REGION, "status": "Creating"})
    row = replace(row, size_gib=20, category="cloud_essd", type="data", name="d")
    sqlite.write(lambda tx: disks.insert(tx, row))
    looks, has_looked = [], threading.Event()

    def seen(_: int, state: str) -> None:
        looks.append(state)
        has_looked.set()

    def finish() -> None:
        has_looked.wait(300)
        sqlite.write(lambda tx: disks.move(tx, DiskStatus.CREATING, DiskStatus.AVAILABLE, {}, id=row.id))

    with start_site(cloud, Limits(), Room(100, 100)) as site:
        address = f"http://{site.address[0]}:{site.address[1]}"
        client = Client(address, ACCOUNT, f"secret-{ACCOUNT}", REGION, clock=cloud.clock)
        thread = threading.Thread(target=finish)
        thread.start()
        with closing(client.news(row.id)) as news:
            news.wait(300)
            assert news.is_live
            found = waiters._wait(client, "disk", row.id, "Available", news, seen, 25)
        thread.join()
        assert waiters.wait(client, "disk", row.id, "Available") == found
        client.close()

    assert found is not None
    assert looks == ["Creating", "Available"]


@pytest.fixture
def disk(tmp_path, sqlite):
    """A disk that is being made, in a Kiln."""
    cloud = make_cloud(tmp_path, sqlite)
    row = disks.of_values({"id": new_id("disk"), "account": ACCOUNT, "region": REGION, "status": "Creating"})
    row = replace(row, size_gib=20, category="cloud_essd", type="data", name="d")
    sqlite.write(lambda tx: disks.insert(tx, row))
    return cloud, row.id


def finish(sqlite, disk_id):
    sqlite.write(lambda tx: disks.move(tx, DiskStatus.CREATING, DiskStatus.AVAILABLE, {}, id=disk_id))


def test_a_stream_that_breaks_in_mid_wait_ends_no_wait(disk, sqlite):
    """What changes while nothing is told any more is found by looking."""
    cloud, disk_id = disk
    with start_site(cloud, Limits(), Room(100, 100)) as site, relayed(site.address) as relay:
        client = Client(relay.address, ACCOUNT, f"secret-{ACCOUNT}", REGION, clock=cloud.clock)
        with closing(client), closing(client.news(disk_id)) as news:
            news.wait(300)
            assert news.is_live

            def break_then_finish(_: int, state: str) -> None:
                if state == "Creating" and news.is_live:
                    relay.cut()
                elif state == "Creating":
                    finish(sqlite, disk_id)

            found = waiters._wait(client, "disk", disk_id, "Available", news, break_then_finish, 25)
            assert not news.is_live

    assert found["Status"] == "Available"


def test_changes_are_told_over_tls(disk, sqlite, own_authority):
    cloud, disk_id = disk
    with start_site(cloud, Limits(), Room(100, 100)) as site, relayed(site.address, own_authority) as relay:
        client = Client(relay.address, ACCOUNT, f"secret-{ACCOUNT}", REGION, clock=cloud.clock)
        with closing(client), closing(client.news(disk_id)) as news:
            news.wait(300)
            assert news.is_live
            looks = []

            def finish_at_the_first_look(_: int, state: str) -> None:
                looks.append(state)
                if state == "Creating":
                    finish(sqlite, disk_id)

            waiters._wait(client, "disk", disk_id, "Available", news, finish_at_the_first_look, 25)
            assert news.is_live

    assert looks == ["Creating", "Available"]


def test_only_sleeps_where_there_is_no_such_path(stage):
    with closing(stage.client().news("m-1")) as news:
        news.wait(0.2)

        assert not news.is_live
        assert news._connection is None
