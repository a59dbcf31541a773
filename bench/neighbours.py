"""One healthy machine among many that are in the hands of somebody else, below one served Kiln.

The healthy one is a real QEMU with a blank disk. The others are one process that
poses as many machines, each with one of the manners of
``tests.machines.hostile``: silent, deaf, endless, deep, odd.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.server import Server, start_server
from bench.stock import open_stock
from bench.waits import until_instance
from kiln.client.client import Client
from kiln.declare.states import InstanceStatus
from kiln.machines.errors import MachineError
from kiln.machines.qemu import QemuMachines
from kiln.store.instances import instances
from tests.machines.hostile import MANNERS, posing

_SIZE_GIB = 1


@dataclass(frozen=True)
class Neighbourhood:
    """A served Kiln, the healthy instance, which runs, and the others, which say that they do."""

    server: Server
    client: Client
    healthy: str
    hostile: Sequence[str]


@contextmanager
def open_neighbourhood(data: Path, hostile: int, log: Path | None = None) -> Iterator[Neighbourhood]:
    """A Kiln in *data* with one healthy instance and so many others, the manners in turns."""
    with open_stock(data) as stock:
        healthy = stock.instance([_SIZE_GIB])
        others = [stock.instance([_SIZE_GIB]) for _ in range(hostile)]
        now = stock.assembly.ports.clock()
        running = {"status": InstanceStatus.RUNNING, "started_at": now, "ever_started": True}
        stock.assembly.database.write(lambda tx: [instances.update(tx, running, id=one) for one in others])
    (data / "run").mkdir(mode=0o711, exist_ok=True)
    with (
        posing(data / "run", others, *MANNERS),
        start_server(data, "qemu", one_core=False, log=log) as server,
        _ended(data / "run", healthy),
        closing(server.client()) as client,
    ):
        client.call("StartInstance", InstanceId=healthy)
        until_instance(client, healthy, "Running")
        yield Neighbourhood(server, client, healthy, others)


@contextmanager
def _ended(run: Path, instance: str) -> Iterator[None]:
    """Leave no machine behind: they outlive a Kiln that stops."""
    try:
        yield
    finally:
        with suppress(MachineError):
            QemuMachines(run).stop(instance, force=True)
