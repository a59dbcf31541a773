"""Who may write the disks of a guest that goes to another host, where no machine locks them, as on Ceph.

The pool tells what names each machine there (``pools.port.Pool.writers``), and the task remembers those of the two
between which the guest goes: of the one that it leaves before another has the disks open, and of the one that it has
come to before it is decided that it is to run there. Before it runs in one of them the other is shut out, with whoever
else has a disk open, so who stands still just then, or is not seen, writes no more when it wakes.

Who else is there is looked at first, then whether the guest is this host's still, and then those that were seen are
shut out. A host that stands still in between, for so long that it is given up, shuts out nobody who came after that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from kiln.calls.call import Job, Ports
from kiln.ground.killpoints import reach
from kiln.machines.errors import MachineBusy
from kiln.operations.instances.parts import power
from kiln.pools.errors import VolumeBusy
from kiln.upkeep.moves import MoveFacts


def of_source(job: Job[MoveFacts]) -> tuple[str, ...]:
    """What names the machine that the guest is to leave; nothing where machines lock their disks.

    Raises VolumeBusy where another machine has one of the disks open, or none is known to, and it was not noted before.
    """
    there = _writers(job.ports, job.task.resource)
    if len(job.facts.writers) == len(there) and all(who & {*job.facts.writers} for who in there.values()):
        return job.facts.writers  # Another may have waited for it since then.
    return _one_each(there)


def of_target(job: Job[MoveFacts]) -> tuple[str, ...]:
    """As ``of_source``, of the machine that the guest has come to."""
    return _one_each(_writers(job.ports, job.task.resource), but=job.facts.writers)


def require_one(ports: Ports, instance: str) -> None:
    """Raise VolumeBusy where an instance's disks are open in several machines, or in none that is known."""
    _one_each(_writers(ports, instance))


def keep_out(job: Job[MoveFacts], writers: tuple[str, ...], require_here: Callable[[], None]) -> None:
    """Have nobody but the machine that *writers* name write the guest's disks, before it runs there.

    Raises MachineBusy where that is not so in the end, as where it was shut out itself; what *require_here* raises.
    """
    if writers:
        there = _writers(job.ports, job.task.resource)
        # Ceph forgets who stands still for half a minute, and knows him again when he wakes.
        noted = {*job.facts.writers, *job.facts.next_writers}
        if others := noted.union(*there.values()).difference(writers):
            require_here()
            reach("fencing.before")
            job.ports.pool.shut_out(sorted(others))
            reach("fencing.others_out")
            there = _writers(job.ports, job.task.resource)
        try:
            found = _one_each(there)
        except VolumeBusy as error:
            raise MachineBusy(f"{error}.") from error
        if found != writers:
            raise MachineBusy(f"The disks of {job.task.resource} are open in another machine.")
    require_here()


def _writers(ports: Ports, instance: str) -> Mapping[str, frozenset[str]]:
    return ports.pool.writers(power.volumes_of(ports, instance))


def _one_each(there: Mapping[str, frozenset[str]], but: Collection[str] = ()) -> tuple[str, ...]:
    """The name that each volume has, those in *but* left out. Raises VolumeBusy where one has none, or several."""
    found: set[str] = set()
    for volume, who in sorted(there.items()):
        left = who.difference(but)
        if len(left) != 1:
            raise VolumeBusy(f"{volume} is open in {len(left)} machines")
        found |= left
    return tuple(sorted(found))
