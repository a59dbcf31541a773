from __future__ import annotations

import pytest

from kiln.wire.noncelog import open_nonces
from kiln.wire.nonces import WINDOW_S, Use

NOW = 1795416140.0


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "nonces"


def test_a_start_knows_what_was_used_before(folder):
    for at in (NOW - WINDOW_S, NOW, NOW + WINDOW_S):
        assert open_nonces(folder, NOW, "boot").use("AK", f"n {at}", at=at, now=NOW, account="a") is Use.NEW

    again = open_nonces(folder, NOW, "boot")

    for at in (NOW - WINDOW_S, NOW, NOW + WINDOW_S):
        assert again.use("AK", f"n {at}", at=at, now=NOW, account="a") is Use.USED


def test_a_start_knows_how_much_an_account_has_taken(folder):
    first = open_nonces(folder, NOW, "boot")
    for n in range(4):
        first.use("AK", str(n), at=NOW, now=NOW, account="a")
    second = open_nonces(folder, NOW, "boot")
    second._capacity = 8

    assert second.use("AK", "more", at=NOW, now=NOW, account="a") is Use.FULL
    assert second.use("AK", "more", at=NOW, now=NOW, account="b") is Use.NEW


def test_after_another_boot_nothing_of_before_is_admitted(folder):
    open_nonces(folder, NOW, "boot").use("AK", "n", at=NOW, now=NOW)

    nonces = open_nonces(folder, NOW + 60, "another boot")

    assert nonces.use("AK", "lost", at=NOW + 59, now=NOW + 60) is Use.FORGOTTEN
    assert nonces.use("AK", "next", at=NOW + 60, now=NOW + 60) is Use.NEW


def test_the_first_start_admits_a_client_whose_clock_is_behind(folder):
    assert open_nonces(folder, NOW, "boot").use("AK", "n", at=NOW - 600, now=NOW) is Use.NEW


@pytest.mark.parametrize("cut", [1, 22])
def test_a_record_that_was_cut_short_spoils_no_other(folder, cut):
    open_nonces(folder, NOW, "boot").use("AK", "n", at=NOW, now=NOW)
    (file,) = folder.glob("*.used")
    with file.open("ab") as end:
        end.write(b"x" * cut)

    open_nonces(folder, NOW, "boot").use("AK", "m", at=NOW, now=NOW)

    again = open_nonces(folder, NOW, "boot")
    assert [again.use("AK", nonce, at=NOW, now=NOW) for nonce in "nmo"] == [Use.USED, Use.USED, Use.NEW]


def test_forgets_on_disk_what_it_forgets(folder):
    nonces = open_nonces(folder, NOW, "boot")
    nonces._steady = lambda: steady
    steady = 0.0
    nonces.use("AK", "n", at=NOW, now=NOW)
    (old,) = folder.glob("*.used")

    steady = 3600.0
    nonces.use("AK", "m", at=NOW + 3600, now=NOW + 3600)

    assert not old.exists()
    assert len(list(folder.glob("*.used"))) == 1


def test_a_lost_key_forgets_what_cannot_be_compared(folder):
    """Whoever takes it away could use them again, so that nothing of before the start is admitted."""
    open_nonces(folder, NOW, "boot").use("AK", "n", at=NOW, now=NOW)
    (folder / "key").unlink()

    nonces = open_nonces(folder, NOW + 1, "boot")

    assert nonces.use("AK", "n", at=NOW, now=NOW + 1) is Use.FORGOTTEN
    assert nonces.use("AK", "m", at=NOW + 1, now=NOW + 1) is Use.NEW


def test_nobody_else_reads_what_it_keeps(folder):
    open_nonces(folder, NOW, "boot").use("AK", "n", at=NOW, now=NOW)

    assert folder.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())


def test_a_disk_that_takes_nothing_keeps_nobody_out(tmp_path, caplog):
    (tmp_path / "nonces").write_bytes(b"")

    nonces = open_nonces(tmp_path / "nonces", NOW, "boot")

    assert nonces.use("AK", "n", at=NOW, now=NOW) is Use.NEW
    assert nonces.use("AK", "m", at=NOW - 1, now=NOW) is Use.FORGOTTEN
    assert [record.getMessage() for record in caplog.records] == ["nonces_not_kept"]


def test_a_full_disk_keeps_nobody_out(folder, caplog):
    nonces = open_nonces(folder, NOW, "boot")
    (folder / f"{int(NOW // 300)}.used").symlink_to("/dev/full")

    uses = [nonces.use("AK", nonce, at=NOW, now=NOW) for nonce in "nmn"]

    assert uses == [Use.NEW, Use.NEW, Use.USED]
    assert [record.getMessage() for record in caplog.records] == ["nonces_not_kept"]
