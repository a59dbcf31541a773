"""DeleteLaunchTemplate, as a caller meets it."""

from __future__ import annotations

from kiln.store.launch_templates import launch_template_versions, launch_templates
from kiln.store.tags import tags
from tests.operations.launch_templates.shelf import a_template, a_version, refuses_what_is_not_there
from tests.reading import every


def test_takes_its_versions_and_tags_with_it(cloud):
    template = a_template(cloud, {"TemplateTag.1.Key": "a"})
    a_version(cloud)

    answer = cloud.call("DeleteLaunchTemplate", LaunchTemplateName="web")

    assert answer == {
        "LaunchTemplateId": template,
        "LaunchTemplateVersionNumbers": {"versionNumbers": [1, 2]},
    }
    assert [every(cloud, rows) for rows in (launch_templates, launch_template_versions, tags)] == [[], [], []]
    assert a_template(cloud) != template


def test_refuses_a_template_that_is_not_there(cloud):
    refuses_what_is_not_there(cloud, "DeleteLaunchTemplate")
