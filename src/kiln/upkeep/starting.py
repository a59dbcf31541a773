"""Instances that are started again though nobody asked for it now: what ran until its host failed is to run again."""

from __future__ import annotations

from kiln.calls.call import Call, Ports
from kiln.declare.errors import ApiError
from kiln.ground.journal import Journal
from kiln.operations.instances.start_instance import Input, start_instance
from kiln.store.database import Transaction
from kiln.store.instances import Instance

log = Journal("kiln.upkeep")


def starts_again(tx: Transaction, ports: Ports, instance: Instance, now: float) -> bool:
    """Begin what StartInstance begins for a Stopped instance; False where that refuses, as of one that is locked."""
    call = Call(tx=tx, ports=ports, account=instance.account, action=start_instance.name, now=now)
    assert start_instance.commit is not None  # It is no read.
    try:
        order = start_instance.check(call, Input(instance_id=instance.id))
    except ApiError as refusal:
        log.warning("not_started_again", instance=instance.id, code=refusal.code)
        return False
    start_instance.commit(call, order)
    return True
