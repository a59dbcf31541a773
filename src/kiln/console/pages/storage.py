"""What is in the pool: a page of its own, which the first page shows a part of when it is there.

What all accounts have there is told to the operator alone: to who has signed in, on this host, by the link that the
service itself has made, or by one for which ``kiln console`` has proved that the service's files are its caller's to
read. A link that somebody got for a key says no more than the key does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from kiln.client.client import ApiFailure
from kiln.console.visit import Page, Shown, Visit
from kiln.declare import metrics
from kiln.declare.holdings import Use
from kiln.ground.units import KiB

#: A sample of a metric that has no label but a kind, as Prometheus's text has it.
_SAMPLE = re.compile(r'^(\w+)(?:\{kind="(\w+)"\})? (\S+)$', re.MULTILINE)


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
        return {"is_counted": False, "is_told": failure.may_pass, "pool": None}
    return {"is_counted": True, "is_told": True, "pool": _pool(visit), **_account(told)}


def _account(told: dict[str, Any]) -> Shown:
    return {
        "held": [Held(one["Use"], one["Volumes"], one["Bytes"] // KiB) for one in told["Uses"]["Use"]],
        "depths": [(one["Depth"], one["Disks"]) for one in told["ChainDepths"]["ChainDepth"]],
        "looked_at": told["LookedAt"],
    }


class InPool(NamedTuple):
    """What all accounts have in the pool: KiB by kind, and how long the chains of disks are."""

    kib: Mapping[Use, int]
    deepest: int
    mean: str


def _pool(visit: Visit) -> InPool | None:
    """As the service tells it to a scraper on its host; None for who is not to know, and where it is told to nobody."""
    if not (visit.signed.is_operators and visit.place.is_beside and visit.asked.is_of_this_host):
        return None
    found = {(name, kind): float(value) for name, kind, value in _SAMPLE.findall(visit.signed.client.measured())}
    kib = {use: int(found.get((metrics.POOL_BYTES.name, use), 0)) // KiB for use in Use}
    deepest = found.get((metrics.CHAIN_DEPTH_MAX.name, ""))
    if deepest is None:
        return None
    return InPool(kib, int(deepest), f"{found.get((metrics.CHAIN_DEPTH_MEAN.name, ''), 0):.1f}")


PAGES = (Page(at="/storage", run=show, template="storage.html"),)
