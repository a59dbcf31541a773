"""One pool on Ceph is one Kiln's, whichever data folder or database it is come to with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from kiln.cli.exits import FILE, SETTINGS
from kiln.pools.rbd.records import RECORDS
from tests import warm
from tests.ceph import POOL
from tests.cluster.deployments import deployment, says
from tests.postgresql import binary, make_database
from tests.tools import needs
from tests.waiting import wait_for

pytestmark = pytest.mark.ceph

HELD = "another Kiln works with the pool rbd:"


@pytest.fixture
def pool(ceph, request):
    needs("qemu-img")
    return {"pool": f"rbd:{POOL}/{request.node.name}", "ceph_conf": ceph.configuration}


def kiln(*words, **settings):
    told = {f"KILN_{name.upper()}": str(value) for name, value in settings.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    return warm.kiln(*words, env=kept | told, timeout=300)


def serve(data, **settings):
    return kiln("serve", "--data", data, "--listen", "127.0.0.1:0", "--machines", "none", **settings)


def is_recorded(ceph, pool):
    """Whether the pool's records are those of a database that has begun: from then on a copy of it is no older."""
    namespace = pool["pool"].rpartition("/")[2]
    try:
        return "account/" in ceph.run("rados", "-p", POOL, "-N", namespace, "listomapkeys", RECORDS)
    except subprocess.CalledProcessError:  # There are none yet.
        return False


def test_a_copy_of_the_data_folder_is_kept_from_the_pool_that_a_living_one_serves(tmp_path, pool, ceph):
    with warm.start_kiln(tmp_path / "one", **pool) as served:
        wait_for(lambda: is_recorded(ceph, pool))
        shutil.copytree(served.data, tmp_path / "copy")
        where = ("--data", tmp_path / "copy")
        told = [serve(tmp_path / "copy", **pool), kiln("fsck", *where, **pool)]
        told.append(kiln("account", "reset-keys", *where, **pool))
        assert [(one.returncode, HELD in one.stderr) for one in told] == [(SETTINGS.number, True)] * 3
        served.kill9()
        served.start()
    late = serve(tmp_path / "copy", **pool)

    assert (late.returncode, "older than the pool" in late.stderr) == (FILE.number, True), late.stderr


@pytest.mark.postgresql
def test_another_database_is_kept_from_the_pool_and_so_is_a_copy(
    tmp_path, pool, ceph, postgresql_server, postgresql_address
):
    """Of the copy of a database that is served only who is there tells: both say of themselves what is so."""
    with deployment(tmp_path, postgresql_address, **pool) as deployed, make_database(postgresql_server) as copy:
        first = deployed.start("first", "all")
        deployed.start("second", "all")
        settings = {**pool, "shared": deployed.shared, "host": "third"}
        other = serve(tmp_path / "other", database=postgresql_server, **settings)
        wait_for(lambda: is_recorded(ceph, pool))
        dumped = subprocess.run([binary("pg_dump"), postgresql_address], check=True, capture_output=True).stdout
        subprocess.run([binary("psql"), "-q", copy], check=True, input=dumped, stdout=subprocess.DEVNULL)
        copied = serve(tmp_path / "copied", database=copy, **settings)
        first.kill9()
        assert says(deployed.start("first", "all"), "listening on")

    assert (other.returncode, "the pool is that of" in other.stderr) == (FILE.number, True), other.stderr
    assert (copied.returncode, HELD in copied.stderr) == (SETTINGS.number, True), copied.stderr


def told_otherwise(ceph, file, name, value):
    """Ceph's configuration with one of its lines said otherwise, in a *file*."""
    said, count = re.subn(rf"^{name} = .*$", f"{name} = {value}", ceph.configuration.read_text(), flags=re.MULTILINE)
    assert count == 1
    file.write_text(said)
    return file


def test_a_ceph_that_cannot_be_read_is_told_as_what_it_is(tmp_path, pool, ceph):
    """Not as the pool of a newer Kiln; each by what it lacks, and where that is said."""
    (tmp_path / "wrong").write_text(f"[client.admin]\n\tkey = {'AQ' + 'A' * 36}==\n")
    no = tmp_path / "no"
    lacking = {
        f"{tmp_path}/none cannot be read: No such file": {"ceph_conf": tmp_path / "none"},
        "names no monitors (mon_host)": {"ceph_conf": told_otherwise(ceph, tmp_path / "a", "mon_host", "")},
        "do not take the key of client.other, or there is none": {"ceph_user": "other"},
        "do not take the key": {"ceph_conf": told_otherwise(ceph, tmp_path / "b", "keyring", tmp_path / "wrong")},
        f"is not there ({no})": {"ceph_conf": told_otherwise(ceph, tmp_path / "c", "keyring", no)},
        "cannot be understood": {"ceph_conf": told_otherwise(ceph, tmp_path / "d", "keyring", tmp_path / "d")},
        "none of the monitors answers (127.0.0.1:1)": {
            "ceph_conf": told_otherwise(ceph, tmp_path / "e", "mon_host", "127.0.0.1:1")
        },
        "that Ceph has no pool nothing": {"pool": "rbd:nothing"},
    }
    for words, settings in lacking.items():
        ended = serve(tmp_path / "data", **pool | settings)
        assert (ended.returncode, words in ended.stderr) == (FILE.number, True), (words, ended.stderr)
        assert ("newer" in ended.stderr, "KILN_CEPH_CONF" in ended.stderr) == (False, True), ended.stderr
