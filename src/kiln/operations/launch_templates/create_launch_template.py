"""Keep parameters of RunInstances under a name; this is version 1 of the template, and its default version.

Nothing but its form is checked: whether there are such an image, type and
VSwitch is asked when instances are run. A template says no password and no
number of instances.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Unordered
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed, QuotaExceedTags
from kiln.operations.launch_templates.parts import versions
from kiln.operations.launch_templates.parts.data import TemplateInput
from kiln.operations.launch_templates.parts.named import NewName, VersionDescription, VersionMade
from kiln.operations.params import RegionId, ResourceGroupId, TagInput, to_pairs
from kiln.operations.steps import resource_groups
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.store import tags
from kiln.store.launch_templates import (
    LaunchTemplate,
    LaunchTemplateVersion,
    launch_template_versions,
    launch_templates,
)


class LaunchTemplateNameDuplicated(ApiError):
    """The account has a template of that name in the region."""

    code = "LaunchTemplateName.Duplicated"
    status = 403
    message = "The specified LaunchTemplateName already exists."


class LaunchTemplateLimitExceed(ApiError):
    """The account has as many templates in the region as it may."""

    code = "LaunchTemplateLimitExceed"
    status = 403
    message = "The maximum number of templates is exceeded."


@shape
class NewTemplate:
    """What is said of the template itself."""

    region_id: RegionId
    launch_template_name: NewName
    version_description: VersionDescription | None = None
    template_resource_group_id: Annotated[
        ResourceGroupId | None, Doc("The resource group of the template. Without it, it is in none.")
    ] = None
    template_tag: Annotated[
        tuple[TagInput, ...], Unordered(), Count(20, QuotaExceedTags), Doc("Tags of the template, up to 20.")
    ] = ()


@shape
class Input(TemplateInput, NewTemplate):
    """The template, and what it says."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    template: LaunchTemplate
    version: LaunchTemplateVersion
    tags: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.template_tag)
    to_pairs(p.tag)
    resource_groups.check_there(call, p.template_resource_group_id)
    own = call.own(p.region_id)
    if launch_templates.find(call.tx, **own, name=p.launch_template_name) is not None:
        raise LaunchTemplateNameDuplicated(launch_template_name=p.launch_template_name)
    if launch_templates.count(call.tx, **own) >= call.deployment.quotas.launch_templates:
        raise LaunchTemplateLimitExceed
    template = LaunchTemplate(
        id=new_id("launch_template"),
        account=call.account,
        region=p.region_id,
        name=p.launch_template_name,
        resource_group=p.template_resource_group_id or "",
        default_version=1,
        last_number=1,
        created_by=call.account,
        created_at=call.now,
        modified_at=call.now,
    )
    return Plan(template=template, version=versions.draft(call, template.id, 1, p, p.version_description), tags=pairs)


def commit(call: Call, plan: Plan) -> VersionMade:
    launch_templates.insert(call.tx, plan.template)
    launch_template_versions.insert(call.tx, plan.version)
    tags.add(call.tx, call.account, "launchtemplate", plan.template.id, plan.tags)
    return VersionMade(launch_template_id=plan.template.id, launch_template_version_number=1)


create_launch_template = Operation(
    input=Input,
    output=VersionMade,
    check=check,
    commit=commit,
    errors=(
        InvalidTagKeyMalformed,
        DuplicateTagKey,
        InvalidResourceGroupNotFound,
        LaunchTemplateNameDuplicated,
        LaunchTemplateLimitExceed,
    ),
)
