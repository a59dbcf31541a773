"""Has this host's networks follow their rows: what changed is carried the moment it is durable.

What an answer waits for is carried by then already (``wire.dispatch``). Here is
seen to the rest: what tasks and upkeep change, an instance that stops, what
could not be carried, and a keeper that has ended.
"""

from __future__ import annotations

import threading

from kiln.calls.call import Ports
from kiln.calls.plane import VPC, Plane
from kiln.ground.journal import Journal
from kiln.store.changes import News
from kiln.store.database import Database

_LOOK_S = 60.0  #: How often all is looked at, whether there was news or not.

log = Journal("kiln.upkeep")


class Following:
    """A thread that has the plane carry what the store tells of. Begins with all that there is."""

    def __init__(self, database: Database, plane: Plane) -> None:
        self._plane = plane
        self._news = database.hub.listen((VPC, "instance"))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="networks")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End after what is being done."""
        self._stopping.set()
        self._news.close()
        self._thread.join()

    def _follow(self) -> None:
        news = News(has_missed=True)
        while not self._stopping.is_set():
            try:
                self._carry(news)
            except Exception:
                log.exception("networks_not_looked_at")
            news = self._news.take(_LOOK_S)

    def _carry(self, news: News) -> None:
        if news.has_missed or not news.changes:
            if self._plane.tunnels is not None:
                self._plane.tunnels.say()
            self._plane.carry_all()
            return
        instances = {one.id for one in news.changes if one.noun != VPC}
        for vpc in {one.id for one in news.changes if one.noun == VPC} | self._plane.vpcs_of(instances):
            self._plane.soon(vpc)


def mend_networks(ports: Ports) -> None:
    """Carry again what was not carried, and what a keeper that has ended does not carry any more."""
    if ports.plane is not None:
        ports.plane.again()
