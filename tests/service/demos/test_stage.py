"""The end of a demo that stays, with a story in which nothing happens."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import urllib.request

import pytest

from tests.tools import needs
from tests.warm import kiln

STORY = """
import sys
from pathlib import Path
from kiln.service.demos.stage import perform
perform("Nothing", lambda it: None, lambda line: print(line, flush=True), Path(sys.argv[1]), keep=None, stays=True)
"""


def heed_interrupts():
    """A shell has what it runs in the background ignore them, and so would whatever that runs."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.slow
def test_one_that_stays_gives_a_link_and_is_gone_after_an_interrupt(tmp_path):
    needs("qemu-img", "qemu-system-x86_64")
    command = [sys.executable, "-P", "-c", STORY, str(tmp_path / "cache")]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TMPDIR": str(tmp_path)},
        preexec_fn=heed_interrupts,  # noqa: PLW1509 - it takes no lock.
    ) as demo:
        link = next(line.strip() for line in demo.stdout if "/console/enter?token=" in line)
        with urllib.request.urlopen(link, timeout=300) as page:
            assert b"Kiln" in page.read()
        assert list(tmp_path.glob("kiln-demo-*"))
        (more,) = re.findall(r"Another link, in another shell: kiln (console .*)\n", demo.stdout.readline())
        again = kiln(*shlex.split(more), "--no-open").stdout.strip()
        assert again.partition("token=")[0] == link.partition("token=")[0]
        with urllib.request.urlopen(again, timeout=300) as page:
            assert b"You are signed in" in page.read()
        demo.send_signal(signal.SIGINT)
        assert demo.wait(300) == 0
    assert list(tmp_path.glob("kiln-demo-*")) == []
