"""Run a command in the guests of running instances, without keeping it.

The IDs are answered at once; DescribeInvocationResults tells how it goes on. The
command is run by QEMU's guest agent, which the guest has to have: no network and
no account in it is needed. It is at most four at a time in one guest; further
ones wait. What cannot be brought to the guest within a minute is Aborted.

Of the output the first and the last 12 KB are kept, where it is longer than
24 KB. A restart of Kiln ends nothing that runs in a guest. One of the guest does:
then nobody knows how the command ended, and its status is Error.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Example, Secret, Unordered
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.assistant.parts import contents, errand, errors, running, targets
from kiln.operations.assistant.parts.errand import ErrandFacts
from kiln.operations.assistant.parts.keeping import KEEP_ERRORS, check_room, new_command
from kiln.operations.assistant.parts.words import (
    DEFAULT_TIMEOUT_S,
    IDEMPOTENT,
    MOST_INSTANCES,
    PLAIN,
    CommandDescription,
    CommandId,
    CommandName,
    CommandType,
    Container,
    Delivery,
    EnableParameter,
    Encoding,
    Frequency,
    InvokeId,
    Launcher,
    Parameters,
    RepeatMode,
    TerminationMode,
    Timed,
    Timeout,
    Username,
    WindowsPassword,
    WorkingDir,
)
from kiln.operations.errors.instances import InstanceIdsExceedLimit
from kiln.operations.errors.tags import DuplicateTagKey, InvalidTagKeyMalformed, QuotaExceedTags
from kiln.operations.filters import InvalidTagMismatch, TagFilter
from kiln.operations.params import InstanceId, RegionId, ResourceGroupId, TagInput, to_pairs
from kiln.operations.steps import resource_groups
from kiln.operations.steps.resource_groups import InvalidResourceGroupNotFound
from kiln.store.commands import Command, commands
from kiln.store.instances import Instance
from kiln.store.invocations import Invocation


@shape
class Input:
    region_id: RegionId
    type: CommandType
    command_content: Annotated[
        str,
        Secret(),
        Example("df -h"),
        Doc("The content, of at most 24 KB in Base64. As it is without ContentEncoding."),
    ]
    instance_id: Annotated[
        tuple[InstanceId, ...],
        Unordered(),
        Count(MOST_INSTANCES, InstanceIdsExceedLimit),
        Doc("The instances: up to 100, all of them Running."),
    ] = ()
    resource_tag: Annotated[
        tuple[TagFilter, ...],
        Unordered(),
        Count(20),
        Doc("In place of InstanceId: all instances that have all of these tags."),
    ] = ()
    content_encoding: Encoding = PLAIN
    name: CommandName | None = None
    description: CommandDescription | None = None
    working_dir: WorkingDir | None = None
    timeout: Timeout = DEFAULT_TIMEOUT_S
    enable_parameter: EnableParameter = False
    parameters: Parameters | None = None
    username: Username | None = None
    keep_command: Annotated[bool, Doc("Whether the command is kept, as CreateCommand keeps one.")] = False
    repeat_mode: RepeatMode | None = None
    frequency: Frequency | None = None
    timed: Timed | None = None
    container_id: Container | None = None
    container_name: Container | None = None
    launcher: Launcher | None = None
    oss_output_delivery: Delivery | None = None
    termination_mode: TerminationMode | None = None
    windows_password_name: WindowsPassword | None = None
    resource_group_id: ResourceGroupId | None = None
    tag: Annotated[tuple[TagInput, ...], Unordered(), Count(20, QuotaExceedTags), Doc("Tags of the invocation.")] = ()


@shape
class Output:
    command_id: CommandId
    invoke_id: InvokeId


@dataclass(frozen=True, kw_only=True)
class Plan:
    command: Command
    is_kept: bool
    invocation: Invocation
    targets: list[Instance]
    tags: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    content = contents.read_content(p.command_content, p.content_encoding)
    parameters = contents.read_parameters(p.parameters, content, is_enabled=p.enable_parameter)
    resource_groups.check_there(call, p.resource_group_id)
    found = targets.find_targets(call, p.region_id, p.instance_id, p.resource_tag, most=MOST_INSTANCES)
    if p.keep_command:
        check_room(call, p.region_id)
    command = replace(new_command(call, p, content), invoked=1)
    invocation = running.invocation_of(call, command, parameters, p.username or "", p.resource_group_id or "")
    return Plan(command=command, is_kept=p.keep_command, invocation=invocation, targets=found, tags=pairs)


def commit(call: Call, plan: Plan) -> Output:
    if plan.is_kept:
        commands.insert(call.tx, plan.command)
    targets.record(call, plan.invocation, plan.targets, plan.tags)
    return Output(command_id=plan.command.id, invoke_id=plan.invocation.id)


run_command = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    carry_out=running.carry_out,
    facts=ErrandFacts,
    give_up=errand.give_up,
    idempotent=IDEMPOTENT,
    errors=(
        *targets.TARGET_ERRORS,
        errors.InvalidResourceTagConflict,
        errors.InvalidResourceTagInstanceNotFound,
        InvalidTagMismatch,
        *KEEP_ERRORS,
        errors.CmdContentDecodeError,
        *running.PARAMETER_ERRORS,
        InvalidResourceGroupNotFound,
        InvalidTagKeyMalformed,
        DuplicateTagKey,
    ),
)
