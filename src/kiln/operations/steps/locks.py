"""Instances that the operator has locked for security reasons: nothing is done to them, or to their disks."""

from __future__ import annotations

from kiln.declare.errors import ApiError
from kiln.operations.errors.instances import InstanceLockedForSecurity
from kiln.store.instances import Instance


def check_unlocked(instance: Instance | None, locked: type[ApiError] = InstanceLockedForSecurity) -> None:
    """Raise *locked*, as the operation words it, when the instance is locked. A free disk has none."""
    if instance is not None and instance.lock_reason == "security":
        raise locked(instance_id=instance.id)
