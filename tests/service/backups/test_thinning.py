"""Older backups are removed whole or not at all, and never what is needed of them, or the only good one."""

from __future__ import annotations

import json
import os

import pytest

from kiln.declare.states import InstanceStatus
from kiln.service.backups import finding, manifest
from kiln.service.backups.examining import examine
from kiln.service.backups.thinning import thin
from kiln.store.instances import instances
from tests.pools.kills import killed_at, points_of
from tests.service.backups.kept import back_up, put_back, run_all, silent
from tests.service.pairs import as_cloud


def are_whole(folder):
    """The backups that are there, of which each is what was written."""
    found = finding.names(folder)
    assert all(list(examine(folder / name, manifest.read(folder / name), silent)) == [] for name in found)
    return found


def test_the_newest_are_kept_and_what_they_share_with_older_ones(home, tmp_path):
    to = tmp_path / "backups"
    made = [back_up(home, to, keep=2) for _ in range(4)]
    assert [one.removed for one in made] == [(), (), (made[0].path.name,), (made[1].path.name,)]
    assert made[-1].copied_bytes == 0
    assert are_whole(to) == [one.path.name for one in made[2:]]
    put_back(made[-1].path, tmp_path / "again")
    assert back_up(home, to, keep=1).removed == tuple(one.path.name for one in made[2:])
    assert len(are_whole(to)) == 1


def test_none_is_removed_for_one_that_missed_something(home, tmp_path):
    to = tmp_path / "backups"
    whole = back_up(home, to)
    with home.started() as it:
        run_all(as_cloud(it))
        partial = back_up(home, to, keep=1, timeout_s=0.1)
    assert (partial.manifest.is_whole, partial.removed) == (False, ())
    assert finding.names(to) == [whole.path.name, partial.path.name]


def test_one_that_missed_something_counts_for_none_that_is_whole_and_goes_with_what_is_older(home, tmp_path):
    to = tmp_path / "backups"
    whole = [back_up(home, to).path.name for _ in range(2)]
    with home.started() as it:
        run_all(as_cloud(it))
        partial = [back_up(home, to, timeout_s=0.1).path.name for _ in range(3)]
        it.database.write(lambda tx: instances.update(tx, {"status": InstanceStatus.STOPPED}))

    third = back_up(home, to, keep=2)
    assert third.removed == (whole[0],)
    assert are_whole(to) == [whole[1], *partial, third.path.name]
    fourth = back_up(home, to, keep=2)
    assert fourth.removed == (whole[1], *partial)
    assert are_whole(to) == [third.path.name, fourth.path.name]


def test_one_of_which_an_instance_was_to_be_left_out_counts(home, tmp_path):
    to = tmp_path / "backups"
    with home.started() as it:
        cloud = as_cloud(it)
        run_all(cloud)
        with it.database.read() as tx:
            running = tuple(one.id for one in instances.all(tx))
        made = [back_up(home, to, keep=1, without=running, timeout_s=0.1) for _ in range(2)]
    assert [one.removed for one in made] == [(), (made[0].path.name,)]
    assert are_whole(to) == [made[1].path.name]


def test_what_cannot_be_read_or_is_of_another_kiln_is_neither_counted_nor_removed(home, tmp_path):
    to = tmp_path / "backups"
    broken, others, old = (back_up(home, to) for _ in range(3))
    os.truncate(broken.path / manifest.FILE, 100)
    said = json.loads((others.path / manifest.FILE).read_text()) | {"deployment": "another"}
    said.pop("checksum")
    (others.path / manifest.FILE).write_text(json.dumps({**said, "checksum": manifest.checksum_of(said)}))
    new = back_up(home, to, keep=1)
    assert new.removed == (old.path.name,)
    assert finding.names(to) == [broken.path.name, others.path.name, new.path.name]


def test_one_that_was_moved_to_another_disk_and_linked_stays(home, tmp_path):
    to = tmp_path / "backups"
    moved = back_up(home, to).path
    moved.rename(tmp_path / "elsewhere")
    moved.symlink_to(tmp_path / "elsewhere")
    made = [back_up(home, to, keep=1) for _ in range(2)]
    assert [one.removed for one in made] == [(), (made[0].path.name,)]
    assert are_whole(to) == [moved.name, made[1].path.name]


@pytest.mark.slow
def test_a_kill_while_one_is_removed_leaves_no_half_of_it(home, tmp_path):
    to = tmp_path / "backups"
    made = [back_up(home, to) for _ in range(3)]
    deployment = made[0].manifest.deployment
    points = points_of(lambda: thin(to, 2, deployment))
    assert points == ["backup.thin.before", "backup.thin.unnamed", "backup.thin.removed"]
    for number in range(len(points)):
        back_up(home, to)
        left = are_whole(to)
        assert killed_at(number, lambda: thin(to, 2, deployment)), points[number]
        assert set(left[1:]) <= set(are_whole(to))
    again = back_up(home, to, keep=2)
    assert len(are_whole(to)) == 2
    assert [path.name for path in sorted(to.iterdir())] == finding.names(to)
    assert again.manifest.is_whole
