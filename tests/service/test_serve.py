"""What serving sets up before it answers."""

from __future__ import annotations

import subprocess
import sys

from kiln.service.assemble import assemble
from kiln.service.claim import hold_data_folder
from kiln.service.parts import Auditing, chores_of_all
from kiln.service.settings import read_settings
from kiln.upkeep.recorder import Recorder
from kiln.upkeep.unhurried import Unhurried

# It is stopped as soon as it greets, and says then how long a thread may keep the others waiting.
_SERVE = """
import os, signal, sys
from pathlib import Path
from kiln.service.serve import serve
from kiln.service.settings import read_settings

os.environ.update(KILN_DATA=sys.argv[1], KILN_LISTEN="127.0.0.1:0", KILN_MACHINES="none")
serve(read_settings(os.environ), lambda line: os.kill(os.getpid(), signal.SIGTERM))
print(sys.getswitchinterval())
"""


def test_lets_no_thread_wait_for_another_as_long_as_python_does(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", _SERVE, tmp_path / "data"], capture_output=True, text=True, check=True, timeout=300
    )

    assert float(ended.stdout.split()[-1]) <= 0.001


def test_a_clock_that_is_set_forward_ends_no_upload(tmp_path):
    with (
        hold_data_folder(tmp_path / "data"),
        assemble(read_settings({}, data=tmp_path / "data", machines="none")) as it,
    ):
        chores = {
            one.name: one.do for one in chores_of_all(it, Recorder(it.database, it.pool.records, ""), Auditing.of(it))
        }

    assert isinstance(chores["sweep_uploads"], Unhurried)
