"""What is asked before a command is kept, and the row that is."""

from __future__ import annotations

from typing import Protocol

from kiln.calls.call import Call
from kiln.declare.ids import new_id
from kiln.operations.assistant.parts import errors
from kiln.store.commands import Command, commands

#: Of the parameters in its content, and of the room for it.
KEEP_ERRORS = (
    errors.CmdParamCountExceedLimit,
    errors.CmdParamNameExceedLimit,
    errors.CmdParamInvalidParamName,
    errors.CmdParamEmptyKey,
    errors.CmdCountExceedQuota,
)


class Described(Protocol):
    """How a request describes a command."""

    @property
    def region_id(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    @property
    def description(self) -> str | None: ...
    @property
    def type(self) -> str: ...
    @property
    def working_dir(self) -> str | None: ...
    @property
    def timeout(self) -> int: ...
    @property
    def enable_parameter(self) -> bool: ...
    @property
    def resource_group_id(self) -> str | None: ...


def new_command(call: Call, p: Described, content: str) -> Command:
    """The command, with the *content* that ``contents.read_content`` has read; nobody has invoked it yet."""
    return Command(
        id=new_id("command"),
        account=call.account,
        region=p.region_id,
        name=p.name or "",
        description=p.description or "",
        type=p.type,
        content=content,
        working_dir=p.working_dir or "",
        timeout_s=p.timeout,
        enable_parameter=p.enable_parameter,
        resource_group=p.resource_group_id or "",
        created_at=call.now,
        invoked=0,
    )


def check_room(call: Call, region: str) -> None:
    """Raise CmdCountExceedQuota when the account has as many commands there as it may."""
    owned = {"account": call.account, "region": region}
    limit = call.deployment.quotas.commands
    if call.ports.quota_watch.is_reached(
        ("commands", call.account, region), limit, lambda: commands.count(call.tx, **owned)
    ):
        raise errors.CmdCountExceedQuota
