"""The operator's page is followed: its commands run one after the other, on folders of the test.

systemd is played, by what the unit says: its command, environment and signals. All else is what the page calls. The
system's folders are those of the test, and the wheel finds what it depends on beside it instead of fetching it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, examples
from tests.ports import reserved_port
from tests.tools import needs
from tests.wheels import make_wheel

PAGE = "docs/howto/operate.md"
UNIT = ROOT / "deploy/kiln.service"
EXAMPLE = ROOT / "deploy/debian/as-a-user.conf"
BLOCKS = [example.text for example in examples("sh") if example.page == PAGE]
_NOBODY = 65534
_FOLDERS = ("/opt/kiln", "/etc/kiln", "/etc/systemd/system", "/var/lib/kiln", "/var/cache/kiln", "/var/backups", "/srv")
#: What would change the system's users, or asks the system's journal; that it is called is all that is looked at.
_PLAYED = ("useradd", "usermod", "chown", "chgrp", "journalctl")


def test_the_unit_is_one_to_systemd(tmp_path):
    needs("systemd-analyze")
    (tmp_path / "kiln").touch(mode=0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/kiln/bin/kiln", str(tmp_path / "kiln")))

    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_leaves_machines_alone_and_waits_for_the_first_answer():
    told = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))

    assert (told["Type"], told["KillMode"], told["OOMPolicy"]) == ("notify", "process", "continue")
    assert not {"PrivateTmp", "ProtectSystem", "ProtectHome", "RuntimeDirectory", "DynamicUser"} & set(told)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to a group, as root")
def test_a_kiln_that_is_a_user_reads_what_its_settings_name_and_not_the_settings():
    """By what the package's example says, with a user and a group that each system has in place of Kiln's own."""
    said = re.findall(r"^#   (chgrp .*)$", EXAMPLE.read_text(), re.MULTILINE)
    assert len(said) == 2
    with tempfile.TemporaryDirectory() as folder:
        place, etc = Path(folder), Path(folder) / "etc" / "kiln"
        etc.mkdir(parents=True, mode=0o700)
        for above in (place, etc.parent):
            above.chmod(0o711)
        for name in ("kiln.env", "database-password"):
            (etc / name).touch(mode=0o600)

        def reads(name: str) -> bool:
            done = subprocess.run(["cat", etc / name], user=_NOBODY, group=_NOBODY, extra_groups=[], check=False)
            return done.returncode == 0

        assert not reads("database-password")
        commands = "\n".join(said).replace("chgrp kiln", f"chgrp {_NOBODY}").replace("/etc/kiln", str(etc))
        subprocess.run(["sh", "-ec", commands], check=True)
        assert reads("database-password")
        assert not reads("kiln.env")


@pytest.mark.slow
def test_each_command_works(tmp_path):
    needs("qemu-img", "curl", "install")
    with reserved_port() as port:
        host = Host(tmp_path, port)
        try:
            ended = host.run("\n".join(BLOCKS))
            assert ended.returncode == 0, ended.stdout + ended.stderr + host.said()
        finally:
            host.run("systemctl stop kiln")

    assert "export KILN_ACCESS_KEY_ID=" in ended.stdout
    assert '"status": "ok"' in ended.stdout
    called = (tmp_path / "called").read_text()
    assert [name for name in _PLAYED if f"{name} " not in called] == []
    # Moved, and then removed but for what is the operator's.
    assert (tmp_path / "srv/kiln/kiln.sqlite").is_file()
    assert not (tmp_path / "opt/kiln").exists()
    assert (tmp_path / "var/lib/kiln/kiln.sqlite").is_file()
    # One start to begin with, and one after each stop but the last.
    assert host.said().count("listening on ") == called.count("systemctl start") + called.count("systemctl enable")


class Host:
    """Folders in place of the system's, and a systemd that knows one unit."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.work = folder / "work"
        for name in ("work/deploy", "opt", "etc/systemd/system", "var/lib", "var/cache", "var/backups", "srv"):
            (folder / name).mkdir(parents=True)
        (self.work / "deploy" / UNIT.name).write_text(self.here(UNIT.read_text()))
        make_wheel(self.work)

    def here(self, text: str) -> str:
        """The text with the test's folders and port for the system's."""
        for name in _FOLDERS:
            text = re.sub(rf"(?<![\w/.]){name}\b", f"{self.folder}{name}", text)
        return text.replace("127.0.0.1:8787", f"127.0.0.1:{self.port}")

    def run(self, commands: str) -> subprocess.CompletedProcess[str]:
        """Run shell commands in the folder that has the wheel, until one fails."""
        played = "".join(f'{name}() {{ echo "{name} $*" >>{self.folder}/called; }}\n' for name in _PLAYED)
        systemd = f"{sys.executable} -P -m tests.docs.systemd {self.folder}"
        played += f'systemctl() {{ echo "systemctl $*" >>{self.folder}/called; {systemd} "$@"; }}\n'
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
        known = {
            # What Kiln depends on is taken from here: pip would fetch it, and another test has it do that.
            "PIP_NO_DEPS": "1",
            "PIP_NO_INDEX": "1",
            "PYTHONPATH": f"{sysconfig.get_path('purelib')}:{ROOT}",
            "KILN_MACHINES": "none",
        }
        return subprocess.run(
            ["bash", "-c", f"set -eu\n{played}{self.here(commands)}"],
            cwd=self.work,
            env=kept | known,
            capture_output=True,
            text=True,
            check=False,
        )

    def said(self) -> str:
        """What the service has said."""
        journal = self.folder / "journal"
        return journal.read_text() if journal.is_file() else ""
