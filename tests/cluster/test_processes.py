"""Processes of every role over one PostgreSQL: who joins, who does what, and what a kill leaves to the others."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from tests import warm
from tests.cluster.deployments import says, wait_until_says
from tests.waiting import wait_for

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]


def status(kiln, path):
    try:
        with urllib.request.urlopen(kiln.endpoint + path, timeout=300) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def read(kiln, path):
    with urllib.request.urlopen(kiln.endpoint + path, timeout=300) as answer:
        return answer.read().decode()


def generation(deployed):
    ((number,),) = deployed.ask("SELECT generation FROM deployment")
    return number


def test_the_main_job_goes_through_every_door(deployed):
    one, two = deployed.start("api-1", "api"), deployed.start("api-2", "api")
    workers = [deployed.start(f"worker-{n}", "worker") for n in (1, 2)]
    assert deployed.hosts() == {"api-1": "api", "api-2": "api", "worker-1": "worker", "worker-2": "worker"}
    assert generation(deployed) == 1

    first, second = deployed.caller(one), deployed.caller(two)
    image = deployed.an_image(first)
    instances = [deployed.an_instance(caller, image) for caller in (first, second)]
    taken = second.ask("CreateImage", InstanceId=instances[0], ImageName="taken")["ImageId"]
    first.image_comes(taken)

    assert all(deployed.host_of(instance) in ("worker-1", "worker-2") for instance in instances)
    assert [status(worker, "/healthz") for worker in workers] == [200, 200]
    assert [status(worker, "/metrics") for worker in workers] == [200, 200]
    assert 'kiln_process_info{host="worker-1",role="worker",worker="' in read(workers[0], "/metrics")
    assert [status(worker, "/") for worker in workers] == [404, 404]
    assert sum(says(worker, "duties_begun") for worker in workers) == 1
    assert not any(says(api, "duties_begun") for api in (one, two))


def test_a_process_that_comes_later_joins_the_generation_and_one_that_is_alone_begins_the_next(deployed):
    one = deployed.start("one", "all")
    two = deployed.start("two", "all")
    assert generation(deployed) == 1
    one.restart()
    assert generation(deployed) == 1
    one.stop()
    two.restart()
    assert generation(deployed) == 2
    assert deployed.hosts() == {"two": "all"}


def test_two_that_start_at_once_are_one_generation(deployed):
    deployed.start("one", "all").stop()
    two = deployed.start("two", "worker")
    two.stop()
    processes = [warm_start(deployed, name) for name in ("one", "two")]
    try:
        wait_for(lambda: set(deployed.hosts()) == {"one", "two"})
        assert generation(deployed) == 3
    finally:
        for process in processes:
            process.terminate()
            process.wait(300)


def warm_start(deployed, name):
    log = (deployed.folder / f"{name}.again").open("wb")
    words = ["serve", "--data", deployed.folder / name, "--database", deployed.address, "--role", "worker"]
    words += ["--shared", deployed.shared, "--host", name, "--machines", "none", "--listen", "127.0.0.1:0"]
    with log:
        return warm.begin(*words, stdout=log.fileno(), stderr=log.fileno())


def test_a_second_of_one_hosts_name_is_refused_before_it_makes_anything(deployed):
    deployed.start("one", "worker")
    words = ["serve", "--data", deployed.folder / "two", "--database", deployed.address, "--role", "worker"]
    words += ["--shared", deployed.shared]
    second = warm.kiln(*words, "--host", "one", "--listen", "127.0.0.1:0")
    assert second.returncode == 3
    assert "another Kiln works with the database as host one" in second.stderr
    assert not (deployed.folder / "two" / "run").exists()


def test_who_needs_the_database_alone_is_refused_while_one_of_them_serves(deployed):
    one, two = deployed.start("one", "all"), deployed.start("two", "worker")
    one.stop()
    words = ["fsck", "--data", deployed.folder / "one", "--database", deployed.address, "--shared", deployed.shared]
    refused = warm.kiln(*words)
    assert refused.returncode == 3
    assert "another Kiln works with the database" in refused.stderr
    two.stop()
    assert warm.kiln(*words).returncode == 0


def test_one_that_comes_to_others_takes_nothing_from_them(deployed):
    """The first of a generation takes back every lease; one that joins may not, since somebody may be at work."""
    api, worker = deployed.start("api", "api"), deployed.start("worker", "worker")
    caller = deployed.caller(api)
    deployed.an_image(caller)
    worker.stop()
    held = "extract(epoch FROM clock_timestamp()) + 50"
    deployed.ask(f"UPDATE tasks SET status = 'Processing', owner = 'somebody', lease_until = {held}")
    before = deployed.ask("SELECT id, owner, generation FROM tasks ORDER BY id")
    assert before

    deployed.start("other", "worker")

    assert deployed.ask("SELECT id, owner, generation FROM tasks ORDER BY id") == before


def test_the_duties_go_to_another_when_who_has_them_is_killed(deployed):
    api = deployed.start("api", "api")
    one, two = (deployed.start(name, "worker", grace="0") for name in ("one", "two"))
    assert says(one, "duties_begun")
    assert not says(two, "duties_begun")

    one.kill9()

    wait_until_says(two, "duties_begun")
    caller = deployed.caller(api)
    disk = caller.ask("CreateDisk", ZoneId=f"{api.region}-a", Size=20, DiskCategory="cloud_essd")["DiskId"]
    wait_for(lambda: deployed.ask("SELECT id FROM disks WHERE status = 'Available'"))
    caller.ask("DeleteDisk", DiskId=disk)
    wait_for(lambda: not deployed.ask("SELECT id FROM volumes"), within_s=300)


def test_a_worker_that_comes_back_takes_up_at_once_what_it_was_killed_in(deployed):
    """What another left whose host had its name is nobody's, and its lease is not waited for."""
    caller = deployed.caller(deployed.start("api", "api"))
    one = deployed.start("one", "worker", kill_at="worker.ImportImage.claimed")
    image = deployed.ask_for_image(caller)
    assert one.process.wait(300) == 137
    ((owner,),) = deployed.ask("SELECT owner FROM tasks WHERE action = 'ImportImage'")
    assert owner

    del one.settings["kill_at"]
    one.start()

    assert says(one, "processes_gone")
    assert deployed.ask("SELECT id FROM workers WHERE id = :id", id=owner) == []
    assert deployed.ask("SELECT id FROM tasks WHERE owner = :id", id=owner) == []
    caller.image_comes(image)
