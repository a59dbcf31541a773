"""List launch templates, the newest first. All filters that are sent must hold."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.errors.tags import InvalidTagCount
from kiln.operations.filters import InvalidTagMismatch, TagFilter, by_nothing, by_tags
from kiln.operations.launch_templates.parts.named import VersionNumber
from kiln.operations.paging import page
from kiln.operations.params import (
    LaunchTemplateId,
    LaunchTemplateName,
    PageNumber,
    PageSize50,
    RegionId,
    ResourceGroupId,
    TagsOutput,
    draw_tags,
)
from kiln.store import tags
from kiln.store.conditions import Condition
from kiln.store.launch_templates import NEWEST, LaunchTemplate, latest, launch_templates
from kiln.store.tags import Tag

_MOST = 100


@shape
class Input:
    region_id: RegionId
    launch_template_id: Annotated[
        tuple[LaunchTemplateId, ...] | None, Count(_MOST), Doc("Only these templates, up to 100 IDs.")
    ] = None
    launch_template_name: Annotated[
        tuple[LaunchTemplateName, ...] | None, Count(_MOST), Doc("Only templates of these names, up to 100.")
    ] = None
    template_tag: Annotated[
        tuple[TagFilter, ...] | None, Count(20, InvalidTagCount), Doc("Only templates that have all these tags.")
    ] = None
    template_resource_group_id: Annotated[ResourceGroupId | None, Doc("Only templates of this resource group.")] = None
    page_number: PageNumber | None = None
    page_size: PageSize50 | None = None


@shape
class TemplateOutput:
    """One launch template."""

    launch_template_id: LaunchTemplateId
    launch_template_name: Annotated[str, Doc("The name.")]
    default_version_number: Annotated[VersionNumber, Doc("The default version.")]
    latest_version_number: Annotated[VersionNumber, Doc("The newest version that is there.")]
    create_time: Annotated[str, Example("2026-11-23T06:07:08Z"), Doc("When it was made, UTC.")]
    modified_time: Annotated[
        str, Example("2026-11-23T06:07:08Z"), Doc("When it got its newest version or another default version, UTC.")
    ]
    created_by: Annotated[str, Doc("The account that made it.")]
    resource_group_id: Annotated[str, Doc("The resource group, or empty.")]
    tags: Annotated[TagsOutput, Doc("Tags.")]


@shape
class TemplatesOutput:
    """Launch templates."""

    launch_template_set: Annotated[tuple[TemplateOutput, ...], Doc("The templates of this page.")]


@shape
class Output:
    launch_template_sets: Annotated[TemplatesOutput, Doc("The templates.")]
    total_count: Annotated[int, Doc("How many templates there are on all pages.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]


def check(call: Call, p: Input) -> Output:
    found = page(call, p, launch_templates, NEWEST, _conditions(p), account=call.account, region=p.region_id)
    ids = [row.id for row in found.rows]
    labels, numbers = tags.of(call.tx, "launchtemplate", ids), latest(call.tx, ids)
    drawn = tuple(_draw(row, numbers[row.id], labels[row.id]) for row in found.rows)
    return Output(
        launch_template_sets=TemplatesOutput(launch_template_set=drawn),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
    )


def _conditions(p: Input) -> list[Condition]:
    c = launch_templates.c
    conditions = by_nothing(p.launch_template_id) + by_nothing(p.launch_template_name)
    for column, values in ((c.id, p.launch_template_id), (c.name, p.launch_template_name)):
        if values is not None:
            conditions.append(column.in_(values))
    if p.template_resource_group_id is not None:
        conditions.append(c.resource_group == p.template_resource_group_id)
    return conditions + by_tags("launchtemplate", launch_templates, p.template_tag)


def _draw(row: LaunchTemplate, newest: int, labels: list[Tag]) -> TemplateOutput:
    return TemplateOutput(
        launch_template_id=row.id,
        launch_template_name=row.name,
        default_version_number=row.default_version,
        latest_version_number=newest,
        create_time=to_seconds_text(row.created_at),
        modified_time=to_seconds_text(row.modified_at),
        created_by=row.created_by,
        resource_group_id=row.resource_group,
        tags=draw_tags(labels),
    )


describe_launch_templates = Operation(input=Input, output=Output, check=check, errors=(InvalidTagMismatch,))
