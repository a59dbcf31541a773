"""DeleteInstances, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.states import InstanceStatus
from kiln.store.disks import disks
from kiln.store.instances import instances
from kiln.store.tasks import tasks
from tests.operations.instances.batches import Refusals, a_running_instance, a_stopped_instance, refuses, several
from tests.operations.instances.things import outlive_kills, shown, status_of, watched
from tests.reading import every
from tests.stock import an_instance


def test_removes_all_of_them_with_their_disks(cloud):
    one, two, other = (a_stopped_instance(cloud) for _ in range(3))

    cloud.call("DeleteInstances", several(one, two, one))

    assert [status_of(cloud, each) for each in (one, two)] == ["Stopping", "Stopping"]
    assert len(every(cloud, tasks)) == 2
    cloud.settle()
    assert [shown(cloud, each) for each in (one, two)] == [None, None]
    assert {disk.instance for disk in every(cloud, disks)} == {other}


@pytest.mark.parametrize(("said", "forced"), [({}, True), ({"ForceStop": False}, False)])
def test_stops_running_ones_first(cloud, said, forced):
    machines = watched(cloud)
    one = a_running_instance(cloud)

    cloud.call("DeleteInstances", several(one, Force=True, **said))
    cloud.settle()

    assert machines.stopped == [(one, forced)]
    assert shown(cloud, one) is None


def test_gives_the_same_answer_to_the_same_token_when_all_is_gone(cloud):
    one = a_stopped_instance(cloud)

    cloud.call("DeleteInstances", several(one, ClientToken="once"))
    cloud.settle()

    assert cloud.call("DeleteInstances", several(one, ClientToken="once")) == {}


def test_gives_the_same_answer_to_the_same_token_whatever_the_order_of_the_ids(cloud):
    one, two = a_stopped_instance(cloud), a_stopped_instance(cloud)

    cloud.call("DeleteInstances", several(one, two, ClientToken="once"))

    assert cloud.call("DeleteInstances", several(two, one, ClientToken="once")) == {}
    assert cloud.call("DeleteInstances", several(two, one, two, ClientToken="once")) == {}


def test_outlives_kills(cloud):
    def begin():
        them = [a_stopped_instance(cloud), a_running_instance(cloud)]
        cloud.call("DeleteInstances", several(*them, Force=True))
        return them

    def judge(them):
        assert [shown(cloud, one) for one in them] == [None, None]
        assert not any(cloud.ports.machines.is_running(one) for one in them)

    outlive_kills(cloud, begin, judge, least=8)


class TestRefuses(Refusals):
    action = "DeleteInstances"
    ready = a_stopped_instance
    not_ready = InstanceStatus.RUNNING

    def test_all_when_one_is_protected(self, cloud):
        one, kept = a_stopped_instance(cloud), a_stopped_instance(cloud)
        cloud.ports.database.write(lambda tx: instances.update(tx, {"deletion_protection": True}, id=kept))

        refuses(cloud, self.action, "InvalidOperation.DeletionProtection", 403, one, kept, Force=True)

    @pytest.mark.parametrize("status", [InstanceStatus.PENDING, InstanceStatus.STARTING])
    def test_all_when_one_is_still_being_made(self, cloud, status):
        early = an_instance(cloud, status=status).id
        one = a_stopped_instance(cloud)

        refuses(cloud, self.action, "IncorrectInstanceStatus.Initializing", 403, one, early, Force=True)

    def test_another_request_with_the_same_token(self, cloud):
        one, two = a_stopped_instance(cloud), a_stopped_instance(cloud)
        cloud.call("DeleteInstances", several(one, ClientToken="once"))

        cloud.refuses("DeleteInstances", "IdempotentParameterMismatch", 400, several(two, ClientToken="once"))

        assert status_of(cloud, two) == "Stopped"

    def test_a_malformed_token(self, cloud):
        refuses(
            cloud, self.action, "InvalidClientToken.Malformed", 400, a_stopped_instance(cloud), ClientToken="x" * 65
        )
