"""What is said of a snapshot group, alike when it is made and when it is changed."""

from __future__ import annotations

from typing import Annotated

from kiln.declare.rules import Doc, Example, Name, Text
from kiln.operations.snapshots.parts.errors import InvalidParameterDescription, InvalidParameterName

GroupName = Annotated[str, Name(2, 128, InvalidParameterName), Example("testName"), Doc("The name of the group.")]
GroupDescription = Annotated[
    str,
    Text(2, 256, InvalidParameterDescription, not_starting=("http://", "https://")),
    Example("This is description."),
    Doc("A description."),
]
