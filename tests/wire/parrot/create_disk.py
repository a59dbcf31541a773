"""Create a disk of the kind that parrots have.

ECS has an action of this name, too.
"""

from __future__ import annotations

import uuid
from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Idempotence, Operation
from kiln.declare.rules import Between, Doc, Example
from kiln.declare.shapes import shape
from kiln.operations.params import OwnRegionId


class InvalidFeathersMalformed(ApiError):
    """Feathers is no number from 1 to 100."""

    code = "InvalidFeathers.Malformed"
    status = 403
    message = "A parrot does not have so many feathers."


class FeathersTokenMismatch(ApiError):
    """The ClientToken was used before with other parameters."""

    code = "FeathersTokenMismatch"
    message = "The specified clientToken is used."


class FeathersTokenMalformed(ApiError):
    """The ClientToken is longer than 64 characters or not ASCII."""

    code = "FeathersTokenMalformed"
    message = "The specified clientToken is improperly formatted."


@shape
class Input:
    region_id: OwnRegionId = None
    feathers: Annotated[int, Between(1, 100, InvalidFeathersMalformed), Example("7"), Doc("How many feathers it has.")]


@shape
class Output:
    disk_id: Annotated[str, Doc("The ID of the disk.")]


def check(_: Call, p: Input) -> int:
    return p.feathers


def commit(_: Call, feathers: int) -> Output:
    return Output(disk_id=f"parrot-{feathers}-{uuid.uuid4()}")


create_disk = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    idempotent=Idempotence(FeathersTokenMismatch, FeathersTokenMalformed),
)
