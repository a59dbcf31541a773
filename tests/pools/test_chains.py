"""What QEMU's tools read of a pool when a machine that was broken wrote other headers into its files."""

from __future__ import annotations

import os

import pytest

from kiln.ground.units import MiB
from kiln.pools import chains, overlay
from kiln.pools.errors import PoolError, VolumeBroken
from kiln.pools.port import Succession
from kiln.pools.qcow2 import Qcow2Pool
from tests.pools.images import qemu_img
from tests.pools.patterns import put
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
    pool.lineage = {"v-head": {"v-head": None, "v-base": None}}.get
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
    names = ("v-head", "v-layer", "v-base")
    pool.lineage = {name: dict.fromkeys(names[n:]) for n, name in enumerate(names)}.get

    pool.absorb("v-head", None)

    assert pool.parent("v-head") == "v-base"
    assert [node["node-name"] for node in pool.blockdevs("v-head")] == ["v-base", "v-head"]


READS = {
    "send out": lambda pool: pool.send_out("v-layer", pool.files("v-layer")[0].with_name("sent"), "raw", *NOTHING),
    "clone": lambda pool: pool.clone("v-layer", "v-another", 1 * MiB),
    "absorb": lambda pool: pool.absorb("v-head", None),
    "start": lambda pool: pool.blockdevs("v-head"),
    "grant": lambda pool: pool.grant("v-head", None),
    "freeze": lambda pool: pool.freeze([Succession("v-head", "v-heir")], None),
}
NOTHING = (lambda _: None, lambda: False)


@pytest.mark.parametrize("deed", READS)
@pytest.mark.parametrize("cut", ["v-base", "v-layer"])
def test_read_nothing_of_a_file_that_was_cut(pool, deed, cut):
    """QEMU reads what is gone as zeros: an export of such an image was Finished, and lacked most of its bytes."""
    pool.create("v-base", 1 * MiB)
    put(pool, "v-base", {1: 1})
    pool.clone("v-base", "v-layer", 1 * MiB)
    put(pool, "v-layer", {2: 2})
    pool.clone("v-layer", "v-head", 1 * MiB)
    layers = {name: pool.length(name) for name in ("v-layer", "v-base")}
    pool.lineage = {"v-head": {"v-head": None} | layers, "v-layer": layers}.get
    pool.blockdevs("v-head")
    file = pool.files(cut)[-1]
    os.truncate(file, layers[cut] - 4096)

    with pytest.raises(VolumeBroken, match=f"file of {cut} has {layers[cut] - 4096} bytes, and was made with"):
        READS[deed](pool)

    assert set(pool.volumes()) == {"v-base", "v-layer", "v-head"}


def test_take_a_layer_that_is_being_merged_for_whole(pool):
    """The books forget how long it was before it is replaced; who had asked them before asks again."""
    pool.create("v-base", 1 * MiB)
    pool.clone("v-base", "v-head", 1 * MiB)
    told = [{"v-head": None, "v-base": None}, {"v-head": None, "v-base": 1}, {"v-base": None}]
    pool.lineage = lambda _: told.pop()

    assert len(pool.blockdevs("v-head")) == 2
    assert told == []


def test_take_a_layer_that_is_merged_away_this_moment_for_none(pool):
    pool.create("v-head", 1 * MiB)
    told = [{"v-head": None}, {"v-head": None, "v-base": 1}]
    pool.lineage = lambda _: told.pop()

    pool.freeze([Succession("v-head", "v-heir")], None)

    assert told == []
