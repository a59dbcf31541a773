"""Why a resource is as it is, where a service can tell: DescribeReasons, which Kiln alone has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiln.client.client import ApiFailure, Client

#: What a service answers to an action that it does not have: one that is older than this client, or none of ours.
_NO_SUCH_ACTION = ("InvalidAction.NotFound", "InvalidVersion", "InvalidProduct.NotFound")


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


def failure_of(client: Client, resource: str) -> str:
    """``CODE: message`` of what failed last, or nothing. Raises ApiFailure."""
    failed = (one for one in reasons(client, resource)["Reasons"]["Reason"] if one["State"] == "Failed")
    return next((": ".join(filter(None, (one["Code"], one["Message"]))) for one in failed), "")
