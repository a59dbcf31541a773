"""What is begun by the process that has loaded the program is a process like any other."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from tests import warm

_SHOW = "import json, os; print(json.dumps([dict(os.environ), os.getcwd(), os.listdir('/proc/self/fd')]))"


def test_has_the_environment_the_folder_and_the_files_that_it_is_given(tmp_path):
    data = tmp_path / "data"
    with warm.start_kiln(data):
        done = warm.kiln("run", "--data", data, "--", sys.executable, "-c", _SHOW, env={"ONE": "1"}, cwd=tmp_path)

    environment, folder, files = json.loads(done.stdout)
    assert environment["ONE"] == "1"
    assert "PATH" not in environment
    assert folder == str(tmp_path)
    assert sorted(files) == ["0", "1", "2", "3"], "the last is the folder that is listed"


def test_what_it_says_goes_where_it_is_to_go():
    told, refused = warm.kiln("--version"), warm.kiln("levitate")

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("kiln ")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "levitate" in refused.stderr


def test_each_draws_numbers_of_its_own(tmp_path):
    """What was drawn once for all that are begun would be the same in two Kilns."""
    for name in ("one", "other"):
        with warm.start_kiln(tmp_path / name):
            pass
    accounts = {warm.kiln("account", "list", "--data", tmp_path / name).stdout for name in ("one", "other")}

    assert len(accounts) == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_ends_as_it_is_told_and_is_gone(tmp_path, number):
    with warm.start_kiln(tmp_path / "data") as served:
        served.process.send_signal(number)
        assert served.process.wait(300) == (-number if number == signal.SIGKILL else 0)

        assert not Path(f"/proc/{served.process.pid}").exists()
        served.process.send_signal(number)  # There is nobody left to be told.
