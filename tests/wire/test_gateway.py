"""From a request to its answer, where something behind the doors is broken."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from kiln.declare.metrics import REQUESTS
from kiln.ground.journal import FACTS
from kiln.operations import CATALOGUE
from kiln.store.line import Hands
from kiln.wire.dispatch import Dispatcher
from kiln.wire.gateway import Gateway
from kiln.wire.nonces import MemoryNonces
from tests.clouds import REGION, make_cloud
from tests.fuzz.requests import WAYS
from tests.fuzz.target import OneAccount, read

IMPORT = {
    "RegionId": REGION,
    "DiskDeviceMapping.1.OSSBucket": "bucket",
    "DiskDeviceMapping.1.OSSObject": "secret-object",
    "DiskDeviceMapping.1.Format": "qcow2",
}


A_DISK = {"RegionId": REGION, "ZoneId": f"{REGION}-a", "Size": "20", "DiskCategory": "cloud_essd"}


class BrokenBuckets:
    """Buckets on a disk that fails."""

    def __getattr__(self, name: str):
        raise OSError(5, "Input/output error", "/somewhere/private")


@pytest.fixture
def logged(caplog):
    """What is logged, by the names of events."""
    caplog.set_level("INFO")

    def find(event: str) -> list[dict[str, Any]]:
        found = [record for record in caplog.records if record.getMessage() == event]
        return [{**getattr(record, FACTS), "exception": record.exc_text} for record in found]

    return find


@pytest.fixture
def broken(tmp_path, sqlite):
    """A Kiln whose buckets fail: the clock, and the gateway before it."""
    cloud = make_cloud(tmp_path, sqlite)
    ports = replace(cloud.ports, buckets=BrokenBuckets())
    return cloud.clock, Gateway(Dispatcher(CATALOGUE, ports), OneAccount(), MemoryNonces(), cloud.clock)


@pytest.mark.parametrize("way", WAYS)
def test_a_fault_is_answered_as_one_and_its_cause_stays_in_the_log(broken, logged, way):
    clock, gateway = broken

    answer = gateway.answer(way("ImportImage", IMPORT, clock()))

    told = read(answer)
    assert (answer.status, told["Code"]) == (500, "InternalError")
    assert b"private" not in answer.body
    assert b"Error: " not in answer.body
    (crash,) = logged("request_crashed")
    assert crash["request_id"] == told["RequestId"]
    assert "Traceback (most recent call last)" in crash["exception"]
    assert "OSError: [Errno 5] Input/output error: '/somewhere/private'" in crash["exception"]


def test_a_database_that_takes_nothing_is_not_available(tmp_path, sqlite, logged):
    """A disk that the host made read-only was told as a bug of ours."""
    cloud = make_cloud(tmp_path, sqlite)
    gateway = Gateway(Dispatcher(CATALOGUE, cloud.ports), OneAccount(), MemoryNonces(), cloud.clock)

    sqlite.fence = lambda tx: tx.driver("PRAGMA query_only=ON", ())
    answer = gateway.answer(WAYS[0]("CreateDisk", A_DISK, cloud.clock()))

    assert (answer.status, read(answer)["Code"]) == (503, "ServiceUnavailable")
    assert [len(logged(one)) for one in ("database_closed", "request_crashed")] == [1, 0]


def test_a_database_that_another_process_keeps_is_not_available(tmp_path, sqlite, logged):
    event.listen(sqlite.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=10"))
    cloud = make_cloud(tmp_path, sqlite)
    gateway = Gateway(Dispatcher(CATALOGUE, cloud.ports), OneAccount(), MemoryNonces(), cloud.clock)

    with sqlite3.connect(sqlite.engine.url.database, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = gateway.answer(WAYS[0]("CreateDisk", A_DISK, cloud.clock()))
        other.execute("ROLLBACK")
    after = gateway.answer(WAYS[0]("CreateDisk", A_DISK, cloud.clock()))

    assert (answer.status, read(answer)["Code"], after.status) == (503, "ServiceUnavailable", 200)
    assert [len(logged(one)) for one in ("database_busy", "request_crashed")] == [1, 0]


def test_a_fault_leaves_the_next_request_whole(broken):
    clock, gateway = broken

    statuses = [
        gateway.answer(way(action, IMPORT | {"RegionId": REGION}, clock())).status
        for action, way in zip(["ImportImage", "DescribeImages"] * 2, WAYS, strict=False)
    ]

    assert statuses == [500, 200, 500, 200]


def test_logs_who_asked_for_what_and_what_became_of_it(broken, logged):
    clock, gateway = broken

    answer = gateway.answer(WAYS[0]("DescribeImages", {"RegionId": "nowhere"}, clock()))

    (line,) = logged("request")
    assert line["request_id"] == read(answer)["RequestId"]
    assert (line["door"], line["action"], line["account"]) == ("rpc", "DescribeImages", "1000000000000001")
    assert (line["status"], line["code"]) == (404, "InvalidRegionId.NotFound")
    assert line["ms"] >= 0


def test_a_write_that_is_handed_in_is_answered_by_whoever_commits_for_it(tmp_path, sqlite):
    cloud = make_cloud(tmp_path, sqlite)
    gateway = Gateway(Dispatcher(CATALOGUE, cloud.ports), OneAccount(), MemoryNonces(), cloud.clock)
    has_begun, goes_on, given = threading.Event(), threading.Event(), Given()

    def leads(_):
        has_begun.set()
        assert goes_on.wait(300)

    with ThreadPoolExecutor(1) as other:
        leading = other.submit(sqlite.write, leads)
        assert has_begun.wait(300)
        gateway.hand_in(WAYS[0]("DescribeImages", {"RegionId": REGION}, cloud.clock()), given, Hands(other.submit))
        gateway.hand_in(WAYS[0]("CreateDisk", {"RegionId": "nowhere"}, cloud.clock()), given, Hands(other.submit))
        gateway.hand_in(WAYS[0]("CreateDisk", A_DISK, cloud.clock()), given, Hands(other.submit))
        at_once = list(given.statuses)
        goes_on.set()
        leading.result()

    assert (at_once, given.statuses) == ([200, 404], [200, 404, 200])


def test_an_answer_that_cannot_be_spelled_fails_and_is_not_missed(tmp_path, sqlite):
    """Whoever waits hears of it, though the work is done and nobody is left to raise it to."""
    cloud = make_cloud(tmp_path, sqlite)
    gateway = Gateway(Dispatcher({}, cloud.ports), OneAccount(), MemoryNonces(), cloud.clock)
    gateway._dispatcher = Unspeakable()
    given, request = Given(), WAYS[0]("DescribeImages", {"RegionId": REGION}, cloud.clock())

    gateway.hand_in(request, given, Hands(given.statuses.append))

    assert (given.statuses, [type(error) for error in given.errors]) == ([], [TypeError])
    request = WAYS[0]("DescribeImages", {"RegionId": REGION}, cloud.clock() + 1)
    with pytest.raises(TypeError):
        gateway.answer(request)


class Given:
    """Keeps what it is given instead of an answer."""

    def __init__(self):
        self.statuses, self.errors = [], []

    def succeed(self, answer):
        self.statuses.append(answer.status)

    def fail(self, error):
        self.errors.append(error)


class Unspeakable:
    """A dispatcher whose answers no door can spell."""

    def hand_in(self, account, key, params, then, hands, *, origin):
        then(lambda: {"Images": object()})


@pytest.mark.parametrize("way", WAYS)
def test_counts_the_time_that_a_request_waited_for_its_turn(broken, logged, way):
    clock, gateway = broken
    came_at = time.perf_counter() - 7

    answer = gateway.answer(replace(way("ImportImage", IMPORT, clock()), came_at=came_at))

    assert answer.status == 500
    assert logged("request")[-1]["ms"] >= 7000
    told = [spread for labels, spread in REQUESTS.series().items() if labels[::2] == ("ImportImage", "500")]
    assert max(spread.total for spread in told) >= 7, "http_server_request_duration_seconds"
