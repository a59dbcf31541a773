"""Filters by time, the same in every list that has them."""

from __future__ import annotations

import pytest

from kiln.operations import ALL
from tests.clouds import Cloud
from tests.nets import an_eip
from tests.operations.images.gallery import an_image
from tests.operations.tasks.agenda import a_task
from tests.operations.test_lists import rows
from tests.stock import a_disk, a_snapshot, an_event, an_instance

MINUTE = 1_795_414_020.0  #: 2026-11-23T06:07Z

MADE = {
    "DescribeImages": lambda cloud, when: an_image(cloud, created_at=when, disks=()),
    "DescribeSnapshots": lambda cloud, when: a_snapshot(cloud, created_at=when, volume=None),
    "DescribeDisks": lambda cloud, when: a_disk(cloud, created_at=when, volume=None),
    "DescribeInstances": lambda cloud, when: an_instance(cloud, created_at=when, system_disk=False),
    "DescribeEipAddresses": lambda cloud, when: an_eip(cloud, created_at=when),
    "DescribeTasks": lambda cloud, when: a_task(cloud, created_at=when),
    "LookupEvents": lambda cloud, when: an_event(cloud, at=when),
}
_BY_PARAMETERS = {"DescribeTasks", "LookupEvents"}  #: Whose times are parameters of their own, and no filters.
_BY_TYPE = {"DescribeImageSupportInstanceTypes"}  #: Whose filter knows types of instances alone.
by_action = pytest.mark.parametrize("action", MADE)


def test_every_list_with_a_filter_by_time_is_tested_here():
    filtered = {one.name for one in ALL for field in one.parameters if field.name in ("filter", "start_time")}

    assert filtered - _BY_TYPE == set(MADE)


def count(cloud: Cloud, action: str, start: str = "", end: str = "") -> int:
    params = {"StartTime": start, "EndTime": end}
    if action not in _BY_PARAMETERS:
        given = [(key, when) for key, when in (("CreationStartTime", start), ("CreationEndTime", end)) if when]
        params = {f"Filter.{n}.Key": key for n, (key, _) in enumerate(given, 1)}
        params |= {f"Filter.{n}.Value": when for n, (_, when) in enumerate(given, 1)}
    return len(rows(cloud.call(action, params)))


@by_action
@pytest.mark.parametrize("after", [0.0, 5.0, 5.999, 59.999])
def test_a_time_takes_in_all_that_it_spells(cloud: Cloud, action, after):
    MADE[action](cloud, MINUTE + after)
    second = f"2026-11-23T06:07:{int(after):02}Z"

    assert count(cloud, action, start="2026-11-23T06:07Z", end="2026-11-23T06:07Z") == 1
    assert count(cloud, action, start=second, end=second) == 1
    assert count(cloud, action, start="2026-11-23T06:08Z") == 0
    assert count(cloud, action, end="2026-11-23T06:06Z") == 0
    assert count(cloud, action, end="2026-11-23T06:06:59Z") == 0


@by_action
def test_nothing_is_in_a_span_that_ends_before_it_starts(cloud: Cloud, action):
    MADE[action](cloud, MINUTE)

    assert count(cloud, action, start="2026-11-23T06:08Z", end="2026-11-23T06:06Z") == 0


@by_action
@pytest.mark.parametrize("text", ["noon", "2026-11-23", "2026-11-23T06:07", "1795414020", "2026-11-23T06:07:60Z", "*"])
def test_what_is_no_time_is_refused(cloud: Cloud, action, text):
    MADE[action](cloud, MINUTE)
    at = {"StartTime": text}
    if action not in _BY_PARAMETERS:
        at = {"Filter.1.Key": "CreationEndTime", "Filter.1.Value": text}
    code, status = ("InvalidParameter", 400) if action in _BY_PARAMETERS else ("InvalidFilterValue", 404)

    cloud.refuses(action, code, status, at)
