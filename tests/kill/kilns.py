"""A Kiln on a data folder, started as ``kiln serve`` starts it, without HTTP and without threads.

    with open_kiln(folder) as cloud:
        script = Script(cloud, folder / "answers")
        script.ask("image", "CreateImage", InstanceId=...)   # the key is the ClientToken, too
        script.settle()

What was answered is written down at once, so that after a kill it is known what the
caller had been told. Asked again under the same key, the service must say the same.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kiln.declare.errors import ApiError
from kiln.declare.roles import Role
from kiln.operations import CATALOGUE
from kiln.service.assemble import assemble
from kiln.service.hosts import room_here
from kiln.service.recovery import recover
from kiln.service.settings import read_settings
from kiln.store.accounts import Account, accounts
from kiln.store.volumes import volumes
from kiln.store.workers import Member, enter
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from kiln.upkeep.sweep import sweep
from kiln.wire.dispatch import Dispatcher
from tests import statements
from tests.catalogue import BY_NAME
from tests.clouds import ACCOUNT, Cloud

#: How long a sweep may go on, on a busy machine.
PATIENCE_S = 300.0


@contextmanager
def open_kiln(folder: Path, **settings: Any) -> Iterator[Cloud]:
    """A Kiln that has just been started in *folder*: what a crash left was taken up as ``kiln serve`` does.

    *settings* name what it stands on beside the folder; nobody else serves that.
    """
    folder.mkdir(exist_ok=True)
    statements.share()
    told = read_settings({}, data=folder, machines="none", **settings)
    with assemble(told) as assembly:
        ports = assembly.ports
        first = Account(id=ACCOUNT, name="first", created_at=ports.clock())
        with ports.database.read() as tx:
            is_new = accounts.find(tx, id=ACCOUNT) is None
        if is_new:
            ports.database.write(lambda tx: accounts.insert(tx, first))
        recover(assembly)
        worker = Worker(ports, DUTIES, unfinished)
        if not ports.is_alone:  # Who is none of the deployment's hosts carries nothing out.
            member = Member(id=worker.id, host=ports.host, role=Role.ALL, address="", peer="")
            ports.database.write(lambda tx: enter(tx, member, room_here(told), is_first=True))
        yield Cloud(
            ports=ports,
            # As in service: a task is leased to the worker beside the dispatcher, and found again by its lease alone.
            dispatcher=Dispatcher(CATALOGUE, ports, worker.id, lambda _: None),
            worker=worker,
            clock=ports.clock,
            folder=told.folder.shared,
        )


class Script:
    """A caller who writes down every answer, and who asks again after a crash."""

    def __init__(self, cloud: Cloud, answers: Path) -> None:
        self.cloud = cloud
        self._path = answers
        lines = answers.read_text().splitlines() if answers.exists() else []
        self.answers: dict[str, dict[str, Any]] = dict(json.loads(line) for line in lines)

    def ask(self, key: str, action: str, /, *, over: str = "", **params: Any) -> dict[str, Any]:
        """The answer, the same one every time.

        *over* is the code of the error that says that an action without a ClientToken was done before.
        """
        if BY_NAME[action].idempotent is not None:
            params["ClientToken"] = key
        try:
            answer = self.cloud.call(action, **params)
        except ApiError as error:
            if error.code != over:
                raise
            answer = {}
        if key in self.answers and not over:
            assert answer == self.answers[key], f"{action} answered {self.answers[key]}, and now {answer}"
        if key not in self.answers:
            self.note(key, answer)
        return answer

    def note(self, key: str, answer: dict[str, Any]) -> None:
        """Write down what the caller knows from here on."""
        self.answers[key] = answer
        with self._path.open("ab", buffering=0) as file:
            file.write(json.dumps([key, answer]).encode() + b"\n")

    def settle(self) -> None:
        """Carry out what there is to do, as the worker does."""
        settle(self.cloud)

    def keep(self) -> None:
        """Sweep and carry out what that leads to, until nothing more happens."""
        keep(self.cloud)


def settle(cloud: Cloud) -> None:
    """Carry out tasks until none is left. They may wait for each other, but one that fails to be done is a failure."""
    deadline = time.monotonic() + PATIENCE_S
    while cloud.open_tasks():
        assert time.monotonic() < deadline, f"left undone: {cloud.open_tasks()}"
        tasks = _due(cloud)
        for task in tasks:
            cloud.worker.attempt(task)
            crashed = [row for row in cloud.open_tasks() if row.id == task.id and row.attempts > task.attempts]
            assert not crashed, f"crashed: {crashed}"
        if not tasks:
            time.sleep(0.02)


def keep(cloud: Cloud) -> None:
    """Sweep until there is nothing to sweep.

    A tool that died with its Kiln may hold a volume's lock for a moment longer; the sweeper then comes back to it.
    """
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        gone = sweep(cloud.ports)
        if not gone and not cloud.open_tasks():
            with cloud.ports.database.read() as tx:
                if volumes.count(tx, state="doomed") == 0:
                    return
            time.sleep(0.1)
        settle(cloud)
    raise AssertionError("sweeping has no end")


def _due(cloud: Cloud) -> list[Any]:
    """What the worker beside the dispatcher was handed, in its order, or else would find."""
    leased = [task for task in cloud.open_tasks() if task.owner == cloud.worker.id]
    return leased or cloud.worker.claim(cloud.clock())
