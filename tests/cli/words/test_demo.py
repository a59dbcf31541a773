from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from kiln.machines.qemu import QemuMachines
from tests.guests import open_reachable
from tests.tools import needs


@pytest.mark.slow
def test_makes_its_guest_of_what_is_in_the_cache_that_the_setting_names(tmp_path):
    """Here packages without a kernel, so that nothing is fetched and no machine is started."""
    (tmp_path / "cache" / "guest" / "root").mkdir(parents=True)

    result = CliRunner(env={"KILN_CACHE": str(tmp_path / "cache")}).invoke(app, ["demo"])

    assert result.exit_code == exits.UNSOUND.number
    assert "its packages hold no boot/vmlinuz" in result.stderr


def heed_interrupts():
    """A shell has what it runs in the background ignore them, and so would whatever that runs."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.vm
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, exits.INTERRUPTED.number),
        (signal.SIGTERM, exits.TERMINATED.number),
        (signal.SIGHUP, exits.HUNG_UP.number),
    ],
)
def test_leaves_no_machine_and_no_network_behind_when_it_is_ended(number, code):
    needs("qemu-system-x86_64", "qemu-img", "mke2fs", "dpkg-deb", "apt-get")
    with open_reachable() as folder:
        machines = QemuMachines(folder / "data" / "run")
        command = [sys.executable, "-P", "-u", "-m", "kiln.cli.main", "demo", "--keep", str(folder / "data")]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=heed_interrupts,  # noqa: PLW1509 - it takes no lock.
        ) as demo:
            was_ended = False
            for line in demo.stdout:
                # On a busy host one may be off again before its line is read; others follow.
                if "is started" in line and not was_ended and list(machines.running()):
                    demo.send_signal(number)
                    was_ended = True
            assert was_ended
            assert demo.wait(300) == code

        assert list(machines.running()) == []
        assert [path for path in (folder / "data" / "networks").glob("*") if path.is_dir()] == []


def test_says_which_setting_cannot_be():
    result = CliRunner(env={"KILN_ACCEL": "xen"}).invoke(app, ["demo"])

    assert result.exit_code == exits.SETTINGS.number
    assert "accel must be one of" in result.stderr
