"""Who works with a pool on Ceph: each process has one image of it open for as long as it lives, and says where it runs.

Ceph tells everybody who has an image open, on whatever host, but takes half a
minute to notice that one of them was killed. Whoever shares a process's host
knows that at once, by what the process has said of itself.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.ground.whereabouts import Whereabouts, own
from kiln.pools.errors import PoolError, VolumeBusy
from kiln.pools.rbd.cluster import Cluster
from kiln.pools.rbd.entrances import Address
from kiln.pools.rbd.images import PRESENCE

NOTES = "kiln.present"  #: The object whose keys are clients, and its values what these have said of themselves.
PATIENCE_S = 35.0  #: Longer than Ceph takes to know that a client is gone.
_LOOK_S = 0.2
_SAY_AFTER_S = 2.0
_AT_ONCE = 4096
_SIZE_BYTES = 4096  #: Of the image, in which nobody writes.

log = Journal("kiln.pools")


@dataclass(frozen=True)
class _Other:
    """A client that is there, and not known to have ended."""

    words: str
    is_known: bool  #: Whether it is known to live, and so need not be waited for.


class Presence:
    """This process among those that work with the pool; use ``present``."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def require_alone(self, patience_s: float) -> None:
        """Return when nobody else works with the pool. One of whom only Ceph knows may be dead, and is waited for.

        Raises VolumeBusy, which names another, where one lives, or is there still after *patience_s*. Of two that ask
        at the same time no more than one is let pass: each was there before it looked.
        """
        begun = time.monotonic()
        is_said = False
        while others := self._others():
            waited_s = time.monotonic() - begun
            living = [one for one in others if one.is_known]
            if living or waited_s > patience_s:
                raise VolumeBusy((living or others)[0].words)
            if waited_s > _SAY_AFTER_S and not is_said:
                log.info("pool_waited_for", pool=str(self._cluster.address), other=others[0].words, most_s=patience_s)
                is_said = True
            time.sleep(_LOOK_S)

    def clients(self) -> set[int]:
        """Ceph's numbers of all that are there."""
        return {int(client) for client in self._there()}

    def say(self, who: Whereabouts) -> None:
        """Say for which process this one works, before Ceph tells everybody that it is there."""
        key, said = str(self._cluster.client), json.dumps(asdict(who)).encode()
        with self._cluster.telling() as ioctx, self._cluster.rados.WriteOpCtx() as op:
            ioctx.set_omap(op, (key,), (said,))
            ioctx.operate_write_op(op, NOTES)
        reach("rbd.presence.said")

    def leave(self) -> None:
        """Take back what was said; where that cannot be, who comes next does."""
        with contextlib.suppress(PoolError):
            self._forget((str(self._cluster.client),))

    def _others(self) -> list[_Other]:
        # In this order: who is there has said where before.
        there, said = self._there(), self._said()
        gone = {client: one for client, one in said.items() if client not in there}
        # One that lives here may be about to open the image.
        self._forget(tuple(client for client, one in gone.items() if one is None or not one.lives()))
        judged = [_judged(address, said.get(client)) for client, address in sorted(there.items())]
        return [one for one in judged if one is not None]

    def _there(self) -> dict[str, str]:
        """The addresses of the clients that have the image open."""
        try:
            with self._cluster.image(PRESENCE, is_looked_at=True) as opened:
                return {str(one["id"]): str(one["addr"]) for one in opened.watchers_list()}
        except self._cluster.rbd.ImageNotFound:
            return {}

    def _said(self) -> dict[str, Whereabouts | None]:
        """What clients have said of themselves; None of what cannot be understood."""
        rados = self._cluster.rados
        with self._cluster.telling() as ioctx, rados.ReadOpCtx() as op:
            some, _ = ioctx.get_omap_vals(op, "", "", _AT_ONCE)
            try:
                ioctx.operate_read_op(op, NOTES)
            except rados.ObjectNotFound:
                return {}
            return {client: _parsed(raw) for client, raw in some}

    def _forget(self, clients: tuple[str, ...]) -> None:
        if not clients:
            return
        with self._cluster.telling() as ioctx, self._cluster.rados.WriteOpCtx() as op:
            ioctx.remove_omap_keys(op, clients)
            ioctx.operate_write_op(op, NOTES)


@contextmanager
def present(address: Address) -> Iterator[Presence]:
    """As ``entered``, by a connection of its own."""
    cluster = Cluster(address)
    try:
        with entered(cluster) as presence:
            yield presence
    finally:
        cluster.close()


@contextmanager
def entered(cluster: Cluster, who: Whereabouts | None = None) -> Iterator[Presence]:
    """Be known to work with the pool, for the process *who*, or for this one.

    Raises PoolFull, PoolClosed, ToolFailed.
    """
    _make_image(cluster)
    presence = Presence(cluster)
    presence.say(who or own())
    try:
        # Who only looks at an image is seen by nobody.
        with cluster.image(PRESENCE):
            reach("rbd.presence.entered")
            yield presence
    finally:
        presence.leave()


def _make_image(cluster: Cluster) -> None:
    with contextlib.suppress(cluster.rbd.ImageNotFound), cluster.image(PRESENCE, is_looked_at=True):
        return
    with cluster.telling() as ioctx, contextlib.suppress(cluster.rbd.ImageExists):
        cluster.images.create(ioctx, PRESENCE, _SIZE_BYTES, old_format=False, features=1)
    reach("rbd.presence.made")


def _judged(address: str, said: Whereabouts | None) -> _Other | None:
    """None of this process, which has several connections, and of one that has ended."""
    lives = None if said is None else said.lives()
    if lives is False or said == own():
        return None
    words = f"a client at {address}" if said is None else f"process {said.pid} on host {said.host}"
    return _Other(words, is_known=bool(lives))


def _parsed(raw: bytes) -> Whereabouts | None:
    try:
        said = json.loads(raw)
        return Whereabouts(
            host=str(said["host"]),
            boot=str(said["boot"]),
            space=str(said["space"]),
            pid=int(said["pid"]),
            began=str(said["began"]),
        )
    except (ValueError, KeyError, TypeError):
        return None
