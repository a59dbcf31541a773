"""Delete versions of a launch template: all of those that are named, or none.

The default version is not deleted by itself. Instances that were run with a
version know nothing of it.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Unordered
from kiln.declare.shapes import shape
from kiln.operations.errors.launch_templates import InvalidLaunchTemplateVersionNotFound
from kiln.operations.launch_templates.parts.named import Named, VersionMade, VersionNumber
from kiln.operations.steps import templates
from kiln.store.launch_templates import LaunchTemplateVersion, launch_template_versions


class InvalidOperationDeleteDefaultVersion(ApiError):
    """One of the versions is the default."""

    code = "InvalidOperation.DeleteDefaultVersion"
    status = 403
    message = "Delete default version from template is not allowed."
    hint = (
        "Make another the default first, such as version 2: `kiln launch-template set-default TEMPLATE 2`. "
        "`kiln launch-template delete TEMPLATE` deletes them all."
    )


@shape
class Input(Named):
    delete_version: Annotated[
        tuple[VersionNumber, ...], Unordered(), Count(29), Doc("The numbers of the versions, up to 29.")
    ]


@shape
class VersionsOutput:
    """Versions."""

    launch_template_version: Annotated[tuple[VersionMade, ...], Doc("What was deleted.")]


@shape
class Output:
    launch_template_versions: Annotated[VersionsOutput, Doc("What was deleted.")]


def check(call: Call, p: Input) -> list[LaunchTemplateVersion]:
    template = templates.find_named(call, p.region_id, p.launch_template_id, p.launch_template_name)
    numbers = dict.fromkeys(p.delete_version)
    found = [templates.find_version(call, template, number) for number in numbers]
    if template.default_version in numbers:
        raise InvalidOperationDeleteDefaultVersion(version=template.default_version)
    return found


def commit(call: Call, found: list[LaunchTemplateVersion]) -> Output:
    for one in found:
        launch_template_versions.delete(call.tx, template=one.template, number=one.number)
    gone = tuple(VersionMade(launch_template_id=v.template, launch_template_version_number=v.number) for v in found)
    return Output(launch_template_versions=VersionsOutput(launch_template_version=gone))


delete_launch_template_version = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    gives_back=True,
    errors=(*templates.ERRORS, InvalidLaunchTemplateVersionNotFound, InvalidOperationDeleteDefaultVersion),
)
