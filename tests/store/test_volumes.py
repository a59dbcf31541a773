"""Volumes: what stands on what."""

from __future__ import annotations

import pytest

from kiln.declare.ids import new_id
from kiln.store.errors import DatabaseMalformed
from kiln.store.volumes import Volume, bypassable, chain, heads_deeper_than, is_any_unwanted, is_at_work, volumes
from tests.clouds import make_cloud
from tests.stock import a_disk, a_snapshot
from tests.store.steps import counted_steps
from tests.store.task_rows import a_task


def a_chain(cloud, length):
    """Rows of so many volumes, each on the one before it; returns them, the uppermost first."""
    made = []
    for _ in range(length):
        below = made[0] if made else None
        made.insert(0, new_id("volume"))
        row = Volume(id=made[0], state="ready", kind="layer", parent=below, size_bytes=512, task=None, created_at=0.0)
        cloud.ports.database.write(lambda tx, row=row: volumes.insert(tx, row))
    return made


def test_are_followed_down_to_the_lowest(cloud):
    made = a_chain(cloud, 4)

    with cloud.ports.database.read() as tx:
        assert chain(tx, made[0]) == made


def test_that_stand_on_themselves_are_damage(cloud):
    made = a_chain(cloud, 3)
    cloud.ports.database.write(lambda tx: volumes.update(tx, {"parent": made[0]}, id=made[-1]))

    with cloud.ports.database.read() as tx, pytest.raises(DatabaseMalformed, match="stands on itself"):
        chain(tx, made[1])


def test_of_disks_are_found_where_too_many_are_below(cloud):
    shallow, deep, deepest = a_chain(cloud, 3), a_chain(cloud, 4), a_chain(cloud, 9)
    for made in (shallow, deep, deepest):
        a_disk(cloud, volume=made[0])
    a_disk(cloud, volume=deepest[1])
    a_disk(cloud, volume=None)

    with cloud.ports.database.read() as tx:
        assert heads_deeper_than(tx, 3) == sorted([deep[0], deepest[0], deepest[1]])
        assert heads_deeper_than(tx, 8) == [deepest[0]]
        assert heads_deeper_than(tx, 9) == []


@pytest.mark.parametrize(
    ("status", "expected"), [("Processing", True), ("Finished", False), ("unknown", False), (None, False)]
)
def test_are_at_work_while_the_task_that_they_name_is_to_be_done(cloud, status, expected):
    task = a_task(cloud.ports.database, status=status) if status in ("Processing", "Finished") else status
    volume = Volume(id="v", state="ready", kind="head", parent=None, size_bytes=512, task=task, created_at=0.0)

    with cloud.ports.database.read() as tx:
        assert is_at_work(tx, volume) == expected


def test_what_nothing_names_is_looked_for_in_few_steps_of_each_that_is_named(tmp_path, sqlite):
    """The sweeper looks every two seconds, and there are a hundred thousand layers."""
    cloud = make_cloud(tmp_path, sqlite)
    made = [volume for _ in range(50) for volume in a_chain(cloud, 4)]
    for volume in made:
        a_snapshot(cloud, volume=volume)

    with counted_steps(sqlite) as (tx, steps):
        assert not is_any_unwanted(tx)
        assert bypassable(tx, 64) == []

    assert 0 < len(steps) < 30 * len(made)
