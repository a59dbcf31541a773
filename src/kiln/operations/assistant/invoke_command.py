"""Run a command that is kept in the guests of running instances.

As RunCommand, which says what becomes of it; the command is one of
CreateCommand's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Count, Doc, Unordered
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.assistant.parts import contents, errand, errors, running, targets
from kiln.operations.assistant.parts.errand import ErrandFacts
from kiln.operations.assistant.parts.words import (
    IDEMPOTENT,
    MOST_INSTANCES,
    CommandId,
    Container,
    Delivery,
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
from kiln.store import commands as command_rows
from kiln.store.commands import Command, commands
from kiln.store.instances import Instance
from kiln.store.invocations import Invocation


@shape
class Input:
    region_id: RegionId
    command_id: CommandId
    instance_id: Annotated[
        tuple[InstanceId, ...],
        Unordered(),
        Count(MOST_INSTANCES, InstanceIdsExceedLimit),
        Doc("The instances: up to 100, all of them Running."),
    ] = ()
    resource_tag: Annotated[
        tuple[TagFilter, ...],
        Unordered(),
        Count(10),
        Doc("In place of InstanceId: all instances that have all of these tags."),
    ] = ()
    parameters: Parameters | None = None
    working_dir: Annotated[
        WorkingDir | None, Doc("Where in the guest it begins; where the command says when not given.")
    ] = None
    timeout: Annotated[
        Timeout | None,
        Doc("Seconds after which it is killed; the command's when not given."),
    ] = None
    username: Username | None = None
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
    invoke_id: InvokeId


@dataclass(frozen=True, kw_only=True)
class Plan:
    command: Command
    invocation: Invocation
    targets: list[Instance]
    tags: dict[str, str]


def check(call: Call, p: Input) -> Plan:
    pairs = to_pairs(p.tag)
    command = call.the(commands, p.command_id, p.region_id, errors.InvalidCmdIdNotFound)
    parameters = contents.read_parameters(p.parameters, command.content, is_enabled=command.enable_parameter)
    resource_groups.check_there(call, p.resource_group_id)
    found = targets.find_targets(call, p.region_id, p.instance_id, p.resource_tag, most=MOST_INSTANCES)
    asked = replace(
        command,
        working_dir=p.working_dir or command.working_dir,
        timeout_s=p.timeout or command.timeout_s,
    )
    invocation = running.invocation_of(call, asked, parameters, p.username or "", p.resource_group_id or "")
    return Plan(command=command, invocation=invocation, targets=found, tags=pairs)


def commit(call: Call, plan: Plan) -> Output:
    command_rows.count_invocation(call.tx, plan.command)
    targets.record(call, plan.invocation, plan.targets, plan.tags)
    return Output(invoke_id=plan.invocation.id)


invoke_command = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    carry_out=running.carry_out,
    facts=ErrandFacts,
    give_up=errand.give_up,
    idempotent=IDEMPOTENT,
    errors=(
        errors.InvalidCmdIdNotFound,
        *targets.TARGET_ERRORS,
        errors.InvalidResourceTagConflict,
        errors.InvalidResourceTagInstanceNotFound,
        InvalidTagMismatch,
        *running.PARAMETER_ERRORS,
        InvalidResourceGroupNotFound,
        InvalidTagKeyMalformed,
        DuplicateTagKey,
    ),
)
