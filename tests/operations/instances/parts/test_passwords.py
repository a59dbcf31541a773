"""Passwords, on their way into guests; those are given by a real agent."""

from __future__ import annotations

import logging

import pytest

from kiln.ground import killpoints
from kiln.operations.instances.parts import passwords
from kiln.operations.instances.parts.passwords import GIVE_PASSWORD
from kiln.store.instances import instances
from kiln.store.tasks import tasks
from tests.attended import Attended
from tests.dying import killed_at
from tests.machines.agents import open_agent, open_place, passwords_in
from tests.reading import every, the
from tests.stock import an_instance

SECRET = "Pass-word-1"
DUE = {"password": f"sealed:{SECRET}", "password_due": True}


@pytest.fixture
def place():
    with open_place() as folder:
        yield folder


@pytest.fixture
def instance(cloud, place):
    """A stopped instance that is to be given a password; an agent is where *place* is."""
    made = an_instance(cloud, **DUE).id
    cloud.refit(machines=Attended(cloud.folder / "run", {made: place}))
    return made


def given(cloud) -> list[str]:
    """How the tasks that give passwords stand, the oldest first."""
    return [task.status for task in sorted(every(cloud, tasks, action=GIVE_PASSWORD), key=lambda task: task.seq)]


def start(cloud, instance):
    cloud.call("StartInstance", InstanceId=instance)
    cloud.settle()


def later(cloud, seconds=100.0):
    cloud.clock.now += seconds
    cloud.settle()


