"""Delete a launch template with all of its versions. Instances that were run with it know nothing of it."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Wire
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.launch_templates.parts.named import Named, VersionNumber
from kiln.operations.params import LaunchTemplateId
from kiln.operations.steps import templates
from kiln.store import tags
from kiln.store.launch_templates import launch_template_versions, remove


@shape
class Input(Named):
    """The template."""


@shape
class NumbersOutput:
    """Numbers."""

    version_numbers: Annotated[tuple[VersionNumber, ...], Wire("versionNumbers"), Doc("The numbers.")]


@shape
class Output:
    launch_template_id: LaunchTemplateId
    launch_template_version_numbers: Annotated[NumbersOutput, Doc("The versions that went with it.")]


@dataclass(frozen=True, kw_only=True)
class Plan:
    template: str
    numbers: tuple[int, ...]


def check(call: Call, p: Input) -> Plan:
    template = templates.find_named(call, p.region_id, p.launch_template_id, p.launch_template_name)
    versions = launch_template_versions.all(call.tx, template=template.id)
    return Plan(template=template.id, numbers=tuple(version.number for version in versions))


def commit(call: Call, plan: Plan) -> Output:
    tags.drop(call.tx, "launchtemplate", plan.template)
    remove(call.tx, plan.template)
    return Output(
        launch_template_id=plan.template,
        launch_template_version_numbers=NumbersOutput(version_numbers=plan.numbers),
    )


delete_launch_template = Operation(
    input=Input, output=Output, check=check, commit=commit, gives_back=True, errors=templates.ERRORS
)
