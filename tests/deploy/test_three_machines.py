"""The pages about several machines are followed: three of them in folders, over a real PostgreSQL and a real Ceph.

systemd is played for each machine (tests/docs/systemd.py), and a package that is installed by a program on the path.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, examples
from tests.postgresql import OwnServer, binary, server_made
from tests.tools import needs

DEPLOY = ROOT / "deploy"
UNITS = (DEPLOY / "kiln.service", DEPLOY / "kiln@.service")
INSTALL = "docs/howto/install-on-three-machines.md"
UPGRADE = "docs/howto/upgrade-a-cluster.md"
RESTORE = "docs/howto/restore-a-cluster.md"
MACHINES = ("one", "two", "three")
_FOLDERS = ("/etc/kiln", "/etc/systemd/system", "/var/lib", "/var/cache", "/var/backups")
_DATABASE = "CREATE DATABASE kiln OWNER kiln ENCODING 'UTF8' TEMPLATE template0"
#: As a client that is told where it asks, by a machine's own door.
ASK = 'eval "$(KILN_DATA=/var/lib/kiln-api kiln env)"\n'
_RULES = """local   all  postgres               trust
hostssl kiln kiln     127.0.0.1/32  trust
"""


def told(unit: Path) -> list[str]:
    """What a unit says, without comments."""
    return [line for line in unit.read_text().splitlines() if line and not line.startswith("#")]


def test_a_role_is_served_as_one_kiln_is_but_for_what_is_its_own():
    alone, of_role = map(told, UNITS)

    assert [line for line in of_role if line not in alone] == [
        "Description=Kiln, machine images over the ECS API (%i)",
        "After=network-online.target remote-fs.target",
        "ExecStart=/opt/kiln/bin/kiln serve --role %i",
        "Environment=KILN_DATA=/var/lib/kiln-%i KILN_CACHE=/var/cache/kiln KILN_HOST=%H",
        "EnvironmentFile=/etc/kiln/cluster.env",
        "EnvironmentFile=-/etc/kiln/%i.env",
        "StateDirectory=kiln-%i",
    ]
    assert {line.partition("=")[0] for line in alone if line not in of_role} == {
        "Description",
        "After",
        "ExecStart",
        "Environment",
        "EnvironmentFile",
        "StateDirectory",
    }


@pytest.mark.parametrize("role", ["api", "worker", "all"])
def test_the_unit_of_a_role_is_one_to_systemd(tmp_path, role):
    needs("systemd-analyze")
    (tmp_path / "kiln").touch(mode=0o755)
    unit = tmp_path / f"kiln@{role}.service"
    unit.write_text(UNITS[1].read_text().replace("/opt/kiln/bin/kiln", str(tmp_path / "kiln")))

    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def section(page: str, heading: str = "") -> list[str]:
    """The blocks of commands of a page that are below a heading, or all of them."""
    text = (ROOT / page).read_text()
    if heading:
        text = re.split(r"^## ", text.partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    found = [example.text for example in examples("sh") if example.page == page and example.text in text]
    assert found
    return found


def without_ceph(commands: str) -> str:
    """The commands of who has no Ceph, and leaves out three lines of the settings before anything is started."""
    before, first, after = commands.partition("systemctl")
    return f"{before}sed -i '/^KILN_POOL=\\|^KILN_CEPH_/d' /etc/kiln/cluster.env\n{first}{after}"


class Machines:
    """Three machines, each with its own folders; what they share is beside these."""

    def __init__(self, folder: Path, server: OwnServer, known: dict[str, str]) -> None:
        self.folder, self.server, self._known = folder, server, known
        program = folder / "kiln"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m kiln.cli.main "$@"\n')
        program.chmod(0o755)
        (folder / "srv/kiln").mkdir(parents=True)
        for machine in MACHINES:
            for name in ("etc/kiln", "etc/systemd/system", "var/lib", "var/cache", "var/backups"):
                (folder / machine / name).mkdir(parents=True)
            (folder / machine / "etc/systemd/system/kiln@.service").write_text(self.here(machine, UNITS[1].read_text()))
            shutil.copytree(DEPLOY / "cluster", folder / machine / "examples")
            for file in (folder / machine / "examples").iterdir():
                file.write_text(self.here(machine, file.read_text()))

    def here(self, machine: str, text: str) -> str:
        """The text with the folders of a machine, and with addresses of the test."""
        for name in _FOLDERS:
            text = re.sub(rf"(?<![\w/.]){name}\b", f"{self.folder}/{machine}{name}", text)
        text = re.sub(r"(?<![\w/.])/(srv|etc/ceph)\b", rf"{self.folder}/\1", text)
        text = text.replace("/usr/share/doc/kiln/examples/cluster", f"{self.folder}/{machine}/examples")
        text = text.replace("/opt/kiln/bin/kiln", f"{self.folder}/kiln").replace(
            "db.example", f"localhost:{self.server.port}"
        )
        return re.sub(r"10\.0\.0\.\d:\d+", "127.0.0.1:0", text)

    def run(self, machine: str, commands: str) -> str:
        """Run commands on a machine until one fails; what they printed."""
        systemd = f"{sys.executable} -P -m tests.docs.systemd {self.folder}/{machine}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KILN_", "PG"))}
        known = {"PYTHONPATH": f"{ROOT}/src:{ROOT}", "KILN_MACHINES": "none", **self._known}
        done = subprocess.run(
            ["bash", "-c", f'set -eu\nsystemctl() {{ {systemd} "$@"; }}\n{self.here(machine, commands)}'],
            cwd=self.folder,
            env=kept | known | {"PATH": f"{self.folder}:{kept['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr + self.said(machine)
        return done.stdout

    def said(self, machine: str) -> str:
        """What the services of a machine have said."""
        journal = self.folder / machine / "journal"
        return journal.read_text() if journal.is_file() else ""

    def stop(self) -> None:
        for machine in MACHINES:
            self.run(machine, "systemctl stop kiln@api kiln@worker")


@contextmanager
def machines(folder: Path, **known: str):
    """Three machines with nothing installed, and a database that they may have."""
    needs("qemu-img", "openssl", "install", "curl")
    binary("psql")
    with ExitStack() as held:
        server = held.enter_context(server_made(listens=True, superuser="postgres"))
        authority = server.certify()
        (server.data / "pg_hba.conf").write_text(_RULES)
        server.start()
        server.say("CREATE ROLE kiln LOGIN", _DATABASE)
        made = Machines(folder, server, known)
        for machine in MACHINES:
            shutil.copy(authority, folder / machine / "etc/kiln/database-ca.pem")
            (folder / machine / "etc/kiln/database-password").write_text("not asked for\n")
        held.callback(made.stop)
        yield made


@pytest.mark.ceph
@pytest.mark.postgresql
@pytest.mark.slow
def test_three_machines_are_installed_over_a_ceph_and_upgraded_one_after_the_other(ceph, tmp_path):
    (tmp_path / "etc/ceph").mkdir(parents=True)
    file = tmp_path / "etc/ceph/ceph.conf"
    keyrings = f"keyring = {tmp_path}/etc/ceph/ceph.client.kiln.keyring,{ceph.configuration.parent}/keyring"
    file.write_text(re.sub(r"^keyring = .*$", keyrings, ceph.configuration.read_text(), flags=re.MULTILINE))
    with machines(tmp_path, CEPH_CONF=str(ceph.configuration)) as made:
        made.run("one", "\n".join(section(INSTALL, "Once")))
        for machine in MACHINES:
            made.run(machine, "\n".join(section(INSTALL, "On every machine")))
        seen = made.run("two", "\n".join(section(INSTALL, "Look")))
        assert "none contradicts another" in seen
        assert "kiln.identity" in ceph.run("rados", "ls", "--pool", "kiln")

        # The third empties a host that is switched off, of which tests/cli/words/test_hosts.py has one with instances.
        tables, each, _ = section(UPGRADE)
        assert "nothing is to be done" in made.run("one", tables)
        for machine in MACHINES:
            made.run(machine, each)
        assert made.said("three").count("listening on ") == 4


@pytest.mark.postgresql
@pytest.mark.slow
def test_a_cluster_on_a_shared_folder_is_backed_up_and_put_back(tmp_path):
    keep, stop, aside, anew, put_back, start = section(RESTORE)
    settings = keep.partition("kiln backup")[0]
    with machines(tmp_path) as made:
        for machine in MACHINES[:2]:
            made.run(machine, without_ceph("\n".join(section(INSTALL, "On every machine"))))
        disk = made.run("one", settings + ASK + "kiln disk create --size 20 --wait\n").split()[-1]
        kept = made.run("one", keep)
        assert "all is well" in kept or "whole" in kept, kept
        later = made.run("one", settings + ASK + "kiln disk create --size 20 --wait\n").split()[-1]

        for machine in MACHINES[:2]:
            made.run(machine, stop)
        made.run("two", aside)
        made.server.say(*re.findall('-c "(.*?)"', anew))
        made.run("one", settings + put_back)
        for machine in MACHINES[:2]:
            made.run(machine, start)

        told = made.run("two", settings + ASK + "kiln disk list\n")
        assert (disk in told, later in told) == (True, False)
        assert sorted(path.name for path in (tmp_path / "srv/kiln/replaced/pool").glob("*.qcow2")) != []
