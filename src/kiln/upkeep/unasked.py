"""What befell an instance though nobody asked for it: its reason is kept as that of a task which failed.

There is none that it could be told of else, and DescribeReasons reads tasks.
"""

from __future__ import annotations

from dataclasses import replace

from kiln.declare.facts import NoFacts
from kiln.declare.states import TaskStatus
from kiln.store.database import Transaction
from kiln.store.instances import Instance
from kiln.store.tasks import Task, append, new_task


def keep_reason(tx: Transaction, instance: Instance, happened: str, reason: str, now: float, *, host: str = "") -> Task:
    """Keep why the instance is as it is; *happened* stands where a task has its action, and its code.

    *host* is where it happened, if that is to be known.
    """
    task = new_task(happened, instance.id, NoFacts(), now, account=instance.account, region=instance.region, host=host)
    failed = replace(task, finished_at=now, status=TaskStatus.FAILED, error_code=happened, error_message=reason)
    return append(tx, failed)
