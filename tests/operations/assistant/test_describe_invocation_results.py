"""DescribeInvocationResults, as a caller meets it; how commands end is in test_run_command."""

from __future__ import annotations

import pytest

from kiln.ground.units import DAY_S
from kiln.store.invocations import invocations, results
from kiln.upkeep.keeper import forget_invocations
from tests.attended import outcome
from tests.clouds import OTHER
from tests.operations.assistant.test_run_command import run
from tests.reading import every


def listed(cloud, params=None, **more):
    answer = cloud.call("DescribeInvocationResults", params, **more)
    return answer["Invocation"]["InvocationResults"]["InvocationResult"]


def test_lists_the_newest_first(cloud, running):
    first, second = run(cloud, running, "true"), run(cloud, running, "true")

    assert [one["InvokeId"] for one in listed(cloud)] == [second, first]


@pytest.mark.parametrize(
    ("params", "is_found"),
    [
        ({"InvokeRecordStatus": "Failed"}, True),
        ({"InvokeRecordStatus": "Running"}, False),
        ({"InstanceId": "i-other"}, False),
        ({"CommandId": "c-other"}, False),
        ({"InvokeId": "t-other"}, False),
        ({"ResourceGroupId": "rg-tests"}, True),
        ({"ResourceGroupId": "rg-other"}, False),
        ({"Tag.1.Key": "a"}, True),
        ({"Tag.1.Key": "b"}, False),
    ],
)
def test_shows_what_meets_the_filters(cloud, running, params, is_found):
    invoke = run(cloud, running, "true", ResourceGroupId="rg-tests", **{"Tag.1.Key": "a"})
    outcome(cloud, invoke)

    assert [one["InvokeId"] for one in listed(cloud, params)] == ([invoke] if is_found else [])


def test_shows_nobody_elses(cloud, running):
    run(cloud, running, "true")

    assert listed(cloud, account=OTHER) == []


def test_has_no_history_to_tell(cloud):
    cloud.refuses("DescribeInvocationResults", "InvalidParameter", 400, IncludeHistory=True)


def test_a_tag_to_look_for_needs_a_key(cloud):
    cloud.refuses("DescribeInvocationResults", "InvalidTag.Mismatch", 400, {"Tag.1.Value": "a"})


def test_tells_of_what_ended_for_thirty_days(cloud, running):
    ended, open_ = run(cloud, running, "true"), ""
    outcome(cloud, ended)
    open_ = run(cloud, running, "true")

    cloud.clock.now += 29 * DAY_S
    kept = forget_invocations(cloud.ports)
    cloud.clock.now += 2 * DAY_S
    gone = forget_invocations(cloud.ports)

    assert (kept, gone) == ([], [ended])
    assert [row.id for row in every(cloud, invocations)] == [open_]
    assert [row.invocation for row in every(cloud, results)] == [open_]
