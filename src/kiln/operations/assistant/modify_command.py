"""Change the name, description, directory or time of a command that is kept.

The content stays as it is. What is invoked already goes on as it was asked for.
"""

from __future__ import annotations

from typing import Annotated, Any

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Clearable, Declined, Doc, Secret
from kiln.declare.shapes import shape
from kiln.ground.values import dataclass
from kiln.operations.assistant.parts.errors import InvalidCmdIdNotFound
from kiln.operations.assistant.parts.words import (
    CommandDescription,
    CommandId,
    CommandName,
    Launcher,
    Timeout,
    WorkingDir,
)
from kiln.operations.params import NothingMore, RegionId
from kiln.store.commands import commands


@shape
class Input:
    region_id: RegionId
    command_id: CommandId
    name: CommandName | None = None
    description: Annotated[CommandDescription | None, Clearable()] = None
    working_dir: Annotated[WorkingDir | None, Clearable()] = None
    timeout: Timeout | None = None
    command_content: Annotated[
        str | None,
        Secret(),
        Declined("a command's content cannot be changed; make another command"),
        Doc("The content."),
    ] = None
    launcher: Launcher | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    command: str
    changes: dict[str, Any]


def check(call: Call, p: Input) -> Plan:
    command = call.the(commands, p.command_id, p.region_id, InvalidCmdIdNotFound)
    asked = {"name": p.name, "description": p.description, "working_dir": p.working_dir, "timeout_s": p.timeout}
    return Plan(command=command.id, changes={name: value for name, value in asked.items() if value is not None})


def commit(call: Call, plan: Plan) -> NothingMore:
    if plan.changes:
        commands.update(call.tx, plan.changes, id=plan.command)
    return NothingMore()


modify_command = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    errors=(InvalidCmdIdNotFound,),
)
