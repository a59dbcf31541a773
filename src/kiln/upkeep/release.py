"""Releases instances whose AutoReleaseTime has come, as DeleteInstance with Force would.

What DeleteInstance refuses, because the instance is protected or something is
under way with it, is asked for again at the next round.
"""

from __future__ import annotations

from kiln.calls.call import Call, Ports
from kiln.declare.errors import ApiError
from kiln.ground.journal import Journal
from kiln.operations.instances.delete_instance import Input, delete_instance
from kiln.store.database import Transaction
from kiln.store.instances import Instance, to_release

log = Journal("kiln.upkeep")


def release_instances(ports: Ports) -> list[str]:
    """Have every instance released that is due; returns the IDs of those whose release has begun."""
    with ports.database.read() as tx:
        due = to_release(tx, ports.clock())
    return [one.id for one in due if _release(ports, one)]


def _release(ports: Ports, instance: Instance) -> bool:
    def work(tx: Transaction) -> None:
        call = Call(tx=tx, ports=ports, account=instance.account, action=delete_instance.name, now=ports.clock())
        assert delete_instance.commit is not None  # It is no read.
        delete_instance.commit(call, delete_instance.check(call, Input(instance_id=instance.id, force=True)))

    try:
        ports.database.write(work, gives_back=True)
    except ApiError as refusal:
        log.info("release_put_off", instance=instance.id, code=refusal.code)
        return False
    log.warning("instance_released", instance=instance.id)
    return True
