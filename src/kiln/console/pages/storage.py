"""What is in the pool: a page of its own, which the first page shows a part of when it is there."""

from __future__ import annotations

from typing import Any, NamedTuple

from kiln.client.client import ApiFailure
from kiln.console.visit import Page, Shown, Visit
from kiln.ground.units import KiB


class Held(NamedTuple):
    """What the account has in the pool of one kind: as DescribeStorage names it, how many volumes, and KiB."""

    use: str
    volumes: int
    kib: int


def show(visit: Visit) -> Shown:
    """What the account has there; or that it is being counted; or that this service does not tell, as an older one.

    It is asked once. What is being counted takes as long as it takes, and the page asks for itself again.
    """
    try:
        told = visit.call_once("DescribeStorage")
    except ApiFailure as failure:
        return {"is_counted": False, "is_told": failure.may_pass}
    return {"is_counted": True, "is_told": True, **_account(told)}


def _account(told: dict[str, Any]) -> Shown:
    return {
        "held": [Held(one["Use"], one["Volumes"], one["Bytes"] // KiB) for one in told["Uses"]["Use"]],
        "depths": [(one["Depth"], one["Disks"]) for one in told["ChainDepths"]["ChainDepth"]],
        "looked_at": told["LookedAt"],
    }


PAGES = (Page(at="/storage", run=show, template="storage.html"),)
