"""DescribeLaunchTemplateVersions, as a caller meets it."""

from __future__ import annotations

import pytest

from tests.clouds import ACCOUNT
from tests.operations.launch_templates.shelf import a_template, a_version, numbers, refuses_what_is_not_there, versions


def test_shows_all_that_is_known(cloud):
    cloud.clock.now = 1_795_414_028.0
    template = a_template(cloud, VersionDescription="the first", ImageId="m-1")

    (one,) = versions(cloud)

    assert one.pop("LaunchTemplateData")["ImageId"] == "m-1"
    assert one == {
        "LaunchTemplateId": template,
        "LaunchTemplateName": "web",
        "VersionNumber": 1,
        "VersionDescription": "the first",
        "DefaultVersion": True,
        "CreateTime": "2026-11-23T06:07:08Z",
        "ModifiedTime": "2026-11-23T06:07:08Z",
        "CreatedBy": ACCOUNT,
    }


def test_tells_what_a_version_says_unless_nobody_wants_to_know(cloud):
    a_template(cloud)

    assert "LaunchTemplateData" not in versions(cloud, DetailFlag=False)[0]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, [4, 3, 2, 1]),
        ({"LaunchTemplateVersion.1": 2, "LaunchTemplateVersion.2": 9}, [2]),
        ({"DefaultVersion": True}, [1]),
        ({"MinVersion": 2, "MaxVersion": 3}, [3, 2]),
        ({"MinVersion": 3}, [4, 3]),
        ({"PageSize": 3, "PageNumber": 2}, [1]),
    ],
)
def test_all_filters_hold(cloud, params, found):
    a_template(cloud)
    for _ in range(3):
        a_version(cloud)

    assert numbers(cloud, params) == found


def test_refuses_a_template_that_is_not_there(cloud):
    refuses_what_is_not_there(cloud, "DescribeLaunchTemplateVersions")
