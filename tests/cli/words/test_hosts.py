"""``kiln host``: the hosts of a database, whether one process works with it or several do."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests import warm
from tests.cluster.deployments import TYPE, deployment
from tests.waiting import wait_for
from tests.warm import start_kiln

pytestmark = pytest.mark.slow


def as_settings(kiln, settings):
    """The environment of a word that is said where the process's data lies."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    return kept | {f"KILN_{name.upper()}": str(it) for name, it in ({"data": kiln.data} | settings).items()}


def host(kiln, *words, **settings):
    return warm.kiln("host", *words, env=as_settings(kiln, settings), timeout=300.0)


def listed(kiln, **settings):
    told = host(kiln, "list", "--json", **settings)
    assert told.returncode == 0, told.stderr
    return {row["Host"]: row for row in json.loads(told.stdout)}


def test_one_kiln_is_one_host_under_the_name_that_it_has_now(tmp_path):
    with start_kiln(tmp_path / "data", host="old") as kiln:
        (row,) = listed(kiln).values()
        assert (row["Host"], row["State"], row["Instances"], row["Address"]) == ("old", "in use", 0, "")
        assert row["Cpus"] >= 1
        assert row["MemoryMib"] >= 128
        kiln.settings["host"] = "new"
        kiln.restart()
        assert list(listed(kiln)) == ["new"]
        assert host(kiln, "list", "--quiet").stdout == "new\n"


@pytest.mark.postgresql
def test_lists_each_host_with_its_process_and_its_instances(postgresql_address, tmp_path):
    with deployment(tmp_path, postgresql_address) as deployed:
        api, one, two = deployed.start("api", "api"), deployed.start("one", "worker"), deployed.start("two", "worker")
        settings = {"database": postgresql_address, "shared": deployed.shared}
        caller = deployed.caller(api)
        instance = deployed.an_instance(caller, deployed.an_image(caller))
        there, other = sorted((one, two), key=lambda kiln: kiln.data.name != deployed.host_of(instance))
        other.stop()

        rows = listed(one, **settings)

        assert list(rows) == ["one", "two"]
        mine = rows[there.data.name]
        assert (mine["State"], mine["Instances"], mine["Address"]) == ("in use", 1, there.endpoint.split("//")[1])
        assert (rows[other.data.name]["Instances"], rows[other.data.name]["Address"]) == (0, "")


@pytest.mark.postgresql
def test_forgets_a_host_that_nobody_serves_and_says_what_that_stops(postgresql_address, tmp_path):
    with deployment(tmp_path, postgresql_address) as deployed:
        api, one = deployed.start("api", "api"), deployed.start("one", "worker")
        settings = {"database": postgresql_address, "shared": deployed.shared}
        caller = deployed.caller(api)
        instance = deployed.an_instance(caller, deployed.an_image(caller))

        served = host(one, "forget", "one", **settings)
        assert (served.returncode, "a process serves the host one" in served.stderr) == (4, True)
        assert "Stop its `kiln serve`" in served.stderr
        one.stop()
        would = host(one, "forget", "one", "--dry-run", **settings)
        assert (would.returncode, would.stdout) == (0, f"1 instance of one would be Stopped\n  {instance}\n")
        assert deployed.host_of(instance) == "one"
        # As of one whose networks are joined to those of others.
        deployed.ask("INSERT INTO tunnel_ends (host, address, reason) VALUES ('one', '10.0.0.1:4789', '')")

        done = host(one, "forget", "one", **settings)

        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "one is forgotten")
        caller.instance_is(instance, "Stopped")
        assert listed(one, **settings) == {}
        assert deployed.ask("SELECT host FROM tunnel_ends WHERE host = 'one'") == []
        unknown = host(one, "forget", "one", **settings)
        assert (unknown.returncode, "there is no host 'one'" in unknown.stderr) == (4, True)
        one.start()
        assert list((one.data / "run").glob("*/running")) == []
        assert list(listed(one, **settings)) == ["one"]


@pytest.mark.slow
@pytest.mark.postgresql
def test_what_is_to_start_goes_past_a_drained_host_and_waits_for_room(postgresql_address, tmp_path):
    with deployment(tmp_path, postgresql_address) as deployed:
        api = deployed.start("api", "api")
        one, _ = (deployed.start(name, "worker", guest_memory="1024") for name in ("one", "two"))
        settings = {"database": postgresql_address, "shared": deployed.shared}
        caller = deployed.caller(api)
        image = deployed.an_image(caller)
        assert host(one, "drain", "one", **settings).stdout == "one starts no instance any more; it has 0 instances\n"
        assert listed(one, **settings)["one"]["State"] == "draining"

        first = deployed.an_instance(caller, image)
        answer = caller.ask("RunInstances", ImageId=image, InstanceType=TYPE, Amount=1)
        (second,) = answer["InstanceIdSets"]["InstanceIdSet"]
        wait_for(
            lambda: deployed.ask("SELECT id FROM tasks WHERE error_message LIKE 'No host has room for it, which%'")
        )

        assert deployed.host_of(first) == "two"
        assert (
            host(one, "drain", "one", "--undo", **settings).stdout == "one starts instances again; it has 0 instances\n"
        )
        caller.instance_is(second, "Running")
        assert deployed.host_of(second) == "one"
        refused = host(one, "drain", "three", **settings)
        assert (refused.returncode, "there is no host three" in refused.stderr) == (4, True)


