"""DescribeLaunchTemplates, as a caller meets it."""

from __future__ import annotations

import pytest

from tests.clouds import ACCOUNT, OTHER
from tests.operations.launch_templates.shelf import a_template, a_version, shown


def test_shows_all_that_is_known(cloud):
    cloud.clock.now = 1_795_414_028.0
    template = a_template(cloud)
    cloud.clock.now += 60
    a_version(cloud)

    assert shown(cloud) == [
        {
            "LaunchTemplateId": template,
            "LaunchTemplateName": "web",
            "DefaultVersionNumber": 1,
            "LatestVersionNumber": 2,
            "CreateTime": "2026-11-23T06:07:08Z",
            "ModifiedTime": "2026-11-23T06:08:08Z",
            "CreatedBy": ACCOUNT,
            "ResourceGroupId": "",
            "Tags": {"Tag": []},
        }
    ]


def test_shows_nothing_of_others(cloud):
    cloud.call("CreateLaunchTemplate", LaunchTemplateName="web", account=OTHER)

    assert shown(cloud) == []


def test_pages_with_the_newest_first(cloud):
    for n in range(5):
        a_template(cloud, name=f"web-{n}")

    answer = cloud.call("DescribeLaunchTemplates", PageSize=2, PageNumber=2)

    assert [one["LaunchTemplateName"] for one in answer["LaunchTemplateSets"]["LaunchTemplateSet"]] == [
        "web-2",
        "web-1",
    ]
    assert (answer["TotalCount"], answer["PageNumber"], answer["PageSize"]) == (5, 2, 2)


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"LaunchTemplateName.1": "web", "LaunchTemplateName.2": "nothing"}, ["web"]),
        ({"LaunchTemplateName.1": "we"}, []),
        ({"LaunchTemplateId.1": "lt-nothing"}, []),
        ({"TemplateTag.1.Key": "a"}, ["web"]),
        ({"TemplateTag.1.Key": "a", "TemplateTag.1.Value": "c"}, []),
        ({"TemplateResourceGroupId": "rg-tests"}, ["db"]),
    ],
)
def test_all_filters_hold(cloud, params, found):
    a_template(cloud, {"TemplateTag.1.Key": "a", "TemplateTag.1.Value": "b"})
    a_template(cloud, name="db", TemplateResourceGroupId="rg-tests")

    assert [one["LaunchTemplateName"] for one in shown(cloud, params)] == found


def test_finds_by_ids(cloud):
    wanted = [a_template(cloud, name="a1"), a_template(cloud, name="b1")]
    a_template(cloud, name="c1")

    found = shown(cloud, {f"LaunchTemplateId.{n}": one for n, one in enumerate(wanted, 1)})

    assert [one["LaunchTemplateId"] for one in found] == wanted[::-1]


def test_refuses_a_tag_without_a_key(cloud):
    cloud.refuses("DescribeLaunchTemplates", "InvalidTag.Mismatch", 400, {"TemplateTag.1.Value": "lonely"})
    many = {f"TemplateTag.{n}.Key": f"k{n}" for n in range(1, 22)}
    cloud.refuses("DescribeLaunchTemplates", "InvalidTagCount", 400, many)
