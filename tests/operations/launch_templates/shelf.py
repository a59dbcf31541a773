"""Launch templates to test with, and as answers show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.clouds import Cloud

NOT_FOUND = "InvalidLaunchTemplate.NotFound"
NO_VERSION = "InvalidLaunchTemplateVersion.NotFound"


def a_template(cloud: Cloud, params: Mapping[str, Any] | None = None, name: str = "web", **more: Any) -> str:
    """A template's ID."""
    made = cloud.call("CreateLaunchTemplate", params, LaunchTemplateName=name, **more)
    assert made["LaunchTemplateVersionNumber"] == 1
    return str(made["LaunchTemplateId"])


def a_version(cloud: Cloud, params: Mapping[str, Any] | None = None, **more: Any) -> int:
    """The number of another version of the template ``web``."""
    made = cloud.call("CreateLaunchTemplateVersion", params, LaunchTemplateName="web", **more)
    return int(made["LaunchTemplateVersionNumber"])


def shown(cloud: Cloud, params: Mapping[str, Any] | None = None, **more: Any) -> list[dict[str, Any]]:
    """Templates of an answer."""
    return cloud.call("DescribeLaunchTemplates", params, **more)["LaunchTemplateSets"]["LaunchTemplateSet"]


def versions(cloud: Cloud, params: Mapping[str, Any] | None = None, **more: Any) -> list[dict[str, Any]]:
    """Versions of the template ``web`` of an answer."""
    answer = cloud.call("DescribeLaunchTemplateVersions", params, **{"LaunchTemplateName": "web", **more})
    return answer["LaunchTemplateVersionSets"]["LaunchTemplateVersionSet"]


def numbers(cloud: Cloud, params: Mapping[str, Any] | None = None, **more: Any) -> list[int]:
    """Their numbers."""
    return [one["VersionNumber"] for one in versions(cloud, params, **more)]


def refuses_what_is_not_there(cloud: Cloud, action: str, **more: Any) -> None:
    """That *action* is refused for a template that is not named, not there, another's or another one's name."""
    template = a_template(cloud)
    a_template(cloud, name="other")
    cloud.refuses(action, "MissingParameter", 400, more)
    cloud.refuses(action, NOT_FOUND, 404, more, LaunchTemplateName="nothing")
    cloud.refuses(action, NOT_FOUND, 404, more, LaunchTemplateId="lt-nothing")
    cloud.refuses(action, NOT_FOUND, 404, more, LaunchTemplateId=template, LaunchTemplateName="other")
    cloud.refuses(action, NOT_FOUND, 404, more, LaunchTemplateId=template, account="1000000000000002")
