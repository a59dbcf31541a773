"""What callers may say of a security group itself."""

from __future__ import annotations

from typing import Annotated

from kiln.declare.rules import Doc, Example, Name, Text
from kiln.operations.security_groups.parts.errors import (
    InvalidSecurityGroupDiscriptionMalformed,
    InvalidSecurityGroupNameMalformed,
)

GroupName = Annotated[
    str,
    Name(2, 128, InvalidSecurityGroupNameMalformed, any_script=True),
    Example("testSecurityGroupName"),
    Doc("The name; several groups may have one."),
]
GroupDescription = Annotated[
    str,
    Text(2, 256, InvalidSecurityGroupDiscriptionMalformed, not_starting=("http://", "https://")),
    Example("testDescription"),
    Doc("A description."),
]
