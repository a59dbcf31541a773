from __future__ import annotations

import pytest

from kiln.pools import overlay
from kiln.pools.errors import VolumeBroken, VolumeBusy, VolumeMissing
from kiln.pools.family import Family, parent_of
from tests.pools.patterns import SIZE


def make(folder, volume, parent=None):
    path = folder / f"{volume}.qcow2"
    path.touch()
    overlay.write(path, SIZE, None if parent is None else f"{parent}.qcow2")
    return path


def leave(family, volume):
    with family.leaving(volume):
        pass


def test_knows_the_children_that_were_there_at_the_start(tmp_path):
    make(tmp_path, "v-a")
    make(tmp_path, "v-b", "v-a")

    with pytest.raises(VolumeBusy):
        leave(Family(tmp_path), "v-a")


def test_learns_of_children_that_are_noted(tmp_path):
    make(tmp_path, "v-a")
    family = Family(tmp_path)
    make(tmp_path, "v-b", "v-a")
    family.note("v-b")

    with pytest.raises(VolumeBusy):
        family.require_childless("v-a")


def test_forgets_children_that_left(tmp_path):
    make(tmp_path, "v-a")
    child = make(tmp_path, "v-b", "v-a")
    family = Family(tmp_path)
    with family.leaving("v-b"):
        child.unlink()

    leave(family, "v-a")


def test_keeps_a_parent_while_a_child_is_expected(tmp_path):
    make(tmp_path, "v-a")
    family = Family(tmp_path)

    with family.expecting("v-a"), family.expecting("v-a"):
        pass
    with family.expecting("v-a"), pytest.raises(VolumeBusy):
        leave(family, "v-a")

    leave(family, "v-a")


def test_expects_no_child_of_a_volume_that_is_leaving(tmp_path):
    make(tmp_path, "v-a")
    family = Family(tmp_path)

    with family.leaving("v-a"), pytest.raises(VolumeMissing), family.expecting("v-a"):
        pass


def test_keeps_a_volume_whose_drop_failed(tmp_path):
    make(tmp_path, "v-a")
    make(tmp_path, "v-b", "v-a")
    family = Family(tmp_path)
    with pytest.raises(OSError, match="made up"), family.leaving("v-b"):
        raise OSError("made up")

    with pytest.raises(VolumeBusy):
        leave(family, "v-a")


def test_sees_a_child_that_was_replaced_by_somebody_else(tmp_path):
    make(tmp_path, "v-a")
    make(tmp_path, "v-b")
    family = Family(tmp_path)
    make(tmp_path, "draft", "v-a").rename(tmp_path / "v-b.qcow2")

    with pytest.raises(VolumeBusy):
        leave(family, "v-a")


def test_counts_a_file_that_is_no_volume_as_a_child_of_nothing(tmp_path):
    make(tmp_path, "v-a")
    (tmp_path / "v-b.qcow2").write_bytes(b"rubbish")

    leave(Family(tmp_path), "v-a")


@pytest.mark.parametrize("backing", ["v-a.raw", "/v-a.qcow2", "other/v-a.qcow2"])
def test_takes_nothing_else_for_a_parent(tmp_path, backing):
    path = tmp_path / "v-b.qcow2"
    path.touch()
    overlay.write(path, SIZE, backing)

    with pytest.raises(VolumeBroken):
        parent_of(path)
