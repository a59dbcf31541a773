"""Release up to 100 instances: all of them, or none.

Each goes as with DeleteInstance, and what becomes of its disks is the same.
When one of them may not be released the request is refused with its error, and
nothing is done.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Doc
from kiln.declare.shapes import shape
from kiln.operations.errors.requests import IDEMPOTENT, DryRunSuccess
from kiln.operations.instances.parts import batch, release
from kiln.operations.instances.parts.batch import InstanceIds
from kiln.operations.instances.parts.orders import Order
from kiln.operations.params import NothingMore, RegionId


@shape
class Input:
    region_id: RegionId
    instance_id: InstanceIds
    force: Annotated[bool, Doc("Release them though they are Running.")] = False
    force_stop: Annotated[
        bool, Doc("With Force: cut the power. With false, the guests are asked to shut down first.")
    ] = True
    terminate_subscription: Annotated[
        bool | None, Accepted("There are no subscriptions."), Doc("Whether expired subscriptions are released.")
    ] = None


def check(call: Call, p: Input) -> list[Order]:
    return batch.each(
        p.instance_id,
        lambda one: release.check(call, p.region_id, one, force=p.force, cut_power=p.force_stop),
    )


def commit(call: Call, orders: list[Order]) -> NothingMore:
    for order in orders:
        release.begin(call, order)
    return NothingMore()


delete_instances = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    dry_run=DryRunSuccess,
    idempotent=IDEMPOTENT,
    gives_back=True,
    awaited=True,
    errors=release.ERRORS,
)
