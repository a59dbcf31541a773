"""The driver notices what it looks for, and looks once at what is the same."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading

import pytest

from kiln.pools.qcow2 import Qcow2Pool
from kiln.store.snapshots import snapshots
from tests.kill import checks
from tests.kill import driver as driving
from tests.kill.driver import Driver
from tests.kill.kilns import open_kiln
from tests.kill.scenarios import SCENARIOS, SYSTEM, Scenario, arrange_snapshot, create_image_of_snapshot
from tests.kill.states import Shelf, is_alone
from tests.pools.patterns import put
from tests.reading import the
from tests.tools import needs

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def tools():
    needs("qemu-img", "qemu-io")


def drive(name, folder):
    return Driver(SCENARIOS[name], folder).run()


def test_notices_what_lies_there_at_a_few_of_the_points_alone(quick_folder, monkeypatch):
    """A start that does not sweep leaves what was half made, which only some of the kills leave behind."""
    monkeypatch.setattr(Qcow2Pool, "sweep", lambda _: [])

    outcome = drive("create_snapshots", quick_folder)

    assert "drafts: " in "".join(outcome["wrong"])
    assert len(outcome["wrong"]) < outcome["looks"]


def test_notices_what_was_answered_before_it_was_written(quick_folder):
    def answers_too_early(script, facts):
        if "image" not in script.answers:
            script.note("image", {"ImageId": "m-none"})
        script.cloud.call("CreateImage", SnapshotId=facts["snapshot"], ClientToken="image")

    def check(cloud, facts, answers):
        assert "image" not in answers or len(list(cloud.call("DescribeImages")["Images"]["Image"])) == 1

    outcome = Driver(Scenario(arrange_snapshot, answers_too_early, check), quick_folder).run()

    assert outcome["wrong"]


def test_notices_what_only_the_second_start_finds(quick_folder, monkeypatch):
    """What is wrong after the start that was killed, and not after the one before it."""
    look = Driver._look

    def notices(self, data):
        if data.name.startswith("twice"):
            raise AssertionError("seen")
        look(self, data)

    monkeypatch.setattr(Driver, "_look", notices)

    outcome = drive("create_image", quick_folder)

    seen = [words for words in outcome["wrong"] if ", and starting again at " in words]
    assert seen == outcome["wrong"] != []


def test_notices_that_an_end_changes_what_is_there(quick_folder, monkeypatch):
    """A state that was taken would not be what a kill leaves."""
    take = Shelf.take

    def takes_what_is_not_there(self, folder):
        (folder / "late").write_text(str(os.getpid()))
        return take(self, folder)

    monkeypatch.setattr(Shelf, "take", takes_what_is_not_there)

    outcome = drive("create_image_of_snapshot", quick_folder)

    assert "its end changed what is in the folder" in "".join(outcome["wrong"])


def test_looks_once_at_what_several_points_leave(quick_folder):
    def waits(script, facts):
        for _ in range(40):
            driving.killpoints.reach("nothing.happens")
        create_image_of_snapshot(script, facts)

    outcome = Driver(Scenario(arrange_snapshot, waits, lambda *_: None), quick_folder).run()

    assert outcome["wrong"] == []
    assert outcome["kills"] == len(outcome["points"]) > 40
    assert outcome["looks"] <= 1 + len(outcome["points"]) - 40 + outcome["deaths"]


def test_reads_again_what_is_not_what_it_was(tmp_path):
    with open_kiln(tmp_path / "data") as cloud:
        snapshot = arrange_snapshot(cloud)["snapshot"]
        volume = the(cloud, snapshots, id=snapshot).volume
        for byte in (SYSTEM[0], SYSTEM[0] + 1, SYSTEM[0]):
            put(cloud.ports.pool, volume, {0: byte})
            expected = contextlib.nullcontext() if byte == SYSTEM[0] else pytest.raises(AssertionError, match=snapshot)

            with expected, checks.reading_together(cloud):
                checks.snapshot_holds(cloud, snapshot, SYSTEM)


def test_dies_where_something_else_would_go_on(quick_folder):
    def leaves_a_tool_behind(script, facts):
        create_image_of_snapshot(script, facts)
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as tool:
            driving.killpoints.reach("tool.works")
            tool.kill()

    outcome = Driver(Scenario(arrange_snapshot, leaves_a_tool_behind, lambda *_: None), quick_folder).run()

    assert outcome["wrong"] == []
    assert outcome["deaths"] >= 1


def test_is_not_alone_beside_a_thread_or_a_tool():
    done = threading.Event()
    status = os.fork()
    if status == 0:
        thread = threading.Thread(target=done.wait)
        before = is_alone()
        thread.start()
        beside_thread = is_alone()
        done.set()
        thread.join()
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as tool:
            beside_tool = is_alone()
            tool.kill()
        os._exit(0 if (before, beside_thread, beside_tool, is_alone()) == (True, False, False, True) else 1)

    assert os.waitpid(status, 0)[1] == 0


def test_lays_out_what_was_taken(tmp_path):
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "one").write_bytes(b"1")
    (folder / "two").hardlink_to(folder / "below" / "one")
    (folder / "link").symlink_to("below/one")
    (folder / "below").chmod(0o711)
    (folder / "below" / "one").chmod(0o400)
    shelf = Shelf(tmp_path / "shelf")
    state = shelf.take(folder)
    (folder / "two").unlink()

    shelf.lay_out(state, tmp_path / "again")

    assert shelf.take(tmp_path / "again") == state != shelf.take(folder)
    assert (tmp_path / "again" / "two").samefile(tmp_path / "again" / "below" / "one")


def test_is_another_state_for_one_byte_at_the_same_time(tmp_path):
    (tmp_path / "folder").mkdir()
    file = tmp_path / "folder" / "file"
    file.write_bytes(b"1")
    shelf = Shelf(tmp_path / "shelf")
    before = shelf.take(tmp_path / "folder")
    written_at = file.stat().st_mtime_ns
    file.write_bytes(b"2")
    os.utime(file, ns=(written_at, written_at))

    assert shelf.take(tmp_path / "folder") != before
