"""EndTerminalSession, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.calls.terminals import OVER, TerminalRefused
from tests.clouds import OTHER
from tests.consoled import a_running_instance
from tests.operations.terminals.test_start_terminal_session import start


def test_its_url_opens_nothing_any_more(cloud):
    answer = start(cloud, a_running_instance(cloud))

    cloud.call("EndTerminalSession", SessionId=answer["SessionId"])

    with pytest.raises(TerminalRefused, match="over"):
        cloud.ports.terminals.join(
            cloud.ports.database, answer["SessionId"], answer["SecurityToken"], cloud.clock(), lambda _: None
        )


def test_ends_what_is_joined_and_leaves_alone_what_has_ended(cloud):
    answer, told = start(cloud, a_running_instance(cloud)), []
    cloud.ports.terminals.join(
        cloud.ports.database, answer["SessionId"], answer["SecurityToken"], cloud.clock(), told.append
    )

    cloud.call("EndTerminalSession", SessionId=answer["SessionId"])
    before = cloud.call("DescribeTerminalSessions")
    cloud.call("EndTerminalSession", SessionId=answer["SessionId"])

    assert told == [OVER]
    assert cloud.call("DescribeTerminalSessions") == before


def test_needs_a_session_of_the_caller(cloud):
    session = start(cloud, a_running_instance(cloud))["SessionId"]

    cloud.refuses("EndTerminalSession", "InvalidSessionId.NotFound", 404, SessionId="ts-none")
    cloud.refuses("EndTerminalSession", "InvalidSessionId.NotFound", 404, SessionId=session, account=OTHER)
    cloud.refuses("EndTerminalSession", "DryRunOperation", 400, SessionId=session, DryRun=True)
    (one,) = cloud.call("DescribeTerminalSessions")["Sessions"]["Session"]
    assert one["Connections"]["Connection"][0]["Status"] == "Connecting"
