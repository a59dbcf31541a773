"""What is told of what is measured, as whoever scrapes it reads it."""

from __future__ import annotations

import threading

import pytest

import kiln
from kiln.calls.call import NotYet
from kiln.declare.errors import ServiceUnavailable
from kiln.declare.facts import NoFacts
from kiln.service.readings import Seldom
from kiln.service.verdict import keep, kept
from kiln.store import tasks
from kiln.store.volumes import Volume, volumes
from kiln.tasks.worker import Duty, Worker
from kiln.upkeep import unfinished
from kiln.upkeep.findings import Finding
from tests.service.measured import measured
from tests.stock import a_disk, an_instance


def test_tell_what_there_is(cloud):
    an_instance(cloud, data_disks=1)
    a_disk(cloud)

    found = measured(cloud)

    assert found("kiln_build_info", version=kiln.__version__, machines="none") == 1
    assert found("kiln_http_connections") == 3
    assert found("kiln_resources", kind="disk", status="Available") == 1
    assert found("kiln_resources", kind="disk", status="In_use") == 2
    assert found("kiln_volumes", kind="head", state="ready") == 3
    assert found("kiln_machines_running") == 0
    assert found("kiln_ready", check="database") == 1
    assert found("kiln_pool_size_bytes") > found("kiln_pool_free_bytes") > 0
    assert "kiln_database_free_bytes" in {name for name, _ in found.samples} or not cloud.ports.database.is_sqlite


def test_tell_of_a_capture_and_its_chain(cloud):
    before = measured(cloud)
    instance = an_instance(cloud)

    cloud.call("CreateImage", InstanceId=instance.id)
    cloud.settle()

    found = measured(cloud)
    assert found.since(before, "kiln_captures_total", consistency="stopped") == 1
    assert found.since(before, "kiln_task_duration_seconds_count", action="CreateImage", outcome="done") == 1
    assert found("kiln_volumes", kind="layer", state="ready") == 1
    assert (found("kiln_chain_depth_max"), found("kiln_chain_depth_mean")) == (2, 2)
    assert found("kiln_pool_bytes", kind="named") > 0
    assert found("kiln_pool_bytes", kind="head") > 0
    assert found("kiln_pool_bytes", kind="trash") == 0
    assert found.since(before, "kiln_fsync_duration_seconds_count", of="pool") > 0


@pytest.mark.parametrize("depth", [1, 2000])
def test_tell_the_depth_of_long_chains_and_of_one_that_goes_round(cloud, depth):
    def work(tx):
        for n in range(depth):
            parent = f"v-{n - 1}" if n else None
            kind = "head" if n == depth - 1 else "layer"
            row = Volume(
                id=f"v-{n}", state="ready", kind=kind, parent=parent, size_bytes=1, task=None, created_at=cloud.clock()
            )
            volumes.insert(tx, row)
        # It is a damage, and nobody may wait for its end.
        for one, other in (("v-a", "v-b"), ("v-b", "v-a")):
            row = Volume(
                id=one, state="ready", kind="layer", parent=other, size_bytes=1, task=None, created_at=cloud.clock()
            )
            volumes.insert(tx, row)

    cloud.ports.database.write(work)

    assert measured(cloud)("kiln_chain_depth_max") == depth


