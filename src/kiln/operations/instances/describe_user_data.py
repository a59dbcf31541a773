"""Read the user data of an instance, in Base64 as it was given.

Empty when the instance has none.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape
from kiln.operations.errors.instances import InvalidInstanceIdNotFound
from kiln.operations.params import InstanceId, OwnRegionId, RegionId
from kiln.store.instances import instances


@shape
class Input:
    region_id: OwnRegionId = None
    instance_id: InstanceId


@shape
class Output:
    region_id: RegionId
    instance_id: InstanceId
    user_data: Annotated[str, Example("IyEvYmluL3NoCg=="), Doc("The user data, in Base64.")]


def check(call: Call, p: Input) -> Output:
    instance = call.the(instances, p.instance_id, p.region_id, InvalidInstanceIdNotFound)
    return Output(region_id=instance.region, instance_id=instance.id, user_data=instance.user_data)


describe_user_data = Operation(
    input=Input,
    output=Output,
    check=check,
    errors=(InvalidInstanceIdNotFound,),
)
