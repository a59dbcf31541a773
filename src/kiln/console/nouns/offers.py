"""What a form offers where it asks for a thing by its ID: the newest there are, with the names that people know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kiln.client.client import ApiFailure
from kiln.console.nouns.fields import Field
from kiln.console.visit import Visit

_MOST = 20


class _Source(NamedTuple):
    """Which action lists the things, which field of a row is what is typed, and which say more of it."""

    action: str
    typed: str
    says: tuple[str, ...]
    fixed: Mapping[str, str] = {}


#: By the parameter that is asked for.
_SOURCES: Mapping[str, _Source] = {
    "InstanceId": _Source("DescribeInstances", "InstanceId", ("InstanceName", "Status")),
    "ImageId": _Source("DescribeImages", "ImageId", ("ImageName",)),
    "SnapshotId": _Source("DescribeSnapshots", "SnapshotId", ("SnapshotName",)),
    "InstanceType": _Source("DescribeInstanceTypes", "InstanceTypeId", ("CpuCoreCount", "MemorySize")),
    "KeyPairName": _Source("DescribeKeyPairs", "KeyPairName", ()),
    "VpcId": _Source("DescribeVpcs", "VpcId", ("VpcName", "CidrBlock")),
    "ZoneId": _Source("DescribeZones", "ZoneId", ()),
    "DestinationRegionId": _Source("DescribeRegions", "RegionId", ("LocalName",)),
}
_UNITS = {"CpuCoreCount": "vCPU", "MemorySize": "GiB"}


class Offer(NamedTuple):
    """A value of a field, and what is said of it."""

    value: str
    words: str


def of_fields(visit: Visit, fields: Iterable[Field]) -> Mapping[str, tuple[Offer, ...]]:
    """What there is to choose from, by the names of those fields that have a choice.

    Who may not list a kind of thing is offered none of it, and can type all the same.
    """
    found = {}
    for one in fields:
        source = _SOURCES.get(one.name)
        if source is not None and one.kind == "text" and (offers := tuple(_ask(visit, source))):
            found[one.name] = offers
    return found


def _ask(visit: Visit, source: _Source) -> Iterator[Offer]:
    action = visit.catalogue.action(source.action)
    assert action.listing is not None
    outer, inner = action.listing
    paged = {"PageSize": _MOST} if action.parameter("PageSize") is not None else {}
    try:
        rows: list[Mapping[str, Any]] = visit.call(source.action, {**source.fixed, **paged})[outer.name][inner.name]
    except ApiFailure:
        return
    for row in rows[:_MOST]:
        yield Offer(str(row[source.typed]), ", ".join(filter(None, (_said(row, name) for name in source.says))))


def _said(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name, "")
    if isinstance(value, float):
        value = f"{value:g}"
    return f"{value} {_UNITS[name]}" if name in _UNITS else str(value)
