"""What is said of something that is not there: that it was deleted, and when, or where it is, and where to go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiln.client.client import ApiFailure
from kiln.console.nouns.noun import Noun
from kiln.console.visit import Shown, Visit

_TOLD = 5  #: Calls that named it.
_IN_TRASH = ("images", "snapshots", "disks")


def missing(noun: Noun, visit: Visit, id: str, region: str) -> Shown:  # noqa: A002 - it is what the API calls it.
    """What ``missing.html`` shows of a row; *region* is the one that has it, or is empty."""
    calls = [] if region else _calls(visit, id)
    return {
        "noun": noun,
        "id": id if noun.id.endswith("Id") else "",  # A name in a link may be any text, and nobody's here.
        "region": region,
        "calls": calls,
        "deleted": next((one for one in calls if one["eventName"].startswith("Delete") and not one["errorCode"]), None),
        "trash": "trash.of_one" if noun.name in _IN_TRASH else "trash.of_instance" if noun.name == "instances" else "",
    }


def _calls(visit: Visit, id: str) -> list[Mapping[str, Any]]:  # noqa: A002 - as above.
    """The last calls that named it, the newest first; none for who may not look into the audit."""
    named = {"LookupAttribute": [{"Key": "ResourceName", "Value": id}], "StartTime": "1970-01-01T00:00:00Z"}
    try:
        found: list[Mapping[str, Any]] = visit.call("LookupEvents", {**named, "MaxResults": _TOLD})["Events"]
    except ApiFailure:
        return []
    return found
