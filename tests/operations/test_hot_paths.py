"""What the most frequent calls may cost the database: to compile a statement takes longer than to run it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from kiln.ground import killpoints
from tests.clouds import Cloud, make_cloud
from tests.operations.images.gallery import an_image
from tests.stock import a_snapshot, an_instance


@pytest.fixture
def cloud(tmp_path, sqlite):
    return make_cloud(tmp_path, sqlite)


@contextmanager
def built(cloud: Cloud) -> Iterator[list[str]]:
    """The statements that went through SQLAlchemy meanwhile, instead of past it to the driver."""
    found: list[str] = []

    def note(_connection, _cursor, statement, *_):
        found.append(statement)

    event.listen(cloud.ports.database.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(cloud.ports.database.engine, "before_cursor_execute", note)


@contextmanager
def commits() -> Iterator[list[str]]:
    """The durable commits meanwhile."""
    found: list[str] = []
    killpoints.listen(lambda point: found.append(point) if point == "database.committed" else None)
    try:
        yield found
    finally:
        killpoints.listen(None)


def test_an_image_of_a_snapshot_is_one_commit_of_compiled_statements_and_one_change(cloud):
    snapshot = a_snapshot(cloud)
    listener = cloud.ports.database.hub.listen()

    with built(cloud) as statements, commits() as committed:
        image = cloud.call("CreateImage", SnapshotId=snapshot.id)["ImageId"]
        cloud.settle()

    assert [one for one in statements if "FROM tasks" not in one] == []  # The worker's look for tasks.
    assert len(committed) == 1
    assert [(one.id, one.old, one.new) for one in listener.take(0).changes] == [(image, None, "Available")]


def test_an_instance_is_three_commits_of_compiled_statements(cloud):
    """One says what is to be made, one that the disk is there, one that the machine runs."""
    image = an_image(cloud)

    with built(cloud) as statements, commits() as committed:
        cloud.call("RunInstances", ImageId=image.id, InstanceType="ecs.t5-lc1m1.small")
    claimed = cloud.worker.claim(cloud.clock())
    with built(cloud) as more, commits() as later:
        for task in claimed:
            cloud.worker.attempt(task)

    assert [*statements, *more] == []
    assert (len(committed), len(later)) == (1, 2)
    assert cloud.open_tasks() == []


@pytest.mark.parametrize("table", ["disks", "instances", "snapshots"])
def test_a_page_of_all_that_there_is_is_of_compiled_statements(cloud, table):
    an_instance(cloud)
    a_snapshot(cloud)

    with built(cloud) as statements:
        assert cloud.call(f"Describe{table.title()}", PageSize=1)["TotalCount"] == 1

    assert [one for one in statements if f"FROM {table}" in one] == []


def test_who_sees_the_end_of_a_list_does_not_count_it(cloud):
    a_snapshot(cloud, name="a"), a_snapshot(cloud, name="a"), a_snapshot(cloud)

    for number, size, total, asked in [(1, 2, 2, 1), (1, 1, 2, 2), (2, 1, 2, 1), (3, 1, 2, 2)]:
        with built(cloud) as statements:
            answer = cloud.call("DescribeSnapshots", SnapshotName="a", PageNumber=number, PageSize=size)

        assert answer["TotalCount"] == total
        assert len([one for one in statements if "FROM snapshots" in one]) == asked
