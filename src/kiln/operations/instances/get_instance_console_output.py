"""Read what an instance's serial console has printed: the last 64 KiB of it, in Base64.

Empty before the first start. What was printed before the last stop is there
while the instance is Stopped. Lines of `Kiln:` at its beginning say what of the
machine is not as it was asked for, such as a port that could not be forwarded.
"""

from __future__ import annotations

import base64
from concurrent.futures import Future
from typing import Annotated

from kiln.calls.call import Call
from kiln.calls.errors import ServiceUnavailableHostSilent
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape
from kiln.ground.clock import to_seconds_text
from kiln.ground.control_symbols import text_alone
from kiln.operations.errors.instances import InvalidInstanceIdNotFound
from kiln.operations.params import InstanceId, RegionId
from kiln.store.instances import instances


@shape
class Input:
    region_id: RegionId
    instance_id: InstanceId
    remove_symbols: Annotated[bool, Doc("Leave out colours, cursor movements and other orders to a terminal.")] = False


@shape
class Output:
    instance_id: InstanceId
    console_output: Annotated[str, Example("TGludXggdmVyc2lvbgo="), Doc("What was printed, in Base64.")]
    last_update_time: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("When it was read, in UTC.")]


def inquire(call: Call, p: Input) -> Future[bytes] | None:
    instance = call.the(instances, p.instance_id, p.region_id, InvalidInstanceIdNotFound)
    host = instance.host or instance.last_host
    elsewhere = call.ports.elsewhere
    return None if elsewhere.is_here(host) else elsewhere.console(call.tx, host, instance.id)


def check(call: Call, p: Input) -> Output:
    instance = call.the(instances, p.instance_id, p.region_id, InvalidInstanceIdNotFound)
    told: bytes | None = call.heard()
    printed = call.ports.machines.console(instance.id) if told is None else told
    if p.remove_symbols:
        printed = text_alone(printed)
    return Output(
        instance_id=instance.id,
        console_output=base64.b64encode(printed).decode(),
        last_update_time=to_seconds_text(call.now),
    )


get_instance_console_output = Operation(
    input=Input,
    output=Output,
    inquire=inquire,
    check=check,
    errors=(InvalidInstanceIdNotFound, ServiceUnavailableHostSilent),
)
