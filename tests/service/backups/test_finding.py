"""How backups are named beside each other."""

from __future__ import annotations

from kiln.service.backups import finding

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
