"""List the commands that the account keeps, the newest first.

Commands that RunCommand ran and did not keep are not among them. Nobody provides
public commands here, so that a query for those gives an empty list.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Composed, Count, Doc, Example
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.operations.assistant.parts import contents
from kiln.operations.assistant.parts.words import BASE64, AnswerEncoding, CommandId, CommandType, encoded
from kiln.operations.errors.tags import InvalidTagCount
from kiln.operations.filters import InvalidTagMismatch, TagFilter, by_tags
from kiln.operations.paging import page
from kiln.operations.params import (
    NextToken,
    PageNumber,
    PageSize50,
    RegionId,
    ResourceGroupId,
    TagsOutput,
    draw_tags,
)
from kiln.store import tags
from kiln.store.commands import NEWEST, Command, commands
from kiln.store.conditions import NOTHING, Condition, fits
from kiln.store.tags import Tag


@shape
class Input:
    region_id: RegionId
    command_id: Annotated[CommandId | None, Doc("Only this command.")] = None
    name: Annotated[
        str | None,
        Composed(),
        Example("check-*"),
        Doc("Only those of this name, in which * stands for any characters."),
    ] = None
    description: Annotated[
        str | None, Example("*disk*"), Doc("Only those of this description, in which * stands for any characters.")
    ] = None
    type: Annotated[CommandType | None, Doc("Only those of this type.")] = None
    provider: Annotated[str | None, Doc("Public commands of somebody's, of which there are none.")] = None
    latest: Annotated[
        bool | None, Accepted("There are no public commands."), Doc("Of public commands the newest alone.")
    ] = None
    content_encoding: AnswerEncoding = BASE64
    resource_group_id: Annotated[ResourceGroupId | None, Doc("Only those in this resource group.")] = None
    tag: Annotated[
        tuple[TagFilter, ...] | None, Count(20, InvalidTagCount), Doc("Only those with all of these tags.")
    ] = None
    page_number: PageNumber | None = None
    page_size: PageSize50 | None = None
    max_results: Annotated[int | None, Example("10"), Doc("Rows an answer, when paging by NextToken: 1 to 50.")] = None
    next_token: NextToken | None = None


@shape
class ParameterNamesOutput:
    """Names of parameters."""

    parameter_name: Annotated[tuple[str, ...], Example('["name"]'), Doc("The names, as the content spells them.")]


@shape
class CommandOutput:
    """One command."""

    command_id: CommandId
    name: Annotated[str, Example("check-disk"), Doc("The name.")]
    description: Annotated[str, Doc("The description.")]
    type: Annotated[str, Example("RunShellScript"), Doc("The type.")]
    command_content: Annotated[str, Example("ZGYgLWgg"), Doc("The content, as ContentEncoding asks for it.")]
    working_dir: Annotated[str, Doc("Where it begins in the guest; empty: in the home of the user.")]
    timeout: Annotated[int, Example("60"), Doc("Seconds after which it is killed.")]
    enable_parameter: Annotated[bool, Doc("Whether its content has parameters.")]
    parameter_names: Annotated[ParameterNamesOutput, Doc("The parameters in the content.")]
    creation_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("When it was made, in UTC.")]
    invoke_times: Annotated[int, Example("3"), Doc("How many times it was invoked.")]
    provider: Annotated[str, Doc("User: nobody provides public ones.")]
    category: Annotated[str, Doc("Empty, as of all but public ones.")]
    version: Annotated[int, Doc("Always 1.")]
    latest: Annotated[bool, Doc("Always true.")]
    resource_group_id: Annotated[str, Doc("The resource group; empty for none.")]
    tags: Annotated[TagsOutput, Doc("The tags.")]


@shape
class CommandsOutput:
    """Commands."""

    command: Annotated[tuple[CommandOutput, ...], Doc("The commands of this page.")]


@shape
class Output:
    commands: Annotated[CommandsOutput, Doc("The commands.")]
    total_count: Annotated[int, Doc("Commands that meet the filters.")]
    page_number: Annotated[int, Doc("The page.")]
    page_size: Annotated[int, Doc("Rows a page.")]
    next_token: Annotated[str, Doc("To be sent for the next page; empty on the last one.")]


def check(call: Call, p: Input) -> Output:
    found = page(call, p, commands, NEWEST, _conditions(p), account=call.account, region=p.region_id, most=50)
    tagged = tags.of(call.tx, "command", [row.id for row in found.rows])
    drawn = tuple(_draw(row, p.content_encoding, tagged[row.id]) for row in found.rows)
    return Output(
        commands=CommandsOutput(command=drawn),
        total_count=found.total,
        page_number=found.number,
        page_size=found.size,
        next_token=found.next_token,
    )


def _conditions(p: Input) -> list[Condition]:
    c = commands.c
    conditions = by_tags("command", commands, p.tag)
    if p.command_id is not None:
        conditions.append(c.id == p.command_id)
    if p.name is not None:
        conditions.append(fits(c.name, p.name))
    if p.description is not None:
        conditions.append(fits(c.description, p.description, 512))
    if p.type is not None:
        conditions.append(c.type == p.type)
    if p.provider is not None:
        conditions.append(NOTHING)
    if p.resource_group_id is not None:
        conditions.append(c.resource_group == p.resource_group_id)
    return conditions


def _draw(row: Command, encoding: str, own: list[Tag]) -> CommandOutput:
    names = contents.names_in(row.content) if row.enable_parameter else ()
    return CommandOutput(
        command_id=row.id,
        name=row.name,
        description=row.description,
        type=row.type,
        command_content=encoded(row.content, encoding),
        working_dir=row.working_dir,
        timeout=row.timeout_s,
        enable_parameter=row.enable_parameter,
        parameter_names=ParameterNamesOutput(parameter_name=names),
        creation_time=to_seconds_text(row.created_at),
        invoke_times=row.invoked,
        provider="User",
        category="",
        version=1,
        latest=True,
        resource_group_id=row.resource_group,
        tags=draw_tags(own),
    )


describe_commands = Operation(
    input=Input,
    output=Output,
    check=check,
    errors=(InvalidTagMismatch,),
)
