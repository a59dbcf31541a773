"""Add a version to a launch template, which says what this request says and nothing else.

A version never changes. RunInstances takes the default version where the
request names none; ModifyLaunchTemplateDefaultVersion makes another the default.
"""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.shapes import shape
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed
from kiln.operations.launch_templates.parts import versions
from kiln.operations.launch_templates.parts.data import TemplateInput
from kiln.operations.launch_templates.parts.named import Named, VersionDescription, VersionMade
from kiln.operations.params import to_pairs
from kiln.operations.steps import templates
from kiln.store.launch_templates import LaunchTemplateVersion, launch_template_versions, launch_templates


class LaunchTemplateVersionLimitExceed(ApiError):
    """The template has as many versions as it may."""

    code = "LaunchTemplateVersionLimitExceed"
    status = 403
    message = "The maximum number of template's versions is exceeded."
    hint = "`kiln launch-template delete TEMPLATE --version 1` makes room for one."


@shape
class Input(TemplateInput, Named):
    """The template, and what the version says."""

    version_description: VersionDescription | None = None


def check(call: Call, p: Input) -> LaunchTemplateVersion:
    to_pairs(p.tag)
    template = templates.find_named(call, p.region_id, p.launch_template_id, p.launch_template_name)
    if launch_template_versions.count(call.tx, template=template.id) >= call.deployment.quotas.versions_per_template:
        raise LaunchTemplateVersionLimitExceed
    return versions.draft(call, template.id, template.last_number + 1, p, p.version_description)


def commit(call: Call, version: LaunchTemplateVersion) -> VersionMade:
    launch_template_versions.insert(call.tx, version)
    launch_templates.update(call.tx, {"last_number": version.number, "modified_at": call.now}, id=version.template)
    return VersionMade(launch_template_id=version.template, launch_template_version_number=version.number)


create_launch_template_version = Operation(
    input=Input,
    output=VersionMade,
    check=check,
    commit=commit,
    errors=(InvalidTagKeyMalformed, DuplicateTagKey, *templates.ERRORS, LaunchTemplateVersionLimitExceed),
)
