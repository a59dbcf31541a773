"""What removes images ends with who asks it to."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from kiln.ground.whereabouts import own
from kiln.pools.rbd.cluster import Cluster
from kiln.pools.rbd.entrances import Address
from kiln.pools.rbd.images import PRESENCE, Images
from tests.ceph import POOL

pytestmark = pytest.mark.ceph

PATIENCE_S = 300


@pytest.fixture
def address(ceph, tmp_path):
    return Address(pool=POOL, namespace=f"of-{tmp_path.name}"[:40], configuration=ceph.configuration)


@pytest.fixture
def images(address):
    cluster = Cluster(address)
    made = Images(cluster, set)
    for name in ("one", "two"):
        made.create(name, 1 << 20)
    yield made
    made.close()
    cluster.close()


def test_ends_when_nobody_asks_any_more_though_ceph_does_not_answer(ceph, images, address):
    said = {"pool": address.pool, "namespace": address.namespace, "configuration": str(address.configuration)}
    told = [json.dumps(said | {"user": address.user}), json.dumps(asdict(own()))]
    command = [sys.executable, "-P", "-m", "kiln.pools.rbd.removal_child", *told]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write('"one"\n')
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"is_removed": True}
        ceph.run("ceph", "osd", "set", "pause")
        try:
            process.stdin.write('"two"\n')
            process.stdin.close()
            status = process.wait(PATIENCE_S)
        finally:
            process.kill()
            ceph.run("ceph", "osd", "unset", "pause")

    assert status == 0
    assert images.names() == [PRESENCE, "two"]
