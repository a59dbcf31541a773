"""Keep a command, to be run on instances by InvokeCommand.

A command is a script for a shell, or for the program that its first line names
after `#!`. With EnableParameter, `{{name}}` in it stands for what InvokeCommand
gives; `{{ACS::InstanceId}}` and its like (RegionId, AccountId, InstanceName,
InvokeId, CommandId) for what Kiln knows.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example, Secret, Unordered
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.assistant.parts import contents, errors
from kiln.operations.assistant.parts.keeping import KEEP_ERRORS, check_room, new_command
from kiln.operations.assistant.parts.words import (
    BASE64,
    DEFAULT_TIMEOUT_S,
    IDEMPOTENT,
    CommandDescription,
    CommandId,
    CommandName,
    CommandType,
    EnableParameter,
    Encoding,
    Launcher,
    Timeout,
    WorkingDir,
)
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed, QuotaExceedTags
from kiln.operations.params import RegionId, ResourceGroupId, TagInput, to_pairs
from kiln.operations.steps import resource_groups
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.store import tags
from kiln.store.commands import Command, commands


@shape
class Input:
    region_id: RegionId
    name: CommandName
    type: CommandType
    command_content: Annotated[
        str,
        Secret(),
        Example("ZWNobyAxMjM="),
        Doc("The content, of at most 24 KB in Base64. In Base64 without ContentEncoding."),
    ]
    content_encoding: Encoding = BASE64
    description: CommandDescription | None = None
    working_dir: WorkingDir | None = None
    timeout: Timeout = DEFAULT_TIMEOUT_S
    enable_parameter: EnableParameter = False
    launcher: Launcher | None = None
    resource_group_id: ResourceGroupId | None = None
    tag: Annotated[tuple[TagInput, ...], Unordered(), Count(20, QuotaExceedTags), Doc("Tags of the command.")] = ()


@shape
class Output:
    command_id: CommandId


@dataclass(frozen=True, kw_only=True)
class Plan:
    command: Command
    tags: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    content = contents.read_content(p.command_content, p.content_encoding)
    if p.enable_parameter:
        contents.names_in(content)
    resource_groups.check_there(call, p.resource_group_id)
    check_room(call, p.region_id)
    command = new_command(call, p, content)
    return Plan(command=command, tags=pairs)


def commit(call: Call, plan: Plan) -> Output:
    commands.insert(call.tx, plan.command)
    tags.put(call.tx, call.account, "command", plan.command.id, plan.tags)
    return Output(command_id=plan.command.id)


create_command = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    idempotent=IDEMPOTENT,
    errors=(
        *KEEP_ERRORS,
        errors.CmdContentDecodeError,
        errors.CmdContentExceedLimit,
        InvalidResourceGroupNotFound,
        InvalidTagKeyMalformed,
        DuplicateTagKey,
    ),
)
