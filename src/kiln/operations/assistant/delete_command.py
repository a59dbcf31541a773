"""Delete a command that is kept. What is invoked already goes on, and is told of as before."""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.shapes import shape
from kiln.operations.assistant.parts.errors import InvalidCmdIdNotFound
from kiln.operations.assistant.parts.words import CommandId
from kiln.operations.params import NothingMore, RegionId
from kiln.store import tags
from kiln.store.commands import commands


@shape
class Input:
    region_id: RegionId
    command_id: CommandId


def check(call: Call, p: Input) -> str:
    return call.the(commands, p.command_id, p.region_id, InvalidCmdIdNotFound).id


def commit(call: Call, command: str) -> NothingMore:
    commands.delete(call.tx, id=command)
    tags.drop(call.tx, "command", command)
    return NothingMore()


delete_command = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    gives_back=True,
    errors=(InvalidCmdIdNotFound,),
)
