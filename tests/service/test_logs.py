"""The log as a person reads it on a terminal, and as a collector does."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys

import pytest

_SAYS = """
from kiln.ground.journal import Journal
from kiln.service import logs

logs.configure("info")
Journal("kiln.tasks").info("task_failed", reason="The machine could not be started: " + "no room is left here " * 9)
"""


@pytest.fixture
def environment():
    return {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"COLUMNS": "80"}


def _parts(terminal):
    """What the other end wrote before it was closed, which Linux tells by EIO."""
    with contextlib.suppress(OSError):
        while part := terminal.read(65536):
            yield part


def test_is_folded_between_words_on_a_terminal(environment):
    ours, its = pty.openpty()
    done = subprocess.run([sys.executable, "-P", "-c", _SAYS], stderr=its, env=environment, check=False)
    os.close(its)
    with os.fdopen(ours, "rb", 0) as terminal:
        shown = b"".join(_parts(terminal)).decode().splitlines()

    assert done.returncode == 0
    assert max(map(len, shown)) <= 80
    assert " ".join(" ".join(shown).split()).endswith("no room is left here")
    assert all(line.startswith("    ") for line in shown[1:]), "what goes on is told apart from the next event"


def test_is_one_object_a_line_where_no_terminal_is(environment):
    done = subprocess.run(
        [sys.executable, "-P", "-c", _SAYS], stderr=subprocess.PIPE, env=environment, text=True, check=True
    )

    (line,) = done.stderr.splitlines()
    assert json.loads(line)["event"] == "task_failed"


def test_is_as_the_setting_has_it_and_no_fact_makes_a_line_of_its_own(environment):
    says = """
import sys
from kiln.ground.journal import Journal
from kiln.service import logs

logs.configure("debug", sys.argv[1])
Journal("kiln.tasks").debug("task_begun", name="a\\n2026 error forged\\x1b[2J\\u202e")
"""
    lines = {}
    for form in ("text", "json"):
        command = [sys.executable, "-P", "-c", says, form]
        done = subprocess.run(command, stderr=subprocess.PIPE, env=environment, text=True, check=True)
        (lines[form],) = done.stderr.splitlines()

    assert lines["text"].endswith(r" DEBUG   task_begun name=a\n2026 error forged\x1b[2J\u202e")
    assert json.loads(lines["json"])["name"] == "a\n2026 error forged\x1b[2J\u202e"
