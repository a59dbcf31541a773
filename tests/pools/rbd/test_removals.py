"""Images are removed by a process that may end, and what ended is begun again."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from kiln.pools.errors import PoolClosed, PoolOutOfReach, ToolFailed
from kiln.pools.rbd.cluster import Cluster
from kiln.pools.rbd.entrances import Address
from kiln.pools.rbd.images import PRESENCE, Images
from kiln.pools.rbd.presence import Presence, present
from kiln.pools.rbd.removals import Removals
from tests.ceph import POOL
from tests.pools.kills import in_child
from tests.waiting import wait_for

SIZE = 1 << 20


@pytest.fixture
def address(ceph, tmp_path):
    return Address(pool=POOL, namespace=f"of-{tmp_path.name}"[:40], configuration=ceph.configuration)


@pytest.fixture
def images(address):
    """Those of a namespace of its own: two, which are blank."""
    cluster = Cluster(address)
    made = Images(cluster, set)
    for name in ("one", "two"):
        made.create(name, SIZE)
    yield made
    made.close()
    cluster.close()


@pytest.fixture
def removals(address):
    made = Removals(address)
    yield made
    made.close()


def removers(address):
    """The processes of this one that remove images there: other tests' pools may have kept some of their own."""
    everyone = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal()]
    return sorted(one for one in everyone if is_ours(one) and removes(one, address))


def is_ours(process):
    """Whether it is a child of this process."""
    return told_of(process, "stat").rpartition(")")[2].split()[1:2] == [str(os.getpid())]


def removes(process, address):
    """Whether it removes images there still: one that has ended has no words any more."""
    words = told_of(process, "cmdline").split("\0")
    return "kiln.pools.rbd.removal_child" in words and json.loads(words[-3])["namespace"] == address.namespace


def told_of(process, what):
    try:
        return Path(f"/proc/{process}/{what}").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.mark.ceph
def test_an_image_goes_though_the_process_ends_that_was_asked_to_remove_it(images, removals, address):
    assert removals.remove("one")
    (first,) = removers(address)
    os.kill(first, signal.SIGSTOP)
    outcome = []
    asked = threading.Thread(target=lambda: outcome.append(removals.remove("two")))
    asked.start()
    os.kill(first, signal.SIGKILL)
    asked.join()

    assert outcome == [True]
    assert images.names() == [PRESENCE]
    (second,) = removers(address)
    assert second != first


@pytest.mark.ceph
def test_the_next_image_goes_though_the_process_ended_in_between(images, removals, address):
    removals.remove("one")
    (first,) = removers(address)
    os.kill(first, signal.SIGKILL)

    assert removals.remove("two")

    assert images.names() == [PRESENCE]


@pytest.mark.ceph
def test_who_is_forked_has_a_process_of_its_own_for_it(images, removals, address):
    removals.remove("one")
    before = removers(address)

    assert in_child(lambda: removals.remove("two") or os._exit(2)) == 0

    assert images.names() == [PRESENCE]
    assert removals.remove("two")  # That it is gone.
    assert removers(address) == before


@pytest.mark.ceph
def test_what_removes_is_known_as_a_kiln_and_never_as_a_machine(images, removals, address):
    """It opens what an image stands on, too: a guest's disk, of which only the guest's machine is to be found."""
    cluster = Cluster(address)
    removals.remove("one")

    assert len(Presence(cluster).clients()) == 1
    with present(address) as presence:
        presence.require_alone(0.0)  # It works for this process.

    removals.close()
    wait_for(lambda: not Presence(cluster).clients(), within_s=300)
    cluster.close()


@pytest.mark.ceph
def test_one_that_ceph_refuses_is_asked_no_more(images, removals, address):
    removals.remove("one")
    cluster = Cluster(address)
    with cluster.image(PRESENCE, is_looked_at=True) as opened:
        (it,) = opened.watchers_list()
    cluster.cut_off(it["addr"], 3600)
    wait_for(lambda: not Presence(cluster).clients(), within_s=300)

    with pytest.raises(PoolClosed):
        removals.remove("two")

    assert removals.remove("two")
    assert images.names() == [PRESENCE]
    cluster.close()


@pytest.mark.ceph
def test_nothing_is_left_of_it_when_it_is_closed(images, removals, address):
    removals.remove("one")
    assert len(removers(address)) == 1

    removals.close()

    assert removers(address) == []
    assert removals.remove("two")


@pytest.mark.ceph
def test_it_ends_with_the_process_that_asked(images, address, tmp_path):
    def ask():
        asked = Removals(address)
        asked.remove("one")
        (first,) = removers(address)
        (tmp_path / "pid").write_text(str(first))
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(ask) == signal.SIGKILL

    it = int((tmp_path / "pid").read_text())
    wait_for(lambda: not removes(it, address))


@pytest.mark.ceph
def test_tells_why_there_is_no_way_to_the_pool(tmp_path):
    removals = Removals(Address(pool=POOL, configuration=tmp_path / "none"))

    with pytest.raises(PoolOutOfReach, match="cannot be read"):
        removals.remove("one")

    removals.close()


def test_gives_up_where_no_process_lives_that_could_do_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))  # Where no Python begins.
    address = Address(pool=POOL, namespace="nowhere")
    removals = Removals(address)

    with pytest.raises(ToolFailed, match="what was to remove one ended with 1") as raised:
        removals.remove("one")

    assert raised.value.status == 1
    assert removers(address) == []
