"""Tell who calls.

An AccessKey is its account's: Kiln has accounts, and no RAM users below them.
One that AssumeRole gave is of the role that was taken.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape


@shape
class Input:
    pass


@shape
class Output:
    identity_type: Annotated[str, Example("Account"), Doc("Account, or AssumedRoleUser.")]
    account_id: Annotated[str, Example("1000000000000001"), Doc("The account that calls.")]
    user_id: Annotated[str | None, Example("1000000000000001"), Doc("The account again; of a role none.")] = None
    role_id: Annotated[
        str | None, Example("30000000000000001"), Doc("The number of the role, where one was taken.")
    ] = None
    principal_id: Annotated[
        str, Example("1000000000000001"), Doc("The account again, or the number of the role and who took it.")
    ]
    arn: Annotated[str, Example("acs:ram::1000000000000001:root"), Doc("Who calls, as policies name it.")]


def check(call: Call, p: Input) -> Output:  # noqa: ARG001 - it has no parameters.
    session = call.origin.session
    if session is not None:
        role_id = session.role_id(call.account)
        return Output(
            identity_type="AssumedRoleUser",
            account_id=call.account,
            role_id=role_id,
            principal_id=f"{role_id}:{session.name}",
            arn=f"acs:ram::{call.account}:assumed-role/{session.role}/{session.name}",
        )
    return Output(
        identity_type="Account",
        account_id=call.account,
        user_id=call.account,
        principal_id=call.account,
        arn=f"acs:ram::{call.account}:root",
    )


get_caller_identity = Operation(input=Input, output=Output, check=check)