@pytest.mark.slow
def test_says_that_no_disks_keep_a_guest_from_moving_while_it_runs():
    """None do: it named those that are encrypted, and then those on Ceph, and both move."""
    told = " ".join(warm.kiln("host", "drain", "--help").stdout.split())

    assert "with disks in a shared folder, encrypted or not, or on Ceph" in told


def test_one_that_is_alone_is_not_drained(tmp_path):
    with start_kiln(tmp_path / "data") as kiln:
        refused = host(kiln, "drain", "local")

    assert (refused.returncode, "no other host" in refused.stderr) == (4, True)
    assert "names the PostgreSQL that several hosts share" in " ".join(refused.stderr.split())


@pytest.mark.slow
@pytest.mark.postgresql
def test_a_host_is_emptied_by_stop_and_says_of_each_instance_what_became_of_it(postgresql_address, tmp_path):
    """Of two there is room for one elsewhere, and a stopped one needs nothing."""
    with deployment(tmp_path, postgresql_address) as deployed:
        api, one = deployed.start("api", "api"), deployed.start("one", "worker")
        settings = {"database": postgresql_address, "shared": deployed.shared}
        caller = deployed.caller(api)
        image = deployed.an_image(caller)
        first, second, stopped = (deployed.an_instance(caller, image) for _ in range(3))
        caller.ask("StopInstance", InstanceId=stopped)
        caller.instance_is(stopped, "Stopped")
        refused = host(one, "drain", "one", "--by-stop", **settings)
        assert refused.returncode == 11
        assert refused.stdout.count("is Running: No other host has room for it, which needs ") == 2
        assert refused.stdout.splitlines()[-1] == "one starts no instance any more; it has 2 instances"
        deployed.start("two", "worker", guest_memory="1024")

        done = host(one, "drain", "one", "--by-stop", **settings)

        where = {one: deployed.host_of(one) for one in (first, second, stopped)}
        assert sorted(where.values()) == ["", "one", "two"]
        assert where[stopped] == ""
        moved = first if where[first] == "two" else second
        caller.instance_is(moved, "Running")
        assert (done.returncode, f"{moved} is Running on two" in done.stdout.splitlines()) == (11, True)
        assert done.stdout.count("is Running: No other host has room for it") == 1
        assert done.stdout.splitlines()[-1] == "one starts no instance any more; it has 1 instance"
        deployed.start("three", "worker")
        last = host(one, "drain", "one", "--by-stop", **settings)
        assert (last.returncode, deployed.host_of(first if moved == second else second)) == (0, "three")
        assert last.stdout.splitlines()[-1] == "one starts no instance any more; it has 0 instances"
        assert listed(one, **settings)["one"]["Instances"] == 0


@pytest.mark.slow
@pytest.mark.postgresql
def test_who_stops_watching_leaves_what_was_asked_for_to_be_done(postgresql_address, tmp_path):
    with deployment(tmp_path, postgresql_address) as deployed:
        api, one = deployed.start("api", "api"), deployed.start("one", "worker")
        settings = {"database": postgresql_address, "shared": deployed.shared}
        caller = deployed.caller(api)
        instance = deployed.an_instance(caller, deployed.an_image(caller))
        deployed.start("two", "worker")
        of_lane = "lane = :id AND action = 'RunInstances'"
        deployed.ask(f"UPDATE tasks SET status = 'Processing', host = 'nowhere' WHERE {of_lane}", id=instance)

        with (tmp_path / "said").open("wb") as said:
            words = ("host", "drain", "one", "--by-stop")
            watching = warm.begin(*words, env=as_settings(one, settings), stdout=said.fileno(), stderr=said.fileno())
            wait_for(lambda: "waits for what is done with it" in (tmp_path / "said").read_text())
            watching.send_signal(signal.SIGINT)
            assert watching.wait(300) == 130
        assert "What was asked to leave still does" in (tmp_path / "said").read_text()
        assert deployed.host_of(instance) == "one"
        deployed.ask(f"UPDATE tasks SET status = 'Finished', host = '' WHERE {of_lane}", id=instance)

        wait_for(lambda: deployed.host_of(instance) == "two", within_s=300)
        caller.instance_is(instance, "Running")
