"""One process that does what many tests ask, each in a child."""

from __future__ import annotations

import sys

from tests.forks import open_forks

_PROGRAM = """
import os, signal
from tests.forks import fork_for_each_line

def act(word):
    print("1 said by the way", flush=True)
    if word == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    assert word == "well", "it is ill"

fork_for_each_line(act)
"""


def test_tells_what_was_said_of_what_went_wrong_and_goes_on(tmp_path):
    with open_forks(tmp_path / "words", sys.executable, "-c", _PROGRAM) as do:
        said = [do("well"), do("ill"), do("dies"), do("well")]

    assert (said[0], said[3]) == ("", "")
    assert "it is ill" in said[1]
    assert said[2].startswith("ended with '-9\\n'")
    assert "it is ill" not in said[2]
