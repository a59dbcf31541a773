"""The names and groups that instances are found by."""

from __future__ import annotations

import pytest

from kiln.store.instances import (
    instances,
    is_in_group,
    is_of_family,
    named,
)
from tests.reading import every
from tests.stock import an_instance


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("web-1", ["web-1"]),
        ("web*", ["web-1", "web-2"]),
        ("*-2", ["web-2"]),
        ("WEB*", ["web-1", "web-2"]),
        ("_eb*", []),
        ("*" * 60_000 + "2", ["web-2"]),
        ("w*" + "é" * 30_000, []),
        ("*" + "a" * 60_000, []),
    ],
)
def test_finds_by_name(cloud, pattern, found):
    an_instance(cloud, system_disk=False, name="web-1")
    an_instance(cloud, system_disk=False, name="web-2")

    with cloud.ports.database.read() as tx:
        assert sorted(row.name for row in instances.all(tx, named(pattern))) == found


def test_finds_by_security_group(cloud):
    an_instance(cloud, system_disk=False, card={"groups": ["sg-1", "sg-22"]}, name="in")
    an_instance(cloud, system_disk=False, card={"groups": ["sg-2"]}, name="out")

    with cloud.ports.database.read() as tx:
        assert [row.name for row in instances.all(tx, is_in_group("sg-22"))] == ["in"]
        assert [row.name for row in instances.all(tx, is_in_group("sg-1"))] == ["in"]
        assert [row.name for row in instances.all(tx, is_in_group("g-1"))] == []
        assert [row.name for row in instances.all(tx, is_in_group("%"))] == []
        assert [row.name for row in instances.all(tx, is_in_group("sg-" + "1" * 60_000))] == []
    assert len(every(cloud, instances)) == 2


@pytest.mark.parametrize(
    ("family", "found"),
    [("ecs.t6", ["a", "b"]), ("ecs.t6-c1m1", ["b"]), ("ecs.t", []), ("ecs_t6", []), ("", []), ("e" * 60_000, [])],
)
def test_finds_by_family(cloud, family, found):
    an_instance(cloud, system_disk=False, instance_type="ecs.t6.large", name="a")
    an_instance(cloud, system_disk=False, instance_type="ecs.t6-c1m1.large", name="b")

    with cloud.ports.database.read() as tx:
        assert sorted(row.name for row in instances.all(tx, is_of_family(family))) == found
