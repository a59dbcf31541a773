"""A PostgreSQL server that goes away under a Kiln that serves: it is told as our fault, and all goes on by itself."""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from kiln.client.client import ApiFailure, Client
from kiln.store import deployment, schema
from kiln.store.database import open_postgresql
from kiln.store.errors import DatabaseDown, DatabaseMalformed
from kiln.upkeep.recorder import Recorder
from tests.postgresql import make_database, server_made
from tests.waiting import wait_for
from tests.warm import start_kiln

pytestmark = pytest.mark.postgresql


@pytest.fixture(scope="module")
def server():
    with server_made() as one:
        one.start()
        yield one


@pytest.fixture
def address(server):
    """A database of the server for the test alone."""
    with make_database(server.address) as one:
        yield one


@contextmanager
def served(folder, address, **settings):
    """A Kiln that serves, and a client of it; afterwards it is the same process, which met nothing unknown to it."""
    with start_kiln(folder / "data", database=address, log="info", **settings) as kiln:
        process = kiln.process.pid
        with closing(Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)) as client:
            yield kiln, client
        assert kiln.process.poll() is None
        assert kiln.process.pid == process
        assert kiln.stop() == 0
    assert "Traceback" not in kiln.log.read_text()


def ready(kiln):
    """What ``GET /readyz`` tells."""
    try:
        with urlopen(f"{kiln.endpoint}/readyz", timeout=300) as answer:
            return json.loads(answer.read())
    except HTTPError as error:
        with error:
            return json.loads(error.read())


def refusal(client, action, **params):
    """Status and code with which a call is refused."""
    with pytest.raises(ApiFailure) as failure:
        client.call(action, **params)
    return failure.value.status, failure.value.code


def goes_on(client):
    """Whether something can be written again."""
    try:
        return client.call("CreateKeyPair", KeyPairName=f"k{time.monotonic_ns()}")["KeyPairId"]
    except ApiFailure as failure:
        if failure.code != "ServiceUnavailable":
            raise
        return None


def is_waited_for(database):
    with database.engine.connect() as connection:
        waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = 8787 AND NOT granted"
        return connection.exec_driver_sql(waits).first()


def end_lock(server):
    server.say(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 8787"
        " AND granted AND pid <> pg_backend_pid()"
    )


def test_all_goes_on_by_itself_when_a_killed_server_is_back(server, address, tmp_path):
    with served(tmp_path, address) as (kiln, client):
        disk = client.call("CreateDisk", ZoneId=f"{kiln.region}-a", Size=20)["DiskId"]
        server.kill9()
        assert refusal(client, "DescribeDisks") == (503, "ServiceUnavailable")
        assert refusal(client, "DeleteDisk", DiskId=disk) == (503, "ServiceUnavailable")
        assert "does not answer" in wait_for(lambda: ready(kiln).get("reason"))
        with urlopen(f"{kiln.endpoint}/healthz", timeout=300) as answer:
            assert answer.status == 200

        server.start()

        # What was still to be done of the disk is done, and what had been answered is there.
        wait_for(lambda: goes_on(client))
        wait_for(lambda: state_of(client, disk) == "Available")
        assert client.call("DeleteDisk", DiskId=disk)
        assert wait_for(lambda: ready(kiln)["status"] == "ok")


def state_of(client, disk):
    found = client.call("DescribeDisks", DiskIds=json.dumps([disk]))["Disks"]["Disk"]
    return found[0]["Status"] if found else None


def test_a_frozen_server_keeps_nobody_for_longer_than_is_said(server, address, tmp_path):
    with served(tmp_path, address, database_statement_timeout="1s", database_connect_timeout="2s") as (
        kiln,
        client,
    ):
        assert goes_on(client)
        stopped = server.processes
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
        try:
            assert refusal(client, "DescribeDisks") == (503, "ServiceUnavailable")
            assert "does not answer" in ready(kiln)["reason"]
        finally:
            for process in stopped:
                os.kill(process, signal.SIGCONT)
        wait_for(lambda: goes_on(client))


def test_a_lock_whose_connection_alone_was_ended_is_taken_again(server, address, tmp_path):
    with served(tmp_path, address) as (kiln, client):
        end_lock(server)
        wait_for(lambda: "database_back" in kiln.log.read_text())
        assert goes_on(client)