@pytest.mark.slow
class TestGives:
    def test_it_once_when_the_machine_starts(self, cloud, instance, place):
        with open_agent(place):
            start(cloud, instance)
            assert passwords_in(place) == [f"root:{SECRET}"]
            assert not the(cloud, instances, id=instance).password_due
            cloud.call("RebootInstance", InstanceId=instance)
            cloud.settle()

        assert passwords_in(place) == [f"root:{SECRET}"]
        assert given(cloud) == ["Finished"]

    def test_it_to_the_administrator_of_windows(self, cloud, place):
        windows = an_instance(cloud, os_type="windows", **DUE).id
        cloud.refit(machines=Attended(cloud.folder / "run", {windows: place}))

        with open_agent(place):
            start(cloud, windows)

        assert passwords_in(place) == [f"Administrator:{SECRET}"]

    def test_one_that_nobody_knows_where_none_was_said(self, cloud, instance, place):
        cloud.ports.database.write(lambda tx: instances.update(tx, {"password": ""}, id=instance))

        with open_agent(place):
            start(cloud, instance)

        (line,) = passwords_in(place)
        assert line.startswith("root:")
        assert len(line) > 30
        row = the(cloud, instances, id=instance)
        assert (row.password, row.password_due) == ("", False)

    def test_it_to_an_agent_that_comes_late(self, cloud, instance, place):
        start(cloud, instance)
        later(cloud)
        assert given(cloud) == ["Processing"]

        with open_agent(place):
            later(cloud)

        assert passwords_in(place) == [f"root:{SECRET}"]
        assert given(cloud) == ["Finished"]

    def test_a_changed_one_after_the_next_restart(self, cloud, instance, place):
        with open_agent(place):
            start(cloud, instance)
            cloud.call("ModifyInstanceAttribute", InstanceId=instance, Password="An0ther-one")
            later(cloud)
            assert passwords_in(place) == [f"root:{SECRET}"]
            cloud.call("RebootInstance", InstanceId=instance)
            cloud.settle()

        assert passwords_in(place) == [f"root:{SECRET}", "root:An0ther-one"]

    def test_it_over_a_kill(self, cloud, instance, place):
        cloud.call("StartInstance", InstanceId=instance)
        (task,) = cloud.worker.claim(cloud.clock())
        cloud.worker.attempt(task)
        (task,) = cloud.worker.claim(cloud.clock())
        _, job = cloud.worker.understand(task)
        with open_agent(place):
            for point in ("machines.before_password", "machines.password_given"):
                with killed_at(point):
                    passwords.carry_out(job)
            assert the(cloud, instances, id=instance).password_due

            later(cloud)
            assert passwords_in(place) == [f"root:{SECRET}"] * 2

        assert given(cloud) == ["Finished"]
        assert not the(cloud, instances, id=instance).password_due

    def test_it_once_where_a_kill_follows_its_record(self, cloud, instance, place):
        cloud.call("StartInstance", InstanceId=instance)
        (task,) = cloud.worker.claim(cloud.clock())
        cloud.worker.attempt(task)
        (task,) = cloud.worker.claim(cloud.clock())
        _, job = cloud.worker.understand(task)
        with open_agent(place):
            with killed_at("passwords.recorded"):
                passwords.carry_out(job)
            later(cloud)

        assert passwords_in(place) == [f"root:{SECRET}"]
        assert given(cloud) == ["Finished"]

    def test_what_it_was_changed_to_meanwhile(self, cloud, instance, place):
        def change(passed):
            if passed == "machines.password_given":
                killpoints.listen(None)
                cloud.call("ModifyInstanceAttribute", InstanceId=instance, Password="An0ther-one")

        with open_agent(place):
            killpoints.listen(change)
            try:
                start(cloud, instance)
            finally:
                killpoints.listen(None)
            later(cloud)

        assert passwords_in(place) == [f"root:{SECRET}", "root:An0ther-one"]

    def test_it_again_at_the_next_start_where_the_guest_refuses(self, cloud, instance, place, caplog):
        (place / "no-passwords").touch()
        caplog.set_level(logging.INFO)
        with open_agent(place):
            start(cloud, instance)
            for _ in range(12):
                later(cloud)
            assert given(cloud) == ["Failed"]
            (reason,) = cloud.call("DescribeReasons", ResourceId=instance)["Reasons"]["Reason"]
            assert (reason["Action"], reason["Code"]) == (GIVE_PASSWORD, "PasswordRefused")
            (place / "no-passwords").unlink()
            cloud.call("RebootInstance", InstanceId=instance)
            cloud.settle()

        assert passwords_in(place) == [f"root:{SECRET}"]
        assert given(cloud) == ["Failed", "Finished"]
        assert SECRET not in caplog.text + repr(cloud.contents()["tasks"])

    def test_up_quietly_where_the_guest_refuses_one_that_nobody_knows(self, cloud, instance, place):
        cloud.ports.database.write(lambda tx: instances.update(tx, {"password": ""}, id=instance))
        (place / "no-passwords").touch()

        with open_agent(place):
            start(cloud, instance)
            for _ in range(12):
                later(cloud)

        assert given(cloud) == ["Finished"]
        assert the(cloud, instances, id=instance).password_due


class TestWaits:
    def test_no_longer_than_the_machine_runs(self, cloud, instance):
        start(cloud, instance)
        cloud.call("StopInstance", InstanceId=instance)
        cloud.settle()
        later(cloud)

        assert given(cloud) == ["Finished"]
        assert the(cloud, instances, id=instance).password_due

    def test_with_one_task_over_restarts(self, cloud, instance):
        start(cloud, instance)
        later(cloud, 1000.0)
        cloud.call("StopInstance", InstanceId=instance)
        cloud.settle()
        start(cloud, instance)

        assert given(cloud) == ["Processing"]

    def test_no_longer_than_there_is_an_instance(self, cloud, instance):
        start(cloud, instance)
        cloud.call("DeleteInstance", InstanceId=instance, Force=True)
        cloud.settle()
        later(cloud)

        assert given(cloud) == ["Finished"]

    def test_and_says_so(self, cloud, instance):
        start(cloud, instance)

        (reason,) = cloud.call("DescribeReasons", ResourceId=instance)["Reasons"]["Reason"]
        assert (reason["Action"], reason["Message"]) == (
            GIVE_PASSWORD,
            "The guest's agent has not answered yet. One without an agent goes on as it is, and gets no password.",
        )

    def test_and_lets_commands_pass(self, cloud, instance):
        start(cloud, instance)

        (waiting,) = cloud.open_tasks()
        assert waiting.lane not in {f"errand:{instance}:{n}" for n in range(4)}
