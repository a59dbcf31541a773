"""List the versions of one launch template, the newest first, with what each says."""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example, Unordered
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.filters import by_nothing
from kiln.operations.launch_templates.parts.data import DataOutput, draw
from kiln.operations.launch_templates.parts.named import Named, VersionNumber
from kiln.operations.paging import page
from kiln.operations.params import LaunchTemplateId, PageNumber, PageSize50
from kiln.operations.steps import templates
from kiln.store.conditions import Condition
from kiln.store.launch_templates import (
    NEWEST_VERSIONS,
    LaunchTemplate,
    LaunchTemplateVersion,
    launch_template_versions,
)


@shape
class Input(Named):
    launch_template_version: Annotated[
        tuple[int, ...] | None, Unordered(), Count(100), Example("1"), Doc("Only these versions.")
    ] = None
    default_version: Annotated[bool, Doc("Whether to tell of the default version alone.")] = False
    min_version: Annotated[int | None, Example("1"), Doc("Only versions from this number on.")] = None
    max_version: Annotated[int | None, Example("10"), Doc("Only versions up to this number.")] = None
    detail_flag: Annotated[bool, Doc("Whether to tell what each version says.")] = True
    page_number: PageNumber | None = None
    page_size: PageSize50 | None = None


@shape
class VersionOutput:
    """One version."""

    launch_template_id: LaunchTemplateId
    launch_template_name: Annotated[str, Doc("The template's name.")]
    version_number: VersionNumber
    version_description: Annotated[str, Doc("The description, or empty.")]
    default_version: Annotated[bool, Doc("Whether it is the default version.")]
    create_time: Annotated[str, Example("2026-11-23T06:07:08Z"), Doc("When it was made, UTC.")]
    modified_time: Annotated[str, Example("2026-11-23T06:07:08Z"), Doc("The same: a version never changes.")]
    created_by: Annotated[str, Doc("The account that made it.")]
    launch_template_data: Annotated[DataOutput | None, Doc("What it says, unless DetailFlag is false.")] = None


@shape
class VersionsOutput:
    """Versions."""

    launch_template_version_set: Annotated[tuple[VersionOutput, ...], Doc("The versions of this page.")]


@shape
class Output:
    launch_template_version_sets: Annotated[VersionsOutput, Doc("The versions.")]
    total_count: Annotated[int, Doc("How many versions there are on all pages.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]


def check(call: Call, p: Input) -> Output:
    template = templates.find_named(call, p.region_id, p.launch_template_id, p.launch_template_name)
    conditions = _conditions(p, template)
    found = page(call, p, launch_template_versions, NEWEST_VERSIONS, conditions, template=template.id)
    drawn = tuple(_draw(template, row, with_data=p.detail_flag) for row in found.rows)
    return Output(
        launch_template_version_sets=VersionsOutput(launch_template_version_set=drawn),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
    )


def _conditions(p: Input, template: LaunchTemplate) -> list[Condition]:
    number = launch_template_versions.c.number
    conditions = by_nothing(p.launch_template_version)
    if p.launch_template_version is not None:
        conditions.append(number.in_(p.launch_template_version))
    if p.default_version:
        conditions.append(number == template.default_version)
    if p.min_version is not None:
        conditions.append(number >= p.min_version)
    if p.max_version is not None:
        conditions.append(number <= p.max_version)
    return conditions


def _draw(template: LaunchTemplate, row: LaunchTemplateVersion, *, with_data: bool) -> VersionOutput:
    return VersionOutput(
        launch_template_id=template.id,
        launch_template_name=template.name,
        version_number=row.number,
        version_description=row.description,
        default_version=row.number == template.default_version,
        create_time=to_seconds_text(row.created_at),
        modified_time=to_seconds_text(row.created_at),
        created_by=row.created_by,
        launch_template_data=draw(row.data) if with_data else None,
    )


describe_launch_template_versions = Operation(input=Input, output=Output, check=check, errors=templates.ERRORS)
