"""What is asked before a command is kept."""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.operations.assistant.parts import errors
from kiln.store.commands import commands

#: Of the parameters in its content, and of the room for it.
KEEP_ERRORS = (
    errors.CmdParamCountExceedLimit,
    errors.CmdParamNameExceedLimit,
    errors.CmdParamInvalidParamName,
    errors.CmdParamEmptyKey,
    errors.CmdCountExceedQuota,
)


def check_room(call: Call, region: str) -> None:
    """Raise CmdCountExceedQuota when the account has as many commands there as it may."""
    owned = {"account": call.account, "region": region}
    limit = call.deployment.quotas.commands
    if call.ports.quota_watch.is_reached(
        ("commands", call.account, region), limit, lambda: commands.count(call.tx, **owned)
    ):
        raise errors.CmdCountExceedQuota
