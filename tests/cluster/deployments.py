"""Several processes of Kiln over one PostgreSQL, one pool and one set of keys, as hosts that share them have it."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from kiln.client.client import Client
from kiln.machines.qemu import QemuMachines
from kiln.store.database import open_postgresql
from kiln.testing.served import Served
from tests.kill.callers import BUCKET, Caller, Truth
from tests.waiting import wait_for
from tests.warm import start_kiln

TYPE = "ecs.t5-lc1m1.small"


class Deployment:
    """See the module's docstring. What they share lies in the folder *shared*, and in a pool that settings may name."""

    def __init__(
        self,
        folder: Path,
        address: str,
        stack: ExitStack,
        settings: Mapping[str, Any],
        start: Callable[..., AbstractContextManager[Served]],
    ) -> None:
        self.folder, self.address, self._start = folder, address, start
        self._stack, self._settings = stack, settings
        self.shared = folder / "shared"
        self.shared.mkdir()

    def start(self, name: str, role: str, **settings: Any) -> Served:
        """A process of that role, whose host has that name, in a data folder of its own."""
        told = {"database": self.address, "shared": self.shared, "role": role, "host": name, "log": "info"}
        return self._stack.enter_context(self._start(self.folder / name, **(told | self._settings | settings)))

    def caller(self, kiln: Served) -> Caller:
        """Somebody who asks that process."""
        return self._stack.enter_context(Caller(kiln, Truth()))

    def client(self, kiln: Served) -> Client:
        """Kiln's own client of that process."""
        client = Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)
        self._stack.callback(client.close)
        return client

    def ask(self, statement: str, **values: Any) -> list[Any]:
        """The rows that a statement finds in the database."""
        opened = open_postgresql(self.address)
        try:
            with opened.engine.connect() as connection:
                found = connection.execute(text(statement), values)
                rows = list(found) if found.returns_rows else []
                connection.commit()
                return rows
        finally:
            opened.close()

    def hosts(self) -> dict[str, str]:
        """Which processes say that they serve: their roles, by their hosts."""
        return {row.host: row.role for row in self.ask("SELECT host, role FROM workers")}

    def an_image(self, caller: Caller) -> str:
        """An image that was imported."""
        image = self.ask_for_image(caller)
        caller.image_comes(image)
        return image

    def ask_for_image(self, caller: Caller) -> str:
        """An image whose import has begun."""
        bucket = self.shared / "buckets" / BUCKET
        bucket.mkdir(exist_ok=True)
        if not (bucket / "base.raw").exists():
            subprocess.run(["qemu-img", "create", "-q", "-f", "raw", bucket / "base.raw", "8M"], check=True)
        disk = {"Format": "RAW", "OSSBucket": BUCKET, "OSSObject": "base.raw", "DiskImageSize": 20}
        return caller.ask("ImportImage", ImageName=f"base-{uuid.uuid4().hex}", DiskDeviceMapping=[disk])["ImageId"]

    def an_instance(self, caller: Caller, image: str) -> str:
        """An instance that runs."""
        answer = caller.ask("RunInstances", ImageId=image, InstanceType=TYPE, Amount=1)
        (instance,) = answer["InstanceIdSets"]["InstanceIdSet"]
        caller.instance_is(instance, "Running")
        return instance

    def host_of(self, instance: str) -> str:
        """Where the instance's machine is."""
        ((host,),) = self.ask("SELECT host FROM instances WHERE id = :id", id=instance)
        return host


@contextmanager
def deployment(
    folder: Path, address: str, *, start: Callable[..., AbstractContextManager[Served]] = start_kiln, **settings: Any
) -> Iterator[Deployment]:
    """Nothing of it is started yet; what was is stopped at the end. All its processes have these *settings*."""
    with ExitStack() as stack:
        stack.callback(_end_machines, folder)
        yield Deployment(folder, address, stack, settings, start)


def _end_machines(folder: Path) -> None:
    """A machine outlives its Kiln."""
    for run in folder.glob("*/run"):
        machines = QemuMachines(run)
        for instance in list(machines.running()):
            machines.stop(instance, force=True)


def says(kiln: Served, words: str) -> bool:
    """Whether a process has logged these words."""
    return words in kiln.log.read_text()


def wait_until_says(kiln: Served, words: str) -> None:
    wait_for(lambda: says(kiln, words))
