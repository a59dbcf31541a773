"""Tasks as rows, written and claimed without anybody who carries them out."""

from __future__ import annotations

from kiln.declare.ids import new_id
from kiln.ground.clock import next_in_sequence
from kiln.store import claiming, tasks
from kiln.store.tasks import Task


def a_task(database, **changes):
    row = {
        "id": new_id("task"), "seq": next_in_sequence(), "action": "X", "account": "1", "region": "", "resource": "",
        "lane": "", "payload": "{}", "status": "Processing", "progress": 0, "listed": False, "owner": "",
        "lease_until": 0.0, "attempts": 0, "not_before": 0.0, "cancel_requested": False, "created_at": 0.0,
        "finished_at": None, "error_code": "", "error_message": "",
    }  # fmt: skip
    task = Task(**(row | changes))
    database.write(lambda tx: tasks.tasks.insert(tx, task))
    return task.id


def claim(database, owner="me", now=100.0, limit=10):
    return [task.id for task in database.write(lambda tx: claiming.claim(tx, owner, now, limit))]


def row(tx, task):
    return tasks.tasks.find(tx, id=task)