def test_one_whose_lock_another_has_writes_nothing_until_it_has_it_again(server, address, tmp_path):
    other = open_postgresql(address)
    with (
        served(tmp_path, address) as (kiln, client),
        other.engine.connect() as connection,
        ThreadPoolExecutor(1) as waiting,
    ):
        # Who waits for the lock has it before anybody who tries again.
        has_it = waiting.submit(connection.exec_driver_sql, "SELECT pg_advisory_lock(8787, 1)")
        wait_for(lambda: is_waited_for(other))
        end_lock(server)
        has_it.result()
        connection.commit()
        assert wait_for(lambda: "another session holds" in ready(kiln).get("reason", ""))
        assert refusal(client, "CreateKeyPair", KeyPairName="one") == (503, "ServiceUnavailable")
        assert client.call("DescribeKeyPairs")["TotalCount"] == 0
        connection.exec_driver_sql("SELECT pg_advisory_unlock(8787, 1)")
        wait_for(lambda: goes_on(client))
    other.close()


def test_one_whose_generation_another_has_begun_meanwhile_ends(server, address, tmp_path):
    with start_kiln(tmp_path / "data", database=address) as kiln:
        server.say("UPDATE deployment SET generation = generation + 1", address=address)
        end_lock(server)
        assert kiln.process.wait(300) == 3
        assert "another Kiln has begun its generation" in kiln.log.read_text()


def test_a_standby_that_takes_over_is_gone_on_with(tmp_path):
    replicated = {"fsync": "off", "wal_level": "replica", "max_wal_senders": "4"}
    with server_made(replicated) as primary:
        primary.start()
        with server_made(replicated, of=primary) as standby:
            standby.start()
            # What was answered is on both from here on.
            primary.say("ALTER SYSTEM SET synchronous_standby_names = '*'")
            primary.reload()
            both = f"postgresql://kiln@/postgres?host={primary.folder},{standby.folder}"
            with served(tmp_path, both) as (_, client):
                client.call("CreateKeyPair", KeyPairName="kept")
                primary.kill9()
                assert refusal(client, "CreateKeyPair", KeyPairName="lost")[1] == "ServiceUnavailable"
                standby.promote()
                wait_for(lambda: goes_on(client))
                # A connection to the one that is gone may be left, which the first that uses it hears of.
                assert wait_for(lambda: pairs(client, "kept")) == ["kept"]


def pairs(client, name):
    try:
        return [one["KeyPairName"] for one in client.call("DescribeKeyPairs", KeyPairName=name)["KeyPairs"]["KeyPair"]]
    except ApiFailure as failure:
        if failure.code != "ServiceUnavailable":
            raise
        return None


def test_a_standby_alone_is_refused(tmp_path):
    replicated = {"fsync": "off", "wal_level": "replica", "max_wal_senders": "4"}
    with server_made(replicated) as primary:
        primary.start()
        with server_made(replicated, of=primary) as standby:
            standby.start()
            database = open_postgresql(standby.address)
            with pytest.raises(DatabaseDown, match=r"read-only|standby"):
                database.probe(lambda _: None)
            database.close()
            any_server = open_postgresql(f"{standby.address}&target_session_attrs=any")
            schema_of = open_postgresql(primary.address)
            schema.create(schema_of)
            schema_of.close()
            wait_for(lambda: schema.version(any_server))
            with pytest.raises(DatabaseDown, match="standby"):
                any_server.write(deployment.next_batch)
            any_server.close()


def test_a_server_that_has_forgotten_what_was_committed_is_written_no_more(cloud):
    recorder = Recorder(cloud.ports.database, cloud.ports.pool.records, "d")
    for _ in range(2):
        recorder.note([("account", cloud.account)])
        recorder.flush()
    cloud.ports.database.write(lambda tx: deployment.put_batch(tx, 1))
    recorder.note([("account", cloud.account)])
    with pytest.raises(DatabaseMalformed, match="it knew of 2 batches of records and now of 1"):
        recorder.flush()
    assert "an older server" in (cloud.ports.database.damage or "")
    cloud.ports.database.damage = None