def test_tell_how_tasks_ended_and_how_long_they_wait(cloud):
    def fails(job):
        raise ServiceUnavailable(reason="full")

    def waits(job):
        raise NotYet(30.0, "The guest is silent.")

    cloud.worker = Worker(cloud.ports, {"Fails": Duty(fails), "Waits": Duty(waits), "Late": Duty(fails)}, unfinished)
    before = measured(cloud)
    for action in ("Fails", "Waits"):
        cloud.ports.database.write(lambda tx, action=action: cloud.as_call(tx, action).enqueue("r-1", NoFacts()))
    cloud.settle()
    cloud.ports.database.write(lambda tx: cloud.as_call(tx, "Late").enqueue("r-1", NoFacts()))
    cloud.ports.database.write(lambda tx: tasks.tasks.update(tx, {"owner": ""}, action="Late"))
    cloud.clock.now += 90

    found = measured(cloud)

    ended = "kiln_task_duration_seconds_count"
    assert found.since(before, ended, action="Fails", outcome="failed") == 1
    assert found.since(before, ended, action="Waits", outcome="postponed") == 1
    assert found("kiln_tasks", action="Late", state="waiting") == 1
    assert 90 <= found("kiln_task_queue_age_seconds", action="Late") < 91
    # Its pause is over since a minute, and nobody has come for it.
    assert found("kiln_tasks", action="Waits", state="waiting") == 1
    assert 60 <= found("kiln_task_queue_age_seconds", action="Waits") < 61


def test_tell_that_the_database_is_damaged_and_nothing_of_it(cloud, monkeypatch):
    monkeypatch.setattr(cloud.ports.database, "damage", "a page is gone")

    found = measured(cloud)

    assert found("kiln_ready", check="database") == 0
    assert found("kiln_ready", check="pool") == 1


def test_tell_what_fsck_found_last(cloud):
    file = cloud.folder / "fsck.json"
    assert "fsck" not in str(measured(cloud).samples)

    keep(file, [Finding("broken", "v-1", "is missing"), Finding("repaired", "v-2", "was doomed")], 1000.0)

    found = measured(cloud)
    assert found("kiln_fsck_findings", sort="broken") == 1
    assert found("kiln_fsck_findings", sort="pending") == 0
    assert found("kiln_fsck_timestamp_seconds") == 1000


@pytest.mark.parametrize("damaged", ["", "[]", "{}", '{"at": "x", "findings": {}}', "\udcff", "x" * 100_000])
def test_tell_nothing_of_a_verdict_that_cannot_be_read(tmp_path, damaged):
    file = tmp_path / "fsck.json"
    file.write_bytes(damaged.encode(errors="surrogateescape"))

    assert kept(file) is None
    assert kept(tmp_path / "none") is None


def test_name_nobody(cloud):
    an_instance(cloud)
    cloud.call("DescribeImages")

    found = measured(cloud)

    values = {value for _, labels in found.samples for _, value in labels}
    assert not [value for value in values if cloud.account in value or value.startswith(("i-", "d-", "m-"))]


def test_looks_seldom_at_what_takes_long():
    looks = []

    def look():
        looks.append(1)
        return [("found", (), 1.0)]

    seldom = Seldom(look)

    assert [seldom(), seldom()] == [[("found", (), 1.0)]] * 2
    assert len(looks) == 1


@pytest.mark.parametrize(("takes_s", "rests_s"), [(0.1, 60), (0.7, 70), (20, 2000)])
def test_looks_for_a_hundredth_of_the_time_at_most(takes_s, rests_s):
    now, looks = [1000.0], []

    def look():
        now[0] += takes_s
        looks.append(now[0])
        return [("found", (), 1.0)]

    seldom = Seldom(look, lambda: now[0])
    seldom()
    now[0] += rests_s - 1
    seldom()
    assert len(looks) == 1
    now[0] += 2
    seldom()
    assert len(looks) == 2


def test_waits_for_nobody_elses_look_but_the_first():
    begun, is_waiting, goes_on, now = threading.Event(), threading.Event(), threading.Event(), [0.0]
    found = iter([["first"], ["second"]])

    def look():
        if begun.is_set():
            is_waiting.set()
            goes_on.wait(300)
        begun.set()
        return next(found)

    seldom = Seldom(look, lambda: now[0])
    assert seldom() == ["first"]
    now[0] += 3600
    slow = threading.Thread(target=seldom)
    slow.start()
    assert is_waiting.wait(300)

    assert seldom() == ["first"]
    goes_on.set()
    slow.join()
    assert seldom() == ["second"]
