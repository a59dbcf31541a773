"""Room: what a host has left for guests. A start takes its part of it in the moment in which it is claimed.

The queue is the scheduler: a host claims what it has room for, and nobody hands
anything out. What runs or starts on a host is counted by the rows of instances,
and what it has claimed and not yet placed by the tasks, in the transaction of
the claim. One process claims for a host, one claim after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from sqlalchemy import and_, or_

from kiln.declare.states import TaskStatus
from kiln.store import workers
from kiln.store.database import Transaction
from kiln.store.hosts import NOTHING, Room, hosts
from kiln.store.instances import ON, count_by_type, instances
from kiln.store.tasks import Task, tasks

Sizes = Callable[[str], Room]  #: What an instance of a type takes.
NOWHERE: Mapping[str, str] = MappingProxyType({})  #: Of no task it is known where it goes.


def left_on(tx: Transaction, host: str, size_of: Sizes, owner: str = "", but: str = "") -> Room:
    """What the host has left; nothing where it is drained, lost or unknown.

    What *owner*, its process, has claimed and not yet placed counts, the task *but* left out.
    """
    row = hosts.find(tx, name=host)
    if row is None or row.state != "in use":
        return NOTHING
    cpus, memory_mib = row.cpus, row.memory_mib
    for kind, count in count_by_type(tx, instances.c.status.in_(ON), host=host).items():
        size = size_of(kind)
        cpus, memory_mib = cpus - count * size.cpus, memory_mib - count * size.memory_mib
    unplaced = tasks.all(
        tx, tasks.c.memory_mib > 0, tasks.c.id != but, status=TaskStatus.PROCESSING, host="", owner=owner
    )
    for task in unplaced if owner else ():
        cpus, memory_mib = cpus - task.cpus, memory_mib - task.memory_mib
    return Room(cpus=max(0, cpus), memory_mib=max(0, memory_mib))


def most_elsewhere(tx: Transaction, host: str, size_of: Sizes) -> Room:
    """What is left on that of the other hosts on which most is; nothing where nobody serves another one."""
    most = NOTHING
    for one in hosts.all(tx, hosts.c.name != host):
        serving = workers.serving(tx, one.name)
        left = NOTHING if serving is None else left_on(tx, one.name, size_of, serving.id)
        most = left if most.is_less_than(left) else most
    return most


def waiting(tx: Transaction) -> dict[str, Room]:
    """The starts that nobody has claimed, by their tasks, with what they take."""
    found = tasks.all(tx, tasks.c.memory_mib > 0, status=TaskStatus.PROCESSING, host="", owner="")
    return {task.id: Room(cpus=task.cpus, memory_mib=task.memory_mib) for task in found}


def find_elsewhere(
    tx: Transaction,
    size: Room,
    size_of: Sizes,
    host: str,
    *,
    but: Collection[str] = (),
    goes_to: Mapping[str, str] = NOWHERE,
) -> str:
    """The host other than *host*, and none in *but*, that has most room and holds *size*; empty where there is none.

    It has that room besides all that waits for room, or is about to leave *host*: each is put where most is left, the
    oldest first, or where *goes_to* has its task go; what fits nowhere waits for something else.
    """
    here = hosts.find(tx, name=host)
    others = sorted((one for one in hosts.all(tx) if one.name != host and one.worker), key=lambda one: one.name)
    left = {one.name: left_on(tx, one.name, size_of, one.worker) for one in others}
    is_unbound = and_(tasks.c.host.in_(("", host)), tasks.c.owner.in_(("", "" if here is None else here.worker)))
    waits = tasks.all(
        tx, tasks.c.memory_mib > 0, or_(tasks.c.id.in_(goes_to), is_unbound), status=TaskStatus.PROCESSING
    )
    for task in sorted(waits, key=lambda one: one.seq):
        _put(left, Room(cpus=task.cpus, memory_mib=task.memory_mib), goes_to.get(task.id, ""))
    return _most({name: room for name, room in left.items() if name not in but}, size)


def _put(left: dict[str, Room], size: Room, name: str) -> None:
    """Take *size* from what is left on the host of that *name*, or where it is put if that is empty."""
    name = name or _most(left, size)
    if name in left:
        left[name] = left[name].less(size)


def _most(left: Mapping[str, Room], size: Room) -> str:
    """Of those that have as much left, the one that has most, by name; empty where none has."""
    most = ""
    for name, room in left.items():
        if room.holds(size) and (not most or left[most].is_less_than(room)):
            most = name
    return most


def ask_for_room(tx: Transaction, task: Task, size: Room) -> None:
    """Have a task be claimed only by a host that has room for as much, once it is bound to none."""
    tasks.update(tx, {"cpus": size.cpus, "memory_mib": size.memory_mib}, id=task.id, generation=task.generation)


def explain(tx: Transaction, task: str, reason: str) -> None:
    """Say of a start that nobody has claimed why that is so, to whoever asks."""
    tasks.update(tx, {"error_message": reason}, id=task, owner="", status=TaskStatus.PROCESSING)


def wait_no_more(tx: Transaction, task: str) -> None:
    """Have a start that nobody has claimed be claimed by whoever comes first, who gives it up where he has no room."""
    tasks.update(tx, {"cpus": 0, "memory_mib": 0}, id=task, owner="", status=TaskStatus.PROCESSING)
