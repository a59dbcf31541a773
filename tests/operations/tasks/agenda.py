"""Tasks to test with."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from kiln.declare.ids import new_id
from kiln.declare.states import TaskStatus
from kiln.ground.clock import next_in_sequence
from kiln.store.tasks import Task, tasks
from tests.clouds import ACCOUNT, REGION, Cloud


def a_task(cloud: Cloud, objects: tuple[str, ...] = ("disk.qcow2",), **changes: Any) -> Task:
    """An import that nobody has begun, and that has nothing to do."""
    row = Task(
        id=new_id("task"),
        seq=next_in_sequence(),
        action="ImportImage",
        account=ACCOUNT,
        region=REGION,
        resource=new_id("image"),
        lane="",
        payload=json.dumps({"disks": [{"object": name} for name in objects]}),
        status=TaskStatus.PROCESSING,
        progress=0,
        listed=True,
        owner="",
        lease_until=0.0,
        attempts=0,
        not_before=0.0,
        cancel_requested=False,
        created_at=cloud.clock(),
        finished_at=None,
        error_code="",
        error_message="",
    )
    row = replace(row, **changes)
    cloud.ports.database.write(lambda tx: tasks.insert(tx, row))
    return row
