"""What QEMU's tools read of a pool when a machine that was broken wrote other headers into its files."""

from __future__ import annotations

import pytest

from kiln.ground.units import MiB
from kiln.pools import chains, overlay
from kiln.pools.errors import PoolError, VolumeBroken
from kiln.pools.qcow2 import Qcow2Pool
from tests.pools.images import qemu_img
from tests.tools import needs

needs("qemu-img")

SECRET = b"of the host's own" * 512


@pytest.fixture
def pool(tmp_path):
    return Qcow2Pool(tmp_path / "pool")


@pytest.fixture(params=["data file", "backing file", "format"])
def lured(request, tmp_path, pool):
    """A layer whose header, rewritten, leads to a file of the host; and that file."""
    target = tmp_path / "pool" / "v-lured.qcow2" if request.param == "format" else tmp_path / "secret"
    pool.create("v-base", 1 * MiB)
    path = tmp_path / "pool" / "v-lured.qcow2"
    if request.param == "data file":
        qemu_img("create", "-q", "-f", "qcow2", "-o", f"data_file={target},data_file_raw=on", path, "64k")
    elif request.param == "backing file":
        target.write_bytes(SECRET)
        qemu_img("create", "-q", "-f", "qcow2", "-b", target, "-F", "raw", path, "64k")
    else:
        target = tmp_path / "pool" / "v-base.qcow2"
        qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", target.name, "-F", "raw", path, "64k")
    if request.param != "format":
        target.write_bytes(SECRET)
    return target


@pytest.mark.parametrize("deed", ["send out", "clone", "absorb", "resize"])
def test_neither_read_nor_write_what_a_header_leads_to(tmp_path, pool, lured, deed):
    before = lured.read_bytes()

    with pytest.raises(PoolError):
        {
            "send out": lambda: pool.send_out("v-lured", tmp_path / "sent", "raw", lambda _: None, lambda: False),
            "clone": lambda: pool.clone("v-lured", "v-child", 1 * MiB),
            "absorb": lambda: pool.absorb("v-lured", None) or pool.resize("v-lured", 2 * MiB),
            "resize": lambda: pool.resize("v-lured", 2 * MiB),
        }[deed]()

    assert lured.read_bytes() == before
    assert not (tmp_path / "sent").exists()


def test_keep_nothing_that_was_written_while_it_was_read(tmp_path, pool):
    pool.create("v-base", 1 * MiB)
    path = tmp_path / "pool" / "v-base.qcow2"

    with pytest.raises(VolumeBroken, match="written while"), chains.held(path):
        path.write_bytes(path.read_bytes())


@pytest.mark.parametrize("name", ["nbd:host:1:exportname=x.qcow2", "json:{}.qcow2"])
def test_take_no_address_for_a_name(tmp_path, pool, name):
    pool.create("v-base", 1 * MiB)
    path = tmp_path / "pool" / "v-lured.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", name, "-F", "qcow2", path, "1M")

    with pytest.raises(VolumeBroken):
        pool.blockdevs("v-lured")


@pytest.mark.parametrize("deed", ["send out", "absorb", "start", "grant", "parent"])
def test_take_no_other_tenant_s_volume_for_a_parent(tmp_path, pool, deed):
    pool.create("v-other", 1 * MiB)
    pool.create("v-base", 1 * MiB)
    pool.clone("v-base", "v-head", 1 * MiB)
    pool.lineage = {"v-head": ["v-base"], "v-base": [], "v-other": []}.get
    head = tmp_path / "pool" / "v-head.qcow2"
    head.write_bytes(b"")
    overlay.write(head, 1 * MiB, "v-other.qcow2")

    with pytest.raises(VolumeBroken, match="v-head stands on v-other"):
        {
            "send out": lambda: pool.send_out("v-head", tmp_path / "sent", "raw", lambda _: None, lambda: False),
            "absorb": lambda: pool.absorb("v-head", None),
            "start": lambda: pool.blockdevs("v-head"),
            "grant": lambda: pool.grant("v-head", None),
            "parent": lambda: pool.parent("v-head"),
        }[deed]()

    assert not (tmp_path / "sent").exists()
    assert any("v-other" in finding for finding in pool.verify("v-head"))


def test_take_for_a_parent_what_stands_further_below(pool):
    """A merge writes the header before the database."""
    pool.create("v-base", 1 * MiB)
    pool.clone("v-base", "v-layer", 1 * MiB)
    pool.clone("v-layer", "v-head", 1 * MiB)
    pool.lineage = {"v-head": ["v-layer", "v-base"], "v-layer": ["v-base"], "v-base": []}.get

    pool.absorb("v-head", None)

    assert pool.parent("v-head") == "v-base"
    assert [node["node-name"] for node in pool.blockdevs("v-head")] == ["v-base", "v-head"]
