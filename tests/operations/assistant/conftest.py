"""Running instances whose guests have a real agent, which runs on this host (``tests.machines.agents``)."""

from __future__ import annotations

import pytest

from kiln.declare.states import InstanceStatus
from tests.attended import Attended
from tests.machines.agents import open_agent, open_place
from tests.stock import an_instance


@pytest.fixture
def running(cloud):
    """A running instance of a host whose machines are only states."""
    instance = an_instance(cloud, status=InstanceStatus.RUNNING).id
    (cloud.folder / "run" / instance).mkdir(parents=True)
    (cloud.folder / "run" / instance / "running").touch()
    return instance


@pytest.fixture
def place():
    """A folder for an agent."""
    with open_place() as folder:
        yield folder


@pytest.fixture
def attended(cloud, running, place):
    """The running instance, with an agent in its guest that does what it is told."""
    with open_agent(place):
        cloud.refit(machines=Attended(cloud.folder / "run", {running: place}))
        yield running
