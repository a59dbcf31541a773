"""The first page: how much there is of everything, the newest image, what has failed of late, and what to do next.

What is in the pool may take a minute to count. So the page comes without that, and has it brought by another
(``kiln.console.pages.storage``) as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from kiln.console.nouns.cells import cell
from kiln.console.pages.disks import DISKS
from kiln.console.pages.images import IMAGES
from kiln.console.pages.instances import INSTANCES
from kiln.console.pages.snapshots import SNAPSHOTS
from kiln.console.pages.tasks import TASKS
from kiln.console.visit import Page, Shown, Visit

_COUNTED = (IMAGES, INSTANCES, DISKS, SNAPSHOTS)
_OWN = {"images": {"ImageOwnerAlias": "self"}}
_LATELY = 5


class Failed(NamedTuple):
    """Something that failed, with what may be done about it where the catalogue knows."""

    at: str
    name: str
    action: str
    code: str
    message: str
    hint: str
    when: str


def show(visit: Visit) -> Shown:
    """Counts, the newest image, and failures."""
    answers = [
        (noun, visit.call(noun.action, {**noun.fixed, **_OWN.get(noun.name, {}), "PageSize": 1})) for noun in _COUNTED
    ]
    counts = [(noun, int(answer.get("TotalCount", 0))) for noun, answer in answers]
    # The list that the images are counted by begins with the newest, and is cut after it.
    newest = next((image for noun, answer in answers if noun is IMAGES for image in answer["Images"]["Image"]), None)
    return {
        "health": visit.signed.client.readiness(),
        "counts": counts,
        "newest": newest,
        "state": None if newest is None else cell("Status", newest["Status"], IMAGES, newest),
        "is_counted": False,
        "is_told": True,
        "pool": None,
        "failed": [*_failed_images(visit), *_failed_exports(visit)],
        "is_empty": not any(count for _, count in counts),
    }


def _failed_images(visit: Visit) -> Iterator[Failed]:
    asked = {"Status": "CreateFailed", "ImageOwnerAlias": "self", "PageSize": _LATELY}
    for image in visit.call(IMAGES.action, asked)["Images"]["Image"]:
        told = next(iter(visit.reasons(image["ImageId"])), {"Action": "CreateImage", "Code": "", "Message": ""})
        yield _failed(visit, f"{IMAGES.at}/{image['ImageId']}", image["ImageName"], told, image["CreationTime"])


def _failed_exports(visit: Visit) -> Iterator[Failed]:
    asked = {"TaskStatus": "Failed", "TaskAction": "ExportImage", "PageSize": _LATELY}
    for task in visit.call(TASKS.action, asked)["TaskSet"]["Task"]:
        steps = visit.call("DescribeTaskAttribute", TaskId=task["TaskId"])["OperationProgressSet"]["OperationProgress"]
        told = next((one for one in steps if one["ErrorMsg"]), {"ErrorCode": "", "ErrorMsg": ""})
        why = {"Action": "ExportImage", "Code": told["ErrorCode"], "Message": told["ErrorMsg"]}
        yield _failed(visit, f"{TASKS.at}/{task['TaskId']}", task["ResourceId"], why, task["FinishedTime"])


def _failed(visit: Visit, at: str, name: str, why: Mapping[str, str], when: str) -> Failed:
    action, code, message = why["Action"], why["Code"], why["Message"]
    return Failed(at, name, action, code, message, visit.catalogue.hint_later(action, code, message), when)


PAGES = (Page(at="/", run=show, template="overview.html"),)
