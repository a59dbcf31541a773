"""Tell whether terminal sessions may be opened, as `ali-instance-cli` asks before it opens one.

In the service an account switches Session Manager on first; here it always is.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example, OneOf, Wire
from kiln.declare.shapes import shape
from kiln.operations.params import OwnRegionId


@shape
class Input:
    region_id: OwnRegionId = None
    status_key: Annotated[
        str,
        Wire("statusKey"),
        OneOf(("sessionManagerStatus",)),
        Example("sessionManagerStatus"),
        Doc("What is asked for."),
    ]


@shape
class Output:
    status_value: Annotated[str, Example("enabled"), Doc("Always enabled.")]


def check(call: Call, p: Input) -> Output:  # noqa: ARG001 - it is so for everybody.
    return Output(status_value="enabled")


describe_user_business_behavior = Operation(input=Input, output=Output, check=check)
