"""Take a key pair from up to 50 instances.

An instance that does not have it stays as it is. A guest keeps the key that it
has read until somebody takes it out of its authorized_keys.
"""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.shapes import shape
from kiln.operations.key_pairs.parts import holders
from kiln.operations.key_pairs.parts.holders import InstanceIds, Output, Plan
from kiln.operations.key_pairs.parts.named import OldName
from kiln.operations.params import RegionId
from kiln.operations.steps.key_pairs import find_named
from kiln.store.instances import instances


@shape
class Input:
    region_id: RegionId
    key_pair_name: OldName
    instance_ids: InstanceIds


def check(call: Call, p: Input) -> Plan:
    find_named(call, p.region_id, p.key_pair_name, holders.InvalidKeyPairNameNotFoundOfInstances)
    return holders.judge(call, p.region_id, p.instance_ids, p.key_pair_name, takes_windows=True)


def commit(call: Call, plan: Plan) -> Output:
    for instance in plan.allowed:
        instances.update(call.tx, {"key_pair": ""}, id=instance.id, key_pair=plan.key_pair)
    return holders.tell(plan)


detach_key_pair = Operation(input=Input, output=Output, check=check, commit=commit, errors=holders.ERRORS)
