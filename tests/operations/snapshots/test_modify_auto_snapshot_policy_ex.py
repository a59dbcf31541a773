"""ModifyAutoSnapshotPolicyEx, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store.snapshot_policies import snapshot_policies
from tests.clouds import OTHER
from tests.reading import the
from tests.stock import a_policy


def changed(cloud, policy, **params):
    """The columns that are others afterwards."""
    before = the(cloud, snapshot_policies, id=policy.id)
    assert cloud.call("ModifyAutoSnapshotPolicyEx", {"autoSnapshotPolicyId": policy.id} | params) == {}
    after = the(cloud, snapshot_policies, id=policy.id)
    return {name: value for name, value in vars(after).items() if vars(before)[name] != value}


def test_changes_what_is_sent_and_nothing_else(cloud):
    policy = a_policy(cloud, name="old", hours="0,12", weekdays="1")

    assert changed(cloud, policy, autoSnapshotPolicyName="new") == {"name": "new"}
    assert changed(cloud, policy, retentionDays=-1) == {"retention_days": -1}
    assert changed(cloud, policy, timePoints='["12","0"]') == {}
    assert changed(cloud, policy, timePoints='["3"]').keys() == {"hours", "changed_at"}
    assert changed(cloud, policy, repeatWeekdays='["7","2"]').keys() == {"weekdays", "changed_at"}
    policy = the(cloud, snapshot_policies)
    assert (policy.hours, policy.weekdays) == ("3", "2,7")


@pytest.mark.parametrize(
    ("params", "code", "status"),
    [
        ({}, "NoAttributeToModify", 400),
        ({"timePoints": "[]"}, "ParameterInvalid", 403),
        ({"repeatWeekdays": '["8"]'}, "ParameterInvalid", 403),
        ({"repeatWeekdays": "[]"}, "ParameterInvalid", 403),
        ({"retentionDays": 0}, "ParameterInvalid", 403),
        ({"autoSnapshotPolicyName": "1"}, "ParameterInvalid", 403),
        ({"EnableCrossRegionCopy": True}, "InvalidParameter", 400),
        ({"retentionDays": 1, "autoSnapshotPolicyId": "sp-unknown"}, "ParameterInvalid", 404),
    ],
)
def test_refuses_what_is_not_right(cloud, params, code, status):
    given = {"autoSnapshotPolicyId": a_policy(cloud).id} | params

    cloud.refuses("ModifyAutoSnapshotPolicyEx", code, status, given)


def test_refuses_the_policy_of_another_account(cloud):
    given = {"autoSnapshotPolicyId": a_policy(cloud, account=OTHER).id, "retentionDays": 1}

    cloud.refuses("ModifyAutoSnapshotPolicyEx", "ParameterInvalid", 404, given)
