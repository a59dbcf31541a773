"""A connection to Ceph that is given back while somebody uses it, or was made before a fork."""

from __future__ import annotations

import pytest

from kiln.pools.rbd.cluster import Cluster
from kiln.pools.rbd.entrances import Address
from kiln.pools.rbd.images import Images
from kiln.pools.rbd.shots import aiming
from tests.ceph import POOL
from tests.pools.kills import in_child

pytestmark = pytest.mark.ceph

SIZE = 1 << 20


@pytest.fixture
def cluster(ceph, tmp_path):
    """A connection to a namespace of its own, in which there is one image."""
    made = Cluster(Address(pool=POOL, namespace=f"of-{tmp_path.name}"[:40], configuration=ceph.configuration))
    Images(made, set).create("one", SIZE)
    yield made
    made.close()


def size_of(cluster):
    return Images(cluster, set).size("one")


def test_stands_until_the_image_is_closed_that_was_opened_by_it(cluster):
    client = cluster.client
    with cluster.image("one") as opened:
        cluster.close()
        assert size_of(cluster) == SIZE  # By another connection.

        opened.resize(2 * SIZE)

    assert size_of(cluster) == 2 * SIZE
    assert cluster.client != client


def test_stands_until_the_use_ends_that_has_only_just_begun(cluster):
    with cluster.telling() as ioctx:
        cluster.close()

        with cluster.rbd.Image(ioctx, "one", read_only=True) as opened:
            assert opened.size() == SIZE


def test_stands_until_snapshots_of_all_are_taken(cluster):
    with aiming(cluster, {"one": "then"}) as shots:
        cluster.close()

        shots.take()

        assert shots.sizes() == {"one": SIZE}


def test_one_that_is_inherited_is_neither_used_nor_ended(cluster):
    client = cluster.client

    def use_it():
        assert cluster.client != client
        assert size_of(cluster) == SIZE
        cluster.close()

    assert in_child(use_it) == 0
    assert in_child(cluster.close) == 0
    assert (cluster.client, size_of(cluster)) == (client, SIZE)
