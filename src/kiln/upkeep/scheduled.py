"""Takes automatic snapshots when their hour has come, as CreateSnapshot would.

Every hour that a policy names is done once for each of its disks: that it was,
and the snapshot, are written in one transaction. What CreateSnapshot refuses,
because something is under way with the disk or its instance, is asked for again
until the hour is over. Only the present hour is looked at, so a Kiln that was
down, and a clock that is set forward, take one snapshot for what they missed
within it, and none for hours before it.
"""

from __future__ import annotations

from dataclasses import replace

from kiln.calls.call import Call, Ports
from kiln.declare.errors import ApiError
from kiln.ground.clock import to_date_text
from kiln.ground.journal import Journal
from kiln.operations.snapshots.create_snapshot import Input, create_snapshot
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.snapshot_policies import FOR_GOOD, HOUR_S, SnapshotPolicy, awaiting, due_in

log = Journal("kiln.upkeep")


class Scheduler:
    """The chore. It remembers what it was refused, so that the log has that once an hour."""

    def __init__(self) -> None:
        self._refused: dict[str, float] = {}

    def __call__(self, ports: Ports) -> list[str]:
        """Have every snapshot taken that is due; returns the disks whose snapshot has begun."""
        now = ports.clock()
        hour = now - now % HOUR_S
        with ports.database.read() as tx:
            due = [(policy, disk) for policy in due_in(tx, hour) for disk in awaiting(tx, policy, hour)]
        self._refused = {disk: at for disk, at in self._refused.items() if at == hour}
        return [disk.id for policy, disk in due if self._take(ports, policy, disk, hour)]

    def _take(self, ports: Ports, policy: SnapshotPolicy, disk: Disk, hour: float) -> bool:
        try:
            has_begun = ports.database.write(lambda tx: _take(tx, ports, policy, disk, hour))
        except ApiError as refusal:
            if self._refused.get(disk.id) != hour:
                self._refused[disk.id] = hour
                log.warning("auto_snapshot_put_off", disk=disk.id, policy=policy.id, code=refusal.code)
            return False
        if has_begun:
            log.info("auto_snapshot_taken", disk=disk.id, policy=policy.id)
        return has_begun


def _take(tx: Transaction, ports: Ports, policy: SnapshotPolicy, disk: Disk, hour: float) -> bool:
    """Record the snapshot and that the hour is done; False where it is by now. Raises what CreateSnapshot refuses."""
    present = next((one for one in awaiting(tx, policy, hour) if one.id == disk.id), None)
    if present is None:
        return False
    call = Call(tx=tx, ports=ports, account=disk.account, action=create_snapshot.name, now=ports.clock())
    name = f"auto2.0_{to_date_text(call.now)}_{policy.id}"
    days = None if policy.retention_days == FOR_GOOD else policy.retention_days
    plan = create_snapshot.check(call, Input(disk_id=disk.id, snapshot_name=name, retention_days=days))
    taken = replace(plan.capture.snapshot, snapshot_policy=policy.id)
    assert create_snapshot.commit is not None  # It is no read.
    create_snapshot.commit(call, replace(plan, capture=replace(plan.capture, snapshot=taken)))
    disks.update(tx, {"snapshots_until": hour}, id=disk.id)
    return True
