"""Tell who calls.

An AccessKey is its account's: Kiln has accounts, and no RAM users below them.
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
    identity_type: Annotated[str, Example("Account"), Doc("Account.")]
    account_id: Annotated[str, Example("1000000000000001"), Doc("The account that calls.")]
    user_id: Annotated[str, Example("1000000000000001"), Doc("The account again.")]
    principal_id: Annotated[str, Example("1000000000000001"), Doc("The account again.")]
    arn: Annotated[str, Example("acs:ram::1000000000000001:root"), Doc("Who calls, as policies name it.")]


def check(call: Call, p: Input) -> Output:  # noqa: ARG001 - it has no parameters.
    return Output(
        identity_type="Account",
        account_id=call.account,
        user_id=call.account,
        principal_id=call.account,
        arn=f"acs:ram::{call.account}:root",
    )


get_caller_identity = Operation(input=Input, output=Output, check=check)
