"""Why a resource is as it is, where a service can tell: DescribeReasons, which Kiln alone has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiln.client.catalogue import Catalogue
from kiln.client.client import ApiFailure, Client

#: What a service answers to an action that it does not have: one that is older than this client, or none of ours.
_NO_SUCH_ACTION = ("InvalidAction.NotFound", "InvalidVersion", "InvalidProduct.NotFound")

FAILED = "Failed"  #: The state of a reason; what waits and what is being done has come to no harm.


def reasons(client: Client, resource: str, region: str | None = None) -> Mapping[str, Any]:
    """The answer of DescribeReasons, in the client's region if in no other; without a reason where nobody can tell.

    Raises ApiFailure.
    """
    try:
        return client.call("DescribeReasons", ResourceId=resource, RegionId=region)
    except ApiFailure as failure:
        if failure.code in (*_NO_SUCH_ACTION, "InvalidResourceId.NotFound"):
            return {"Reasons": {"Reason": []}}
        raise


def failure_of(client: Client, resource: str) -> tuple[str, str]:
    """``CODE: message`` of what failed last, and what may be done about it; empty for nothing. Raises ApiFailure."""
    for one in reasons(client, resource)["Reasons"]["Reason"]:
        if one["State"] == FAILED:
            return ": ".join(filter(None, (one["Code"], one["Message"]))), hint_of(client.catalogue, one)
    return "", ""


def hint_of(known: Catalogue, reason: Mapping[str, Any]) -> str:
    """What may be done about a reason; empty where nothing has failed, or nobody knows."""
    if reason["State"] != FAILED or not reason["Code"]:
        return ""
    return known.hint_later(reason.get("Action", ""), reason["Code"], reason["Message"])
