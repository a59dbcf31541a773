from __future__ import annotations

import pytest
import typer

from kiln.cli import inside
from kiln.cli.exits import Refusal


def test_tells_the_instance_from_the_path():
    assert inside.split_target("web:/etc/a:b") == ("web", "/etc/a:b")


@pytest.mark.parametrize("target", ["web", ":/etc", "web:etc", "/etc/app"])
def test_refuses_a_target_without_instance_or_path(target):
    with pytest.raises(typer.BadParameter, match="INSTANCE:/PATH"):
        inside.split_target(target)


class Booting:
    """A client of a guest whose agent does not answer yet."""

    def call(self, action, params=None, /, **more):
        if action == "RunCommand":
            return {"InvokeId": "t-1"}
        assert action == "DescribeInvocationResults"
        told = {"Output": "", "Dropped": 0, "InvocationStatus": "Aborted", "ErrorCode": "ClientNotRunning"}
        result = {**told, "ErrorInfo": "the aliyun service is not running on the instance"}
        return {"Invocation": {"InvocationResults": {"InvocationResult": [result]}}}


def test_says_of_an_agent_that_does_not_answer_that_the_guest_may_be_booting():
    """Whoever asked right after `kiln instance run` read of a service that was not running."""
    with pytest.raises(Refusal, match="ClientNotRunning") as refused:
        inside.execute(Booting(), "i-1", ["true"], timeout_s=1, user=None, directory=None)

    assert "when that has booted" in refused.value.hint
