"""The names by which clients look for the cloud when nobody has told them where Kiln is.

A product, a region and a bucket are words before one domain
(``ecs-cn-hangzhou.aliyuncs.com``, ``location-readonly.aliyuncs.com``,
``my-bucket.oss-cn-beijing.aliyuncs.com``), so that a name of the cloud is any
name below it.
"""

from __future__ import annotations

import re

DOMAIN = "aliyuncs.com"

_MOST_LETTERS = 253  #: Of any name of a host (RFC 1035, 2.3.4).
_below_domain = re.compile(rf"(?:[a-z0-9](?:[a-z0-9-]{{0,61}}[a-z0-9])?\.){{1,8}}{re.escape(DOMAIN)}").fullmatch


_of_region = re.compile(
    rf"[a-z0-9]+(?:-[a-z0-9]+)?\.([a-z][a-z0-9]*(?:-[a-z0-9]+)+)\.{re.escape(DOMAIN)}(?::[0-9]{{1,5}})?"
).fullmatch


def region_in(host: str) -> str:
    """The region that a host of the cloud, perhaps with a port, may be named for; empty of one that names none.

    What it reads as a region may be another word (``location-readonly.aliyuncs.com``): only a region that is served is
    one. ``ecs-cn-hangzhou.aliyuncs.com`` names none: by the SDKs' tables of endpoints it serves a score of regions,
    and only what has the region as a word of its own, ``vpc.cn-hangzhou``, for one.
    """
    found = _of_region(host.lower()) if len(host) <= _MOST_LETTERS else None
    return found[1] if found else ""


def is_of_cloud(name: str) -> bool:
    """Whether *name*, in any case and without a port, is one of the cloud's."""
    return len(name) <= _MOST_LETTERS and _below_domain(name.lower()) is not None
