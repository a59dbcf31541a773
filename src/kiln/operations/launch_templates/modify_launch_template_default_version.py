"""Make another version of a launch template the one that RunInstances takes where the request names none."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc
from kiln.declare.shapes import shape
from kiln.operations.errors.launch_templates import InvalidLaunchTemplateVersionNotFound
from kiln.operations.launch_templates.parts.named import Named, VersionNumber
from kiln.operations.params import LaunchTemplateId
from kiln.operations.steps import templates
from kiln.store.launch_templates import LaunchTemplateVersion, launch_templates


@shape
class Input(Named):
    default_version_number: Annotated[VersionNumber, Doc("The version that is to be the default.")]


@shape
class Output:
    launch_template_id: LaunchTemplateId


def check(call: Call, p: Input) -> LaunchTemplateVersion:
    template = templates.find_named(call, p.region_id, p.launch_template_id, p.launch_template_name)
    return templates.find_version(call, template, p.default_version_number)


def commit(call: Call, version: LaunchTemplateVersion) -> Output:
    launch_templates.update(call.tx, {"default_version": version.number, "modified_at": call.now}, id=version.template)
    return Output(launch_template_id=version.template)


modify_launch_template_default_version = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    errors=(*templates.ERRORS, InvalidLaunchTemplateVersionNotFound),
)
