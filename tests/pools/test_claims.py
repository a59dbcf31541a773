from __future__ import annotations

import os

import pytest

from kiln.pools.claims import Claims
from kiln.pools.errors import VolumeBusy
from kiln.pools.folder import Folder
from tests.pools.kills import in_child


@pytest.fixture
def one(tmp_path):
    return Claims(tmp_path / ".kiln")


@pytest.fixture
def other(tmp_path):
    """As another process has it: a lock belongs to what was opened."""
    return Claims(tmp_path / ".kiln")


def test_who_holds_a_name_holds_it_alone(one, other):
    assert one.hold("v-a")

    assert [claims.hold("v-a") for claims in (one, other)] == [False, False]
    assert [claims.share("v-a") for claims in (one, other)] == [False, False]
    assert other.hold("v-b")
    one.release("v-a")
    assert other.hold("v-a")


def test_any_number_share_a_name(one, other):
    assert all(claims.share("v-a") for claims in (one, one, other))

    assert not one.hold("v-a")
    assert not other.hold("v-a")
    one.release("v-a")
    other.release("v-a")
    assert not other.hold("v-a"), "it was shared twice, and released once"
    one.release("v-a")
    assert other.hold("v-a")


def test_tells_of_others_claims_alone(one, other):
    assert not other.is_claimed_elsewhere("v-a")
    one.share("v-a")

    assert other.is_claimed_elsewhere("v-a")
    assert not one.is_claimed_elsewhere("v-a")


def test_says_why_a_name_cannot_be_had(one, other):
    with one.alone("v-a", "it is one's"), pytest.raises(VolumeBusy, match="one's"), other.alone("v-a", "it is one's"):
        pass
    with other.alone("v-a", "it is free"):
        pass


def test_a_process_lives_from_when_it_tells_to_when_it_closes(one, other):
    assert not other.is_alive(one.owner)
    one.tell()

    assert other.is_alive(one.owner)
    assert not other.is_alive("0" * 14)
    assert not other.is_alive("nobody")
    one.close()
    assert not other.is_alive(one.owner)


def test_nothing_is_left_of_a_process_that_was_killed(tmp_path, one):
    read, write = os.pipe()

    def claim():
        claims = Claims(tmp_path / ".kiln")
        assert claims.hold("v-a")
        os.write(write, claims.tell().encode())

    assert in_child(claim) == 0

    assert not one.is_alive(os.read(read, 100).decode())
    assert one.hold("v-a")
    os.close(read)
    os.close(write)


def test_who_replaces_a_file_is_told_also_of_one_that_died_at_it(tmp_path, one, other):
    assert other.mark() == (b"", True)
    with one.replacing():
        mark, is_whole = other.mark()
        assert (len(mark), is_whole, one.mark()[1]) == (16, False, False)
    assert other.mark() == (mark, True)

    def die():
        with Claims(tmp_path / ".kiln").replacing():
            os._exit(0)

    assert in_child(die) == 0
    assert one.mark()[0] != mark
    assert one.mark()[1]


def test_looking_makes_nothing(tmp_path, one):
    assert not one.is_alive("0" * 14)
    assert not one.is_claimed_elsewhere("v-a")

    assert list(tmp_path.iterdir()) == []


def test_a_draft_of_one_who_lives_is_nobodys_leftover(tmp_path, one, other):
    (tmp_path / "folder").mkdir()
    mine, its = (Folder(tmp_path / "folder", claims) for claims in (one, other))

    with its.draft() as draft:
        assert mine.sweep() == []
        assert draft.exists()
        other.close()
        assert mine.sweep() == [draft.name]


def test_what_an_earlier_kiln_left_is_swept(tmp_path, one):
    (tmp_path / ".tmp-5f0c5f5e-9d0d-4a5c-8c5e-0d9c6f1f6d3a").touch()

    assert Folder(tmp_path, one).sweep() == [".tmp-5f0c5f5e-9d0d-4a5c-8c5e-0d9c6f1f6d3a"]
