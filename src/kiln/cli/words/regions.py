"""``kiln region``: regions, their zones, and the types of instances."""

from __future__ import annotations

from kiln.cli.declared import Takes
from kiln.cli.grammar import group
from kiln.cli.listings import listing
from kiln.cli.output import Column

app = group()

_REGIONS = (
    Column("REGION", "RegionId"),
    Column("NAME", "LocalName", is_prose=True),
    Column("ENDPOINT", "RegionEndpoint"),
)
_ZONES = (Column("ZONE", "ZoneId"), Column("NAME", "LocalName", is_prose=True), Column("KIND", "ZoneType"))
_TYPES = (
    Column("TYPE", "InstanceTypeId"),
    Column("FAMILY", "InstanceTypeFamily"),
    Column("CPUS", "CpuCoreCount"),
    Column("GIB", "MemorySize"),
    Column("ARCH", "CpuArchitecture"),
)

listing(app, Takes("DescribeRegions"), _REGIONS, "List the regions that are served.", "kiln region list")
listing(
    app,
    Takes("DescribeZones"),
    _ZONES,
    "List the zones of the region.",
    "kiln region zones --region cn-hangzhou",
    name="zones",
)
listing(
    app,
    Takes("DescribeInstanceTypes"),
    _TYPES,
    "List the types that instances can have.",
    "kiln region types --minimum-memory-size 4",
    name="types",
)
