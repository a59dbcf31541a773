"""The lanes of an instance."""

from __future__ import annotations

from kiln.store import lanes
from tests.store.task_rows import a_task, row


def test_what_waits_for_a_guest_is_bound_with_its_machine(database):
    with database.read() as tx:
        of_instances = ["i-1", lanes.password_lane("i-1"), lanes.errand_lane(tx, "i-1"), "i-2"]
    bound = [a_task(database, lane=lane) for lane in of_instances]

    database.write(lambda tx: lanes.bind(tx, "i-1", "a"))

    with database.read() as tx:
        assert [row(tx, one).host for one in bound] == ["a", "a", "a", ""]
