"""Whatever is done to a Kiln in whatever order: every disk and snapshot holds what it should, and space comes back."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiln.store import schema
from kiln.store.database import open_sqlite
from tests.clouds import make_cloud
from tests.fuzz.lives import STEPS, Life
from tests.operations.images.gallery import with_two_regions
from tests.stock import a_snapshot
from tests.tools import needs

pytestmark = pytest.mark.slow


@settings(max_examples=6, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9999)), min_size=30, max_size=40))
def test_nothing_is_lost_and_nothing_is_left(steps):
    needs("qemu-io", "qemu-img")
    with tempfile.TemporaryDirectory() as folder:
        database = open_sqlite(Path(folder) / "kiln.sqlite")
        schema.create(database)
        life = Life(with_two_regions(make_cloud(Path(folder), database)))
        first = a_snapshot(life.cloud)
        life.snapshots[first.id] = {}
        life.cloud.call("CreateImage", SnapshotId=first.id)
        life.settle()
        life.run_instances(0)

        for step, number in steps:
            step(life, number)

        life.check()
        life.end()
        database.close()
