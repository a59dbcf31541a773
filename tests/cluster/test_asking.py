"""What only the host of an instance knows is had at any door, or an error that says which host said nothing."""

from __future__ import annotations

import base64
import os
import signal

import pytest

from kiln.client.client import ApiFailure
from tests.cluster.deployments import deployment, says, wait_until_says
from tests.tools import needs
from tests.waiting import wait_for

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

needs("qemu-img")


@pytest.fixture
def deployed(postgresql_address, tmp_path):
    with deployment(tmp_path, postgresql_address) as it:
        yield it


@pytest.fixture
def spread(deployed):
    """A door, its client, two workers by their names, and an instance on each by the name of its host."""
    door = deployed.start("api", "api")
    caller, workers = deployed.caller(door), {}
    workers["one"] = deployed.start("one", "worker")
    image = deployed.an_image(caller)
    instances = {"one": deployed.an_instance(caller, image)}
    workers["one"].stop()
    workers["two"] = deployed.start("two", "worker")
    instances["two"] = deployed.an_instance(caller, image)
    workers["one"].start()
    assert [deployed.host_of(instances[name]) for name in ("one", "two")] == ["one", "two"]
    return door, deployed.client(door), workers, instances


def printed(client, instance):
    return base64.b64decode(client.call("GetInstanceConsoleOutput", InstanceId=instance)["ConsoleOutput"])


def refused(client, instance):
    """With what a question about its console is refused."""
    with pytest.raises(ApiFailure) as failure:
        printed(client, instance)
    return failure.value


def test_a_door_tells_what_the_hosts_know(deployed, spread):
    door, client, _, instances = spread
    for instance in instances.values():
        assert b"machines: none" in printed(client, instance)
        assert client.call("DescribeReasons", ResourceId=instance)["Network"] == "user"

    told = client.call("DescribeCloudAssistantStatus", InstanceId=list(instances.values()))
    statuses = told["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"]
    assert {one["InstanceId"]: one["CloudAssistantStatus"] for one in statuses} == dict.fromkeys(
        instances.values(), "false"
    )

    client.call("StopInstance", InstanceId=instances["one"])
    deployed.caller(door).instance_is(instances["one"], "Stopped")
    assert b"machines: none" in printed(client, instances["one"])


def test_a_host_that_stands_still_is_named_and_holds_up_no_other(spread):
    _, client, workers, instances = spread
    os.kill(workers["one"].process.pid, signal.SIGSTOP)
    try:
        failure = refused(client, instances["one"])
        assert (failure.code, failure.status) == ("ServiceUnavailable", 503)
        assert "The host one, which the instance is on, could not be asked" in str(failure)
        assert b"machines: none" in printed(client, instances["two"])
        with pytest.raises(ApiFailure, match="host one"):
            client.call("DescribeCloudAssistantStatus", InstanceId=list(instances.values()))
    finally:
        os.kill(workers["one"].process.pid, signal.SIGCONT)
    wait_for(lambda: answers(client, instances["one"]))


def answers(client, instance):
    try:
        return b"machines: none" in printed(client, instance)
    except ApiFailure:
        return False


def test_a_host_that_was_killed_is_named_until_it_is_back(spread):
    _, client, workers, instances = spread
    workers["one"].kill9()
    assert "host one" in str(refused(client, instances["one"]))
    workers["one"].start()
    assert b"machines: none" in printed(client, instances["one"])


def test_a_door_with_another_master_key_is_told_nothing(deployed, spread):
    """As somebody has it who reaches the database and the host, and has not the keys of the deployment."""
    _, client, workers, instances = spread
    key = deployed.shared / "master.key"
    kept = key.read_bytes()
    key.write_bytes(os.urandom(len(kept)))
    try:
        workers["two"].restart()
    finally:
        key.write_bytes(kept)
    assert "host two" in str(refused(client, instances["two"]))
    wait_until_says(workers["two"], "peer_refused")
    assert not says(workers["one"], "peer_refused")
