"""DeleteLaunchTemplateVersion, as a caller meets it."""

from __future__ import annotations

from tests.operations.launch_templates.shelf import (
    NO_VERSION,
    a_template,
    a_version,
    numbers,
    refuses_what_is_not_there,
)

ACTION = "DeleteLaunchTemplateVersion"


def test_deletes_those_that_are_named(cloud):
    template = a_template(cloud)
    for _ in range(3):
        a_version(cloud)

    answer = cloud.call(ACTION, {"DeleteVersion.1": 2, "DeleteVersion.2": 4}, LaunchTemplateName="web")

    gone = answer["LaunchTemplateVersions"]["LaunchTemplateVersion"]
    assert gone == [{"LaunchTemplateId": template, "LaunchTemplateVersionNumber": n} for n in (2, 4)]
    assert numbers(cloud) == [3, 1]


def test_deletes_all_or_none(cloud):
    a_template(cloud)
    a_version(cloud)

    cloud.refuses(ACTION, NO_VERSION, 404, {"DeleteVersion.1": 2, "DeleteVersion.2": 3}, LaunchTemplateName="web")


def test_keeps_the_default_version(cloud):
    a_template(cloud)
    code = "InvalidOperation.DeleteDefaultVersion"

    cloud.refuses(ACTION, code, 403, {"DeleteVersion.1": 1}, LaunchTemplateName="web")


def test_refuses_a_template_that_is_not_there(cloud):
    refuses_what_is_not_there(cloud, ACTION, **{"DeleteVersion.1": 2})
