"""A whole Kiln without HTTP: what tests of operations call.

    cloud.call("CreateImage", InstanceId=..., ImageName="web")["ImageId"]
    cloud.refuses("CreateImage", "InvalidImageName.Duplicated", 400, SnapshotId=..., ImageName="web")
    cloud.settle()      # carries out everything that is left to do

RegionId is filled in. Names with dots go in a dict: ``cloud.call("X", {"Tag.1.Key": "a"}, ImageId=...)``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from kiln.buckets.folder import FolderBuckets
from kiln.calls.call import Call, Ports
from kiln.declare.deployment import Deployment
from kiln.declare.errors import ApiError
from kiln.declare.states import TaskStatus
from kiln.machines.none import NoMachines
from kiln.machines.port import Machines
from kiln.operations import CATALOGUE
from kiln.pools.qcow2 import Qcow2Pool
from kiln.pools.rbd.pool import RbdPool
from kiln.service.volume_keys import of_own
from kiln.store import accounts, tasks
from kiln.store.database import Database
from kiln.store.outbox import Outbox
from kiln.store.volumes import keys_in, lineage_in
from kiln.tasks.worker import Worker
from kiln.upkeep import duties, unfinished
from kiln.wire.dispatch import Dispatcher
from tests.catalogue import BY_NAME, key_of
from tests.promises import check_answer, met, met_later
from tests.ring import passphrase

REGION = "cn-qingdao-env17-d01"
ACCOUNT = "1000000000000001"
OTHER = "1000000000000002"


@dataclass
class Clock:
    """A clock that stands until it is told to go on, and never shows one time twice."""

    now: float = 1_795_000_000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


@dataclass
class Cloud:
    ports: Ports
    dispatcher: Dispatcher
    worker: Worker
    clock: Clock
    folder: Path
    account: str = ACCOUNT
    counter: itertools.count = field(default_factory=itertools.count)

    def call(
        self, action: str, params: Mapping[str, Any] | None = None, /, account: str | None = None, **more: Any
    ) -> dict:
        """The answer of an operation; ApiErrors are raised."""
        given = {"RegionId": REGION, **(params or {}), **more}
        flat = {k: _text(v) for k, v in given.items() if v is not None}
        try:
            answer = self.dispatcher.dispatch(account or self.account, key_of(action), flat)
        except ApiError as e:
            met(action, e)
            raise
        if action in BY_NAME:
            check_answer(BY_NAME[action].output, answer)
        return answer

    def refuses(
        self,
        action: str,
        code: str,
        status: int,
        params: Mapping[str, Any] | None = None,
        /,
        account: str | None = None,
        **more: Any,
    ) -> ApiError:
        """That an operation is refused with this code and status, and that nothing was changed."""
        before = self.contents()
        with pytest.raises(ApiError) as refused:
            self.call(action, params, account=account, **more)
        assert (refused.value.code, refused.value.status) == (code, status), refused.value
        assert self.contents() == before
        return refused.value

    def contents(self) -> dict[str, list]:
        """All that the database holds but the audit: a call that changes nothing is told there as well."""
        from kiln.store.rows import metadata  # noqa: PLC0415 - tests alone look at everything at once.

        # In the driver's own words: compiling a statement for each table took a quarter of the time of all tests.
        with self.ports.database.read() as tx:
            return {
                t.name: sorted(map(repr, tx.driver(f'SELECT * FROM "{t.name}"', ()).fetchall()))
                for t in metadata.sorted_tables
                if t.name != "audit"
            }

    def settle(self) -> None:
        """Carry out tasks until none is left that can be."""
        for _ in range(500):
            batch = self.worker.claim(self.clock())
            if not batch:
                self._note_failures()
                return
            for task in batch:
                self.worker.attempt(task)
        raise AssertionError("tasks without end")

    def _note_failures(self) -> None:
        with self.ports.database.read() as tx:
            for task in tasks.tasks.all(tx, status=TaskStatus.FAILED):
                met_later(task.action, task.error_code)

    def open_tasks(self) -> list[tasks.Task]:
        with self.ports.database.read() as tx:
            return tasks.tasks.all(tx, status=TaskStatus.PROCESSING)

    def refit(self, **parts: Any) -> None:
        """Have some of the ports (``machines=...``, ``deployment=...``) be others from now on."""
        self.ports = replace(self.ports, **parts)
        self.dispatcher = Dispatcher(CATALOGUE, self.ports)
        self.worker = Worker(self.ports, duties.DUTIES, unfinished)

    def as_call(self, tx: Any, action: str = "Test") -> Call:
        """What an operation is handed, for arranging rows that no operation makes."""
        return Call(tx=tx, ports=self.ports, account=self.account, action=action, now=self.clock())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def make_cloud(
    folder: Path,
    database: Database,
    machines: Machines | None = None,
    deployment: Deployment | None = None,
    pool: Qcow2Pool | RbdPool | None = None,
) -> Cloud:
    """A Kiln in *folder*, on an empty database that has its tables; without a *pool* it has one in the folder."""
    cloud = cloud_in(folder, database, machines, deployment, pool)

    def add_accounts(tx: Any) -> None:
        for account in (ACCOUNT, OTHER):
            accounts.accounts.insert(tx, accounts.Account(id=account, name=account, created_at=cloud.clock.now))
        accounts.resource_groups.insert(tx, accounts.ResourceGroup(id="rg-tests", account=ACCOUNT, name="tests"))

    database.write(add_accounts)
    return cloud


def cloud_in(
    folder: Path,
    database: Database,
    machines: Machines | None = None,
    deployment: Deployment | None = None,
    pool: Qcow2Pool | RbdPool | None = None,
) -> Cloud:
    """A Kiln in a *folder* in which one has been, on its database."""
    clock = Clock()
    pool = Qcow2Pool(folder / "pool") if pool is None else pool
    pool.lineage = lineage_in(database)
    pool.keys = of_own(passphrase, keys_in(database))
    ports = Ports(
        database=database,
        pool=pool,
        machines=machines or NoMachines(folder / "run"),
        buckets=FolderBuckets(folder / "buckets"),
        deployment=deployment or Deployment(),
        clock=clock,
        seal=lambda secret: "sealed:" + secret,
        unseal=lambda sealed: sealed.removeprefix("sealed:"),
        outbox=Outbox(clock),
    )
    ports.outbox.attach(database)
    database.hub.attach(ports.terminals)
    return Cloud(
        ports=ports,
        dispatcher=Dispatcher(CATALOGUE, ports),
        worker=Worker(ports, duties.DUTIES, unfinished),
        clock=clock,
        folder=folder,
    )
