"""What is asked of a host that cannot be asked is refused as that, by whatever operation."""

from __future__ import annotations

import pytest

from kiln.calls.elsewhere import Alone
from kiln.calls.errors import ServiceUnavailableHostSilent
from kiln.declare.states import InstanceStatus
from tests.stock import an_instance

GONE = "two"


class OtherHostGone(Alone):
    """The process of one of two hosts, whose other one has none any more."""

    def is_here(self, host: str) -> bool:
        return host != GONE

    def _refuse(self, _, host, *__):
        raise ServiceUnavailableHostSilent(host=host, reason="no process of Kiln is seen there")

    console = agents = reach = _refuse


@pytest.mark.parametrize(
    ("action", "parameter"),
    [
        ("DescribeCloudAssistantStatus", "InstanceId.1"),
        ("DescribeReasons", "ResourceId"),
        ("GetInstanceConsoleOutput", "InstanceId"),
    ],
)
def test_who_asks_for_what_a_silent_host_knows_is_told_so(cloud, action, parameter):
    cloud.refit(elsewhere=OtherHostGone())
    instance = an_instance(cloud, status=InstanceStatus.RUNNING, host=GONE)

    refused = cloud.refuses(action, "ServiceUnavailable", 503, {parameter: instance.id})

    assert f"The host {GONE}," in str(refused)
