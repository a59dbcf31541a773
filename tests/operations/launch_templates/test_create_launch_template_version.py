"""CreateLaunchTemplateVersion, as a caller meets it."""

from __future__ import annotations

from dataclasses import replace

from kiln.declare.deployment import Deployment, Quotas
from tests.operations.launch_templates.shelf import (
    a_template,
    a_version,
    numbers,
    refuses_what_is_not_there,
    shown,
    versions,
)


def test_says_what_its_request_says_and_nothing_of_the_version_before(cloud):
    a_template(cloud, ImageId="m-1", HostName="web")

    made = cloud.call(
        "CreateLaunchTemplateVersion", LaunchTemplateName="web", ImageId="m-2", VersionDescription="newer"
    )

    assert made == {"LaunchTemplateId": shown(cloud)[0]["LaunchTemplateId"], "LaunchTemplateVersionNumber": 2}
    newest, first = versions(cloud)
    assert newest["VersionDescription"] == "newer"
    assert (newest["LaunchTemplateData"]["ImageId"], "HostName" in newest["LaunchTemplateData"]) == ("m-2", False)
    assert first["LaunchTemplateData"]["ImageId"] == "m-1"
    assert (newest["DefaultVersion"], first["DefaultVersion"]) == (False, True)
    assert shown(cloud)[0]["LatestVersionNumber"] == 2


def test_a_number_is_given_once(cloud):
    a_template(cloud)
    a_version(cloud)
    cloud.call("DeleteLaunchTemplateVersion", {"DeleteVersion.1": 2}, LaunchTemplateName="web")

    assert shown(cloud)[0]["LatestVersionNumber"] == 1
    assert a_version(cloud) == 3
    assert numbers(cloud) == [3, 1]


def test_refuses_more_than_there_may_be(cloud):
    cloud.refit(deployment=replace(Deployment(), quotas=Quotas(versions_per_template=2)))
    a_template(cloud)
    a_version(cloud)

    cloud.refuses("CreateLaunchTemplateVersion", "LaunchTemplateVersionLimitExceed", 403, LaunchTemplateName="web")


def test_refuses_a_template_that_is_not_there(cloud):
    refuses_what_is_not_there(cloud, "CreateLaunchTemplateVersion")


def test_refuses_tags_that_instances_could_not_have(cloud):
    a_template(cloud)
    given = {"LaunchTemplateName": "web"}

    cloud.refuses("CreateLaunchTemplateVersion", "Duplicate.TagKey", 400, given | {"Tag.1.Key": "a", "Tag.2.Key": "a"})
    cloud.refuses("CreateLaunchTemplateVersion", "InvalidTagKey.Malformed", 400, given | {"Tag.1.Value": "lonely"})
