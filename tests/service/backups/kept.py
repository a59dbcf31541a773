"""What tests of backups do again and again: make one, put it back, and look at the bytes."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from kiln.declare.states import InstanceStatus
from kiln.service.backups.restoring import restore
from kiln.service.backups.taking import Wish, take
from kiln.store.disks import disks
from kiln.store.instances import instances
from kiln.upkeep.findings import is_well
from kiln.upkeep.fsck import fsck
from tests.pools.patterns import holds
from tests.service.pairs import Home, as_cloud


def silent(*_):
    pass


def back_up(home, to, **wish):
    return take(home.settings, to, Wish(**wish), silent, silent)


def put_back(path, data):
    home = Home(data)
    restore(home.settings, path, silent)
    with home.started() as it:
        found = fsck(it.ports, repair=True, say=silent)
        assert is_well(found), found
    return home


def hold_their_bytes(home):
    """Whether each head of an instance still reads as what ``fill`` put there."""
    with home.started() as it:
        with it.database.read() as tx:
            heads = [disk.volume for disk in disks.all(tx) if disk.instance]
        return sorted(n for head in heads for n in (1, 2, 3) if holds(it.pool, head, {0: n})) == [1, 2, 3]


@contextmanager
def served(home, turn=None):
    """The Kiln as a service has it: held, and carrying out what it is asked for, but while another has the *turn*."""
    over, turn = threading.Event(), turn or threading.Lock()
    with home.started() as it:
        cloud = as_cloud(it)

        def work():
            while not over.wait(0.02):
                with turn:
                    cloud.settle()

        worker = threading.Thread(target=work)
        worker.start()
        try:
            yield cloud
        finally:
            over.set()
            worker.join()


def run_all(cloud):
    """Have the rows say that every instance runs."""
    cloud.ports.database.write(lambda tx: instances.update(tx, {"status": InstanceStatus.RUNNING}))
