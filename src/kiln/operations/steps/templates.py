"""Finding the launch template, and the version of it, that a request names."""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.errors import ApiError, MissingParameter
from kiln.operations.errors.launch_templates import InvalidLaunchTemplateNotFound, InvalidLaunchTemplateVersionNotFound
from kiln.store.launch_templates import (
    LaunchTemplate,
    LaunchTemplateVersion,
    launch_template_versions,
    launch_templates,
)

ERRORS: tuple[type[ApiError], ...] = (MissingParameter, InvalidLaunchTemplateNotFound)


def find_named(call: Call, region: str, template: str | None, name: str | None) -> LaunchTemplate:
    """The caller's own template of that ID and name, either of which will do. Raises what ERRORS lists."""
    said = {"id": template, "name": name}
    by = {column: value for column, value in said.items() if value is not None}
    if not by:
        raise MissingParameter(parameter="LaunchTemplateId or LaunchTemplateName")
    row = launch_templates.find(call.tx, **call.own(region), **by)
    if row is None:
        raise InvalidLaunchTemplateNotFound(**by)
    return row


def find_version(call: Call, template: LaunchTemplate, number: int) -> LaunchTemplateVersion:
    """That version of the template. Raises InvalidLaunchTemplateVersionNotFound."""
    row = launch_template_versions.find(call.tx, template=template.id, number=number)
    if row is None:
        raise InvalidLaunchTemplateVersionNotFound(version=number)
    return row
