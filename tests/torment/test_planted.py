"""A section that cannot fail shows nothing: each notices the fault that it looks for, when there is one."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from pathlib import Path

import pytest

from kiln.declare.products import ECS, ActionKey
from kiln.pools.qcow2 import Qcow2Pool
from kiln.wire.doors.door import Admitted
from kiln.wire.nonces import MemoryNonces
from tests.tools import needs
from tests.wire.raw import target_of
from torment.campaign import Place, Verdict
from torment.sections import clocks, files, forged, hosts, http, pages, spelling, steps
from torment.simulated.life import Life, Stock
from torment.simulated.moves import Moves


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Where a section makes a few tries, always the same."""
    needs("qemu-img", "qemu-io")
    return Place(tmp_path, random.Random(1), tries=12)


def verdicts(outcomes) -> set[Verdict]:
    return {outcome.verdict for outcome in outcomes}


def that_nobody_minds(made, *_):
    """Another ``user_version``, which Kiln does not use."""
    return made.newer[:63] + b"\x07" + made.newer[64:]


@pytest.mark.slow
def test_pages_notice_a_volume_that_is_gone(place, monkeypatch):
    def drop_all(cloud):
        for volume in (cloud.folder / "pool").glob("v-*.qcow2"):
            volume.unlink()

    monkeypatch.setattr(pages, "_look_after", drop_all)
    monkeypatch.setattr(pages, "_damage", that_nobody_minds)

    assert Verdict.LOST in verdicts(pages.run(place))


@pytest.mark.slow
def test_pages_notice_a_start_that_ends_in_a_traceback(place, monkeypatch):
    def fail(cloud):
        raise KeyError("column")

    monkeypatch.setattr(pages, "_look_after", fail)
    monkeypatch.setattr(pages, "_damage", that_nobody_minds)

    assert Verdict.FAILED in verdicts(pages.run(place))


def test_files_notice_bytes_that_read_as_something_else(place, monkeypatch):
    contents = iter(range(1000))
    monkeypatch.setattr(files, "_content", lambda *_: b"%d" % next(contents))
    monkeypatch.setattr(files, "_damage", lambda whole, _: (whole, "nothing"))

    assert verdicts(files.run(place)) == {Verdict.LOST}


def test_files_notice_a_fault_that_is_told_as_ours(place, monkeypatch):
    def fail(*_):
        raise OSError("no such tool")

    monkeypatch.setattr(Qcow2Pool, "inspect", fail)

    assert verdicts(files.run(place)) == {Verdict.FAILED}


def test_files_notice_places_that_share_their_bytes(place, monkeypatch):
    monkeypatch.setattr(files, "_shared", lambda *_: "512")
    monkeypatch.setattr(files, "_damage", lambda whole, _: (whole, "nothing"))

    assert verdicts(files.run(place)) == {Verdict.ACCEPTED}


def test_clocks_notice_a_request_that_is_accepted_again(place, monkeypatch):
    monkeypatch.setattr(MemoryNonces, "use", lambda *_, **__: True)
    monkeypatch.setattr(clocks, "_TRIES", dict.fromkeys(clocks._TRIES, clocks._replay))

    assert Verdict.ACCEPTED in verdicts(clocks.run(place))


def test_clocks_notice_what_is_not_done_any_more(place, monkeypatch):
    monkeypatch.setattr("tests.clouds.Cloud.settle", lambda _: None)
    monkeypatch.setattr(clocks, "_TRIES", dict.fromkeys(clocks._TRIES, clocks._image))

    assert verdicts(clocks.run(place)) & {Verdict.LOST, Verdict.FAILED}


def test_steps_notice_an_end_that_is_another(place, monkeypatch):
    def differs(*_):
        raise AssertionError("it is Creating")

    monkeypatch.setattr(steps.Trial, "expect_well", differs)

    assert verdicts(steps.run(place)) == {Verdict.LOST}


@pytest.mark.slow
def test_hosts_notice_a_hand_that_comes_too_late(place, monkeypatch):
    """A host that stood still gives its draft the name of what another has made meanwhile, and a guest has written."""

    def take_the_name(draft, path):
        path.unlink(missing_ok=True)
        path.hardlink_to(draft)
        return True

    monkeypatch.setattr("kiln.pools.folder._link", take_the_name)
    # Captures alone, by hosts that stand still again and again, while guests write: of lives as they are few show it.
    monkeypatch.setattr(Life, "asks", ("image", "image", "snapshot", "start"))
    monkeypatch.setattr(Life, "fares_ill", ("is held",))
    monkeypatch.setattr("torment.simulated.life._WRITES", 1 / 6)

    lives = hosts.run(replace(place, tries=200))

    assert any(life.verdict is Verdict.LOST for life in lives)


@pytest.mark.slow
def test_hosts_notice_a_machine_that_was_given_up_and_runs_on(place, monkeypatch):
    monkeypatch.setattr("torment.simulated.hosts.end_given_up", lambda _: None)

    lives = hosts.run(replace(place, tries=60))

    assert any(life.verdict is Verdict.LOST for life in lives)


@pytest.mark.slow
def test_hosts_notice_a_machine_that_a_guest_has_left_and_nobody_ends(place, monkeypatch):
    monkeypatch.setattr("torment.simulated.life.end_left", lambda _: [])

    lives = hosts.run(replace(place, tries=60))

    assert any(life.verdict is Verdict.LOST and life.subject.startswith("Moves") for life in lives)


@pytest.mark.slow
def test_hosts_notice_a_task_without_end(place, monkeypatch):
    monkeypatch.setattr("torment.simulated.hosts.Host.work", lambda _: False)

    assert verdicts(hosts.run(replace(place, tries=2))) == {Verdict.LOST}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Life, Moves])
def test_a_life_is_the_same_again(place, kind):
    stock = Stock.lay_out(place.folder, kind.holds)
    lives = []
    for folder in ("one", "two"):
        life = kind(stock, place.folder.with_name(folder), random.Random(3))
        life.run()
        life.close()
        lives.append((life.told, life.time.now))

    assert lives[0] == lives[1]
    assert lives[0][0]


@pytest.mark.slow
def test_http_notices_a_client_that_is_not_answered(place, monkeypatch):
    monkeypatch.setattr(http, "_lives", lambda _: False)

    assert Verdict.FAILED in verdicts(http.run(place))


class Gullible:
    """A door that lets everything in."""

    def admit(self, request, *_):
        return Admitted(
            account_id="1", key=ActionKey(ECS, ""), params={"": target_of(request)}, format="JSON", access_key_id=""
        )


def test_forged_notices_a_door_that_lets_everything_in(place, monkeypatch):
    monkeypatch.setattr(forged, "choose", lambda _: Gullible())

    assert verdicts(forged.run(place)) == {Verdict.ACCEPTED}


def test_forged_notices_a_door_that_falls(place, monkeypatch):
    monkeypatch.setattr(forged, "choose", lambda _: None)

    assert verdicts(forged.run(place)) == {Verdict.FAILED}


def test_spelling_notices_what_is_dropped(place, monkeypatch):
    read = itertools.cycle(["all of it", "nothing", "nothing"])
    monkeypatch.setattr(spelling, "decode", lambda *_: next(read))

    assert Verdict.ACCEPTED in verdicts(spelling.run(place))
