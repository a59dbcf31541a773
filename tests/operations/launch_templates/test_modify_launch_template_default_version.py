"""ModifyLaunchTemplateDefaultVersion, as a caller meets it."""

from __future__ import annotations

from tests.operations.launch_templates.shelf import (
    NO_VERSION,
    a_template,
    a_version,
    numbers,
    refuses_what_is_not_there,
    shown,
)

ACTION = "ModifyLaunchTemplateDefaultVersion"


def test_makes_another_version_the_default(cloud):
    template = a_template(cloud)
    a_version(cloud)

    assert cloud.call(ACTION, LaunchTemplateId=template, DefaultVersionNumber=2) == {"LaunchTemplateId": template}

    assert numbers(cloud, DefaultVersion=True) == [2]
    assert shown(cloud)[0]["DefaultVersionNumber"] == 2


def test_refuses_a_version_that_is_not_there(cloud):
    a_template(cloud)

    cloud.refuses(ACTION, NO_VERSION, 404, LaunchTemplateName="web", DefaultVersionNumber=2)


def test_refuses_a_template_that_is_not_there(cloud):
    refuses_what_is_not_there(cloud, ACTION, DefaultVersionNumber=1)
