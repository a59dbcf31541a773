"""The first page: how much there is of everything, what has failed of late, and what to do next."""

from __future__ import annotations

from kiln.console.pages.disks import DISKS
from kiln.console.pages.images import IMAGES
from kiln.console.pages.instances import INSTANCES
from kiln.console.pages.snapshots import SNAPSHOTS
from kiln.console.pages.tasks import TASKS
from kiln.console.visit import Page, Shown, Visit

_COUNTED = (IMAGES, INSTANCES, DISKS, SNAPSHOTS)
_OWN = {"images": {"ImageOwnerAlias": "self"}}
_LATELY = 5


def show(visit: Visit) -> Shown:
    """Counts and failures."""
    counts = []
    for noun in _COUNTED:
        given = {**noun.fixed, **_OWN.get(noun.name, {}), "PageSize": 1}
        counts.append((noun, int(visit.call(noun.action, given).get("TotalCount", 0))))
    failed = visit.call(TASKS.action, TaskStatus="Failed", PageSize=_LATELY)["TaskSet"]["Task"]
    return {
        "health": visit.signed.client.readiness(),
        "counts": counts,
        "failed": [(one, _why(visit, one["TaskId"])) for one in failed],
        "is_empty": not any(count for _, count in counts),
    }


def _why(visit: Visit, task: str) -> str:
    told = visit.call("DescribeTaskAttribute", TaskId=task).get("OperationProgressSet", {}).get("OperationProgress", [])
    return next((f"{one.get('ErrorCode', '')}: {one['ErrorMsg']}" for one in told if one.get("ErrorMsg")), "")


PAGES = (Page(at="/", run=show, template="overview.html"),)
