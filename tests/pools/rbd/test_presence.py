"""Who works with a pool on Ceph is seen by who wants it alone, and who was killed keeps nobody waiting."""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager
from dataclasses import asdict

import pytest

from kiln.ground.whereabouts import own
from kiln.pools.errors import VolumeBusy
from kiln.pools.rbd.presence import NOTES, present
from tests.pools.kills import killed_at, points_of
from tests.waiting import wait_for

pytestmark = pytest.mark.ceph


@pytest.fixture
def address(pool):
    return pool._cluster.address


@contextmanager
def another(address, here):
    """A process that works with the pool until it is killed."""
    child = os.fork()
    if not child:
        try:
            with present(address):
                here.touch()
                signal.pause()
        finally:
            os._exit(1)
    try:
        wait_for(here.exists)
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def be_alone(address, patience_s=0.0):
    with present(address) as presence:
        presence.require_alone(patience_s)


def test_refuses_to_be_alone_where_another_is_and_names_it(address, tmp_path):
    with another(address, tmp_path / "here") as it, pytest.raises(VolumeBusy, match=f"process {it} on host"):
        be_alone(address, patience_s=60.0)  # It is known to live, and not waited for.

    be_alone(address)


def test_a_process_is_not_in_its_own_way(address):
    with present(address):
        be_alone(address)


def test_who_was_killed_is_waited_for_by_nobody_on_its_host(address):
    points = points_of(lambda: be_alone(address))
    assert points == ["rbd.presence.made", "rbd.presence.said", "rbd.presence.entered"]
    for number in range(1, len(points)):
        assert killed_at(number - 1, lambda: be_alone(address)), points[number]

        be_alone(address)


def test_who_is_on_another_host_is_believed_to_live_while_ceph_does(pool, address):
    elsewhere = {**asdict(own()), "host": "elsewhere", "boot": "another"}
    with present(address):
        say(pool, elsewhere)
        with pytest.raises(VolumeBusy, match="on host elsewhere"):
            be_alone(address, patience_s=1.0)

    be_alone(address)
    assert said(pool) == {}, "who comes next forgets who has gone"


def test_who_says_what_cannot_be_understood_is_believed_to_live(pool, address):
    with present(address):
        say(pool, {"host": 1})
        with pytest.raises(VolumeBusy, match="a client at"):
            be_alone(address)


def test_is_nothing_that_a_pool_has(pool, address):
    with present(address):
        assert pool.strangers() == []
        assert pool.leftovers() == pool.sweep() == []
    assert pool.leftovers() == pool.sweep() == []


def said(pool):
    """What those who are there have said."""
    with pool._cluster.telling() as ioctx, pool._cluster.rados.ReadOpCtx() as op:
        some, _ = ioctx.get_omap_vals(op, "", "", 100)
        ioctx.operate_read_op(op, NOTES)
        return {client: json.loads(raw) for client, raw in some}


def say(pool, words):
    """Have the one who is there have said something else."""
    (client,) = said(pool)
    with pool._cluster.telling() as ioctx, pool._cluster.rados.WriteOpCtx() as op:
        ioctx.set_omap(op, (client,), (json.dumps(words).encode(),))
        ioctx.operate_write_op(op, NOTES)
