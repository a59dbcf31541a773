"""The doctor: what a host lacks is found before the first machine needs it."""

from __future__ import annotations

import errno
import grp
import json
import os
import re
import socket
import subprocess
import sys
import uuid

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from kiln.ground.units import GiB
from kiln.networks.trying import why_not_joined
from kiln.pools.qcow2 import Qcow2Pool
from kiln.service.doctor import examine, glance, kvm_advice, lines
from kiln.service.findings import Finding, looked_at
from kiln.service.own_address import own_address
from kiln.service.reached import reached
from kiln.service.settings import read_settings
from tests.guests import open_reachable
from tests.tools import lacks
from tests.warm import start_kiln


@pytest.fixture
def settings(tmp_path):
    def make(**more):
        return read_settings({}, **{"data": tmp_path / "data", "listen": "127.0.0.1:0", "accel": "tcg", **more})

    return make


def of(findings, subject):
    (found,) = [one for one in findings if one.subject == subject]
    return found


def test_says_of_each_thing_whether_it_is_well_and_of_what_is_not_what_to_do(settings, tmp_path):
    found = examine(settings(machines="none"))

    assert {"qemu-img", "setpriv", "machines", "address", "room", "clock", "open files"} <= {
        one.subject for one in found
    }
    assert all(one.advice for one in found if one.state != "ok")
    assert not (tmp_path / "data").exists()


def test_names_the_package_of_a_tool_that_is_missing(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    found = of(glance(settings()), "qemu-img")

    assert found.state == "cannot"
    assert "qemu-utils" in found.advice
    assert found.subject in next(iter(lines([found])))


def test_is_folded_between_words_below_where_the_text_begins(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = [one for one in glance(settings()) if one.subject in {"qemu-img", "setpriv"}]

    folded, whole = list(lines(found, 60)), list(lines(found))

    assert max(map(len, folded)) <= 60
    assert " ".join(folded).split() == " ".join(whole).split()
    assert all(line[:18] == " " * 18 for line in folded if line.split()[0] != "cannot")


def test_finds_that_the_port_is_taken(settings):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"

        found = of(examine(settings(machines="none", listen=taken)), "address")

    assert found.state == "cannot"
    assert taken in found.text


def test_knows_a_kiln_that_serves_the_folder(tmp_path):
    with start_kiln(tmp_path / "data") as kiln:
        found = of(examine(read_settings({}, data=tmp_path / "data", listen=kiln.host, machines="none")), "address")

    assert found.state == "ok"


def test_looks_the_other_way_where_all_is_well(settings):
    assert all(one.state != "ok" for one in glance(settings(machines="none")))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs machines as users of their own")
def test_says_that_machines_cannot_come_to_their_disks_through_a_closed_folder(settings):
    with open_reachable() as folder:
        closed = folder / "closed"
        closed.mkdir(mode=0o700)

        found = of(glance(settings(data=closed / "kiln")), "confinement")

        assert found.state == "cannot"
        assert f"cannot pass through {closed} " in found.text
        assert "--data /var/lib/kiln" in found.advice
        assert of(examine(settings(data=folder / "kiln")), "confinement").state == "ok"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_says_what_is_less_confined_to_who_is_not_root(tmp_path):
    tmp_path.chmod(0o755)
    code = (
        "import os, sys, json\n"
        "from pathlib import Path\n"
        "from kiln.service.doctor import glance\n"
        "from kiln.service.settings import read_settings\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "found = glance(read_settings({}, data=Path(sys.argv[1]), accel='tcg'))\n"
        "print(json.dumps({one.subject: [one.state, one.text] for one in found}))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data")], capture_output=True, text=True, check=True
    )

    found = json.loads(done.stdout)
    assert found["confinement"][0] == "warns"
    assert "breaks out" in found["confinement"][1]
    assert found["data folder"][0] == "cannot"


