"""How backups are named beside each other."""

from __future__ import annotations

import pytest

from kiln.service.backups import finding
from kiln.service.backups.errors import BackupRefused

NOW, EARLIER, LATER = "20261129T123456Z", "20261129T123455Z", "20261129T123457Z"


def made(folder, *names):
    for name in names:
        (folder / name).mkdir()
    return folder


def test_is_named_for_its_moment(tmp_path):
    assert finding.name_for(made(tmp_path, EARLIER), NOW) == NOW


def test_is_later_than_all_that_are_there_though_the_clock_was_set_back(tmp_path):
    assert finding.name_for(made(tmp_path, LATER), NOW) == f"{LATER}-2"


def test_has_no_name_of_one_that_was_removed_in_the_same_second(tmp_path):
    """It would be the oldest by its name, and the next to go."""
    name = finding.name_for(made(tmp_path, f"{NOW}-2", f"{NOW}-10"), NOW)

    assert name == f"{NOW}-11"
    assert finding.names(made(tmp_path, name))[-1] == name


@pytest.mark.parametrize("lies", ["link", "dangling link", "file"])
def test_a_draft_that_no_backup_has_left_is_refused_and_stays(tmp_path, lies):
    """What it leads to is somebody else's, and the next backup takes drafts away."""
    elsewhere = made(tmp_path, "elsewhere") / "elsewhere"
    draft = made(tmp_path, "backups") / "backups" / finding.DRAFT
    if lies == "file":
        draft.write_text("mine")
    else:
        draft.symlink_to(elsewhere if lies == "link" else tmp_path / "nowhere")

    with pytest.raises(BackupRefused, match="no folder that a backup was drafted in"):
        finding.require_home(draft.parent)

    assert draft.is_symlink() is (lies != "file")
    draft.unlink()
    draft.mkdir()
    finding.require_home(draft.parent)
