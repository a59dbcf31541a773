"""A client that looks at once at what it has begun is told how it ended, and need not look again."""

from __future__ import annotations

import pytest

from kiln.declare.products import ECS, ActionKey
from kiln.operations import CATALOGUE
from kiln.store.line import Hands
from kiln.store.settling import Settling
from kiln.wire.dispatch import Dispatcher
from tests.clouds import ACCOUNT, REGION
from tests.stock import an_instance


class Server:
    """A dispatcher that hears of changes; what it was asked is answered into a list."""

    def __init__(self, cloud):
        settling = Settling(60.0)
        cloud.ports.database.hub.attach(settling)
        self._dispatcher = Dispatcher(CATALOGUE, cloud.ports, settling=settling)
        self.moments = []
        self._hands = Hands(lambda job: job(), later=lambda _, job: self.moments.append(job))

    def ask(self, action, params=None, **more):
        given = []
        asked = {"RegionId": REGION, **(params or {}), **more}
        self._dispatcher.hand_in(
            ACCOUNT, ActionKey(ECS, action), asked, lambda outcome_of: given.append(outcome_of()), self._hands
        )
        return given


@pytest.fixture
def server(cloud):
    return Server(cloud)


@pytest.fixture
def instance(cloud):
    return an_instance(cloud).id


def statuses(looks):
    (answer,) = looks
    return [one["Status"] for one in answer["Instances"]["Instance"]]


def test_is_answered_when_it_is_at_rest(server, cloud, instance):
    assert server.ask("StartInstance", InstanceId=instance)

    looks = server.ask("DescribeInstances", InstanceIds=f'["{instance}"]')
    assert not looks
    assert statuses(server.ask("DescribeInstances")) == ["Starting"]  # It names nothing, and waits for nothing.
    cloud.settle()

    assert statuses(looks) == ["Running"]


def test_is_answered_after_a_moment(server, instance):
    server.ask("StartInstance", InstanceId=instance)
    looks = server.ask("DescribeInstances", InstanceIds=f'["{instance}"]')

    (moment,) = server.moments
    moment()

    assert statuses(looks) == ["Starting"]


@pytest.mark.parametrize(
    ("action", "parameter"), [("DeleteInstance", "InstanceId"), ("DeleteInstances", "InstanceId.1")]
)
def test_what_others_are_refused_for_is_over_with_the_answer(server, cloud, instance, action, parameter):
    deleted = server.ask(action, {parameter: instance})
    assert not deleted

    cloud.settle()

    assert deleted
    assert statuses(server.ask("DescribeInstances")) == []
