"""CreateAutoSnapshotPolicy, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.deployment import Deployment, Quotas
from kiln.store import tags
from kiln.store.snapshot_policies import snapshot_policies
from tests.clouds import ACCOUNT, REGION
from tests.reading import the

SAID = {"timePoints": '["12", "0", "12"]', "repeatWeekdays": '["7", "1"]', "retentionDays": 30}


def test_remembers_what_was_said(cloud):
    labels = {"Tag.1.Key": "team", "Tag.1.Value": "web", "ResourceGroupId": "rg-tests"}
    named = {"autoSnapshotPolicyName": "nightly"}

    policy_id = cloud.call("CreateAutoSnapshotPolicy", SAID | labels | named)["AutoSnapshotPolicyId"]

    policy = the(cloud, snapshot_policies)
    assert (policy.id, policy.account, policy.region) == (policy_id, ACCOUNT, REGION)
    assert (policy.name, policy.resource_group) == ("nightly", "rg-tests")
    assert (policy.hours, policy.weekdays, policy.retention_days) == ("0,12", "1,7", 30)
    assert policy_id.startswith("sp-")
    assert the(cloud, tags.tags, resource=policy_id).value == "web"


def test_takes_the_region_as_the_documents_spell_it_and_as_all_else_does(cloud):
    for spelled in ({"regionId": REGION}, {"regionId": None, "RegionId": REGION}):
        assert cloud.call("CreateAutoSnapshotPolicy", SAID | spelled)


def test_keeps_for_good(cloud):
    cloud.call("CreateAutoSnapshotPolicy", SAID | {"retentionDays": -1})

    assert the(cloud, snapshot_policies).retention_days == -1


@pytest.mark.parametrize(
    ("params", "code", "status"),
    [
        ({"timePoints": '["24"]'}, "ParameterInvalid", 403),
        ({"timePoints": "[]"}, "ParameterInvalid", 403),
        ({"timePoints": '{"0": 1}'}, "ParameterInvalid", 403),
        ({"repeatWeekdays": '["0"]'}, "ParameterInvalid", 403),
        ({"repeatWeekdays": "[]"}, "ParameterInvalid", 403),
        ({"retentionDays": 0}, "ParameterInvalid", 403),
        ({"retentionDays": 65537}, "ParameterInvalid", 403),
        ({"retentionDays": "soon"}, "ParameterInvalid", 403),
        ({"autoSnapshotPolicyName": "1"}, "ParameterInvalid", 403),
        ({"timePoints": None}, "MissingParameter", 400),
        ({"AssociationType": "AssociatedWithInstanceTag"}, "InvalidParameter", 400),
        ({"TargetTags.1.Key": "team"}, "InvalidParameter", 400),
        ({"EnableCrossRegionCopy": True}, "InvalidParameter", 400),
        ({"TargetCopyRegions": '["cn-hangzhou"]'}, "InvalidParameter", 400),
        ({"CopyEncryptionConfiguration.Encrypted": True}, "InvalidParameter", 400),
        ({"ResourceGroupId": "rg-unknown"}, "InvalidResourceGroup.NotFound", 404),
        ({"Tag.1.Value": "x"}, "InvalidTagKey.Malformed", 400),
        ({"Tag.1.Key": "x", "Tag.2.Key": "x"}, "Duplicate.TagKey", 400),
    ],
)
def test_refuses_what_is_not_right(cloud, params, code, status):
    cloud.refuses("CreateAutoSnapshotPolicy", code, status, SAID | params)


def test_refuses_more_than_the_quota(cloud):
    cloud.refit(deployment=Deployment(quotas=Quotas(snapshot_policies=1)))
    cloud.call("CreateAutoSnapshotPolicy", SAID)

    cloud.refuses("CreateAutoSnapshotPolicy", "QuotaExceed.AutoSnapshotPolicy", 403, SAID)
