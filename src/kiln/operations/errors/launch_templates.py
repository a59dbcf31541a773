"""What can be wrong with a launch template that is named."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class InvalidLaunchTemplateNotFound(ApiError):
    """The account has no such template in the region, or its ID and its name are not of one."""

    code = "InvalidLaunchTemplate.NotFound"
    status = 404
    message = "The specified launch template does not exist."
    hint = "`kiln launch-template list` lists them."


class InvalidLaunchTemplateVersionNotFound(ApiError):
    """The template has no such version."""

    code = "InvalidLaunchTemplateVersion.NotFound"
    status = 404
    message = "The specified version of the launch template does not exist: {version}."
    hint = "`kiln launch-template show TEMPLATE` lists them."
