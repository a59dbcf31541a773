"""What the metadata service tells a guest is what its instance's row says."""

from __future__ import annotations

import base64

import pytest

from kiln.calls.plane import Plane
from kiln.declare.states import InstanceStatus
from kiln.networks.memory import MemoryNetworks
from kiln.store.interfaces import interface_id
from kiln.upkeep.describing import describe
from tests.nets import the_default_vpc
from tests.stock import an_instance

SCRIPT = b"#!/bin/sh\n" + b"echo of more than one line in Base64\n" * 4


@pytest.fixture
def networks(cloud):
    """Networks in memory, which this host carries."""
    made = MemoryNetworks(cloud.folder / "networks")
    plane = Plane(cloud.ports.database, made, cloud.ports.machines, "local", lambda: "")
    cloud.refit(plane=plane)
    yield made
    plane.close()


@pytest.mark.parametrize(
    ("kept", "handed"),
    [
        (base64.b64encode(SCRIPT).decode(), SCRIPT),
        (base64.encodebytes(SCRIPT).decode(), SCRIPT),
        ("#!/bin/sh", b"#!/bin/sh"),
        ("#!/bin/sh # é", "#!/bin/sh # é".encode()),
    ],
    ids=["in one line", "folded", "of an older Kiln", "of an older Kiln, beyond ASCII"],
)
def test_user_data_are_handed_as_the_bytes_that_were_sent(cloud, networks, kept, handed):
    instance = an_instance(cloud, status=InstanceStatus.STOPPED, user_data=kept).id
    cloud.call("StartInstance", InstanceId=instance)
    cloud.settle()

    told = describe(cloud.ports, the_default_vpc(cloud).id, interface_id(instance))

    assert told is not None
    assert told[0].user_data == handed


def test_a_closed_service_is_closed_from_the_next_question_on(cloud, networks):
    instance = an_instance(cloud, status=InstanceStatus.STOPPED).id
    cloud.call("StartInstance", InstanceId=instance)
    cloud.settle()
    place = the_default_vpc(cloud).id, interface_id(instance)

    seen = []
    for endpoint, tokens in [("enabled", "required"), ("disabled", "required"), ("enabled", "optional")]:
        cloud.call("ModifyInstanceMetadataOptions", InstanceId=instance, HttpEndpoint=endpoint, HttpTokens=tokens)
        told = describe(cloud.ports, *place)
        assert told is not None
        seen.append((told[0].is_closed, told[0].needs_token))

    assert seen == [(False, True), (True, True), (False, False)]