def test_ends_with_a_code_that_says_whether_it_can_serve(tmp_path, monkeypatch):
    words = ["doctor", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--machines", "none"]
    well = CliRunner().invoke(app, words)
    monkeypatch.setenv("PATH", str(tmp_path))
    ill = CliRunner().invoke(app, [*words, "--json"])

    assert well.exit_code == exits.DONE.number, well.output
    assert well.stdout.startswith("ok ")
    assert ill.exit_code == exits.UNSOUND.number
    assert {"subject", "state", "text", "advice"} == set(json.loads(ill.stdout)[0])


@pytest.mark.slow
def test_serve_says_at_its_start_what_it_cannot_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with start_kiln(tmp_path / "data") as kiln:
        said = kiln.log.read_text()

    assert "cannot  qemu-img" in said
    assert "apt-get install qemu-utils" in said


def test_advises_nobody_to_join_the_group_of_root_and_none_that_may_not_use_kvm(tmp_path):
    device = tmp_path / "kvm"
    device.touch()

    device.chmod(0o600)
    closed = kvm_advice(device, 1000)
    device.chmod(0o660)
    open_to_group = kvm_advice(device, 1000)

    assert f"chgrp kvm {device}; chmod 660 {device}" in closed
    assert "As root" in closed
    if os.getgid() == 0:
        assert open_to_group == closed
        os.chown(device, 0, 1)
        open_to_group = kvm_advice(device, 1000)
    number = device.stat().st_gid
    # A container's user may be of a group that has no name there.
    names = [str(number), *(group.gr_name for group in grp.getgrall() if group.gr_gid == number)]
    assert open_to_group in [
        f"Join the group that may use it: usermod --append --groups {name} USER, and log in anew." for name in names
    ]
    assert "modprobe" in kvm_advice(tmp_path / "none", 1000)


def test_says_that_the_key_of_encrypted_volumes_is_gone(settings, tmp_path):
    """It was a line in the log of the last start, and then nowhere."""
    service = settings(machines="none")
    pool = Qcow2Pool(service.folder.pool)
    pool.keys = lambda key, nonce, volume: key + nonce.hex() + volume
    pool.create("d-1", GiB, key="a-key")
    missed = of(examine(service), "key of volumes")

    (tmp_path / "data" / "volumes.key").write_bytes(bytes(32))

    assert (missed.state, "volumes.key" in missed.advice) == ("warns", True)
    assert "key of volumes" not in [one.subject for one in examine(service)]


def test_says_where_instances_come_to_beyond_their_vpc(settings):
    if of(examine(settings()), "networks").state != "ok":
        lacks("networks of instances")

    assert "with a public address has a way out (public)" in of(examine(settings()), "way out").text
    wide = settings(way_out="10.0.0.0/8", way_out_for="all")
    assert "Every instance has a way out (10.0.0.0/8)" in of(examine(wide), "way out").text
    assert "reach nothing beyond" in of(examine(settings(way_out="off")), "way out").text


def test_says_whether_vpcs_reach_other_hosts_where_there_may_be_some(settings):
    if why_not_joined("127.0.0.1:4798", 1450):
        lacks("networks of several hosts")
    shared = {"database": "postgresql://kiln@127.0.0.1/kiln"}

    assert of(examine(settings(**shared)), "other hosts").state == "ok"
    assert "of this host alone" in of(examine(settings(**shared, tunnel_address="off")), "other hosts").text
    assert "other hosts" not in [one.subject for one in examine(settings())]


def test_says_that_a_database_cannot_be_reached_and_at_which_address_others_reach_this_one(settings):
    it = settings(machines="none", database="postgresql://kiln@127.0.0.1:1/kiln", listen="127.0.0.1:0")

    found = list(reached(it))

    assert of(found, "database").state == "cannot"
    assert "postgresql://127.0.0.1:1/kiln cannot be worked with: " in of(found, "database").text
    assert "KILN_DATABASE_PASSWORD_FILE" in of(found, "database").advice
    assert (of(found, "peers").state, "KILN_PEER_LISTEN" in of(found, "peers").advice) == ("warns", True)
    apart = settings(machines="none", database=it.database, peer_listen="192.0.2.1:8790")
    assert of(reached(apart), "peers").state == "ok"


def test_names_the_hosts_own_address_to_others_where_it_listens_on_all(settings):
    there = {"machines": "none", "database": "postgresql://kiln@127.0.0.1:1/kiln"}

    for everywhere, family in (("0.0.0.0", socket.AF_INET), ("[::]", socket.AF_INET6)):
        told = of(reached(settings(**there, listen=f"{everywhere}:0")), "peers").text
        assert told.startswith(f"Other processes ask this one at {own_address(family)}")


@pytest.mark.parametrize("host", [f"{'a' * 70}.example", "[no:address]"])
def test_says_that_no_host_can_be_called_as_others_are_to_reach_it(settings, host):
    it = settings(machines="none", database="postgresql://kiln@127.0.0.1:1/kiln", listen=f"{host}:0")

    found = of(reached(it), "peers")

    assert (found.state, "none can be called so" in found.text) == ("cannot", True)


@pytest.mark.postgresql
def test_looks_at_the_server_of_a_database(settings, postgresql_address):
    before = {one.subject: one for one in reached(settings(machines="none", database=postgresql_address))}
    assert "PostgreSQL" in before["database"].text
    assert [before[what].state for what in ("database", "its clock", "its tables")] == ["ok"] * 3
    assert "has no tables yet" in before["its tables"].text


@pytest.mark.postgresql
def test_says_that_the_tables_of_a_database_cannot_be_read(settings, postgresql_tables, postgresql_opened):
    user = f"reader_{uuid.uuid4().hex[:8]}"
    with postgresql_opened.engine.connect() as connection:
        connection.execute(text(f"CREATE ROLE {user} LOGIN"))
        connection.commit()
        try:
            address = re.sub(r"^postgresql://[^@/]*@?", f"postgresql://{user}@", postgresql_tables)
            found = {one.subject: one for one in reached(settings(machines="none", database=address))}
        finally:
            connection.execute(text(f"DROP ROLE {user}"))
            connection.commit()

    assert found["database"].state == "cannot"
    assert "cannot be worked with: permission denied for table alembic_version" in found["database"].text
    assert "peers" in found


def test_what_a_tool_says_that_is_no_text_is_told_all_the_same(settings, monkeypatch, tmp_path):
    tool = tmp_path / "qemu-img"
    tool.write_bytes(b"#!/bin/sh\nprintf 'version \\377\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    assert of(examine(settings(machines="none")), "qemu-img").text.startswith("version")


def test_what_breaks_while_it_is_looked_at_keeps_nothing_else_from_being_looked_at():
    def breaks():
        yield Finding("disk", "ok", "It turns.")
        raise OSError(errno.ESTALE, "Stale file handle", "/mnt/pool")

    before, broken = looked_at("disk", breaks)

    assert before.state == "ok"
    assert (broken.subject, broken.state) == ("disk", "cannot")
    assert "Stale file handle" in broken.text
    assert broken.advice


@pytest.mark.parametrize("what", ["folder", "noise", "none"])
def test_says_what_a_ceph_cannot_be_told_by(settings, tmp_path, what):
    (tmp_path / "folder").mkdir()
    (tmp_path / "noise").write_bytes(bytes(range(256)))
    it = settings(machines="none", pool="rbd:kiln", ceph_conf=str(tmp_path / what))

    assert of(reached(it), "Ceph").state == "cannot"


def test_says_what_a_ceph_lacks_and_where_that_is_said(settings, tmp_path):
    found = of(reached(settings(machines="none", pool="rbd:kiln", ceph_conf=str(tmp_path / "none"))), "Ceph")

    assert (found.state, "KILN_CEPH_CONF" in found.advice) == ("cannot", True)
