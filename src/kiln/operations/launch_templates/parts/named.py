"""Naming a launch template: the name of a new one, and how one that is there is said."""

from __future__ import annotations

from typing import Annotated

from kiln.declare.errors import ApiError
from kiln.declare.rules import Doc, Example, Name, Text
from kiln.declare.shapes import shape
from kiln.operations.errors.requests import InvalidDescriptionMalformed
from kiln.operations.params import LaunchTemplateId, LaunchTemplateName, RegionId


class InvalidLaunchTemplateNameMalformed(ApiError):
    """A template's name breaks the rule for names."""

    code = "InvalidLaunchTemplateName.Malformed"
    message = "The specified parameter LaunchTemplateName is not valid."


NewName = Annotated[
    str,
    Name(2, 128, InvalidLaunchTemplateNameMalformed),
    Example("web"),
    Doc("The name of the launch template, unique in the account and region."),
]
VersionDescription = Annotated[
    str,
    Text(2, 256, InvalidDescriptionMalformed, not_starting=("http://", "https://")),
    Example("with a bigger disk"),
    Doc("A description of the version."),
]
VersionNumber = Annotated[int, Example("1"), Doc("The number of the version.")]


@shape
class Named:
    """Which template."""

    region_id: RegionId
    launch_template_id: Annotated[
        LaunchTemplateId | None, Doc("The ID of the launch template. This or LaunchTemplateName is needed.")
    ] = None
    launch_template_name: LaunchTemplateName | None = None


@shape
class VersionMade:
    """A new version."""

    launch_template_id: LaunchTemplateId
    launch_template_version_number: VersionNumber
