"""What the most frequent calls may cost the database: to compile a statement takes longer than to run it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from kiln.ground import killpoints
from tests.clouds import Cloud, make_cloud
from tests.operations.images.gallery import an_image
from tests.stock import a_snapshot


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
