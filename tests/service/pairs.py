"""Kilns that are started and stopped within the test, and copies of their two halves."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kiln.operations import CATALOGUE
from kiln.service.accounts import ensure_first_account
from kiln.service.assemble import Assembly, assemble
from kiln.service.claim import hold_data_folder
from kiln.service.pairing import advance
from kiln.service.settings import Settings, read_settings
from kiln.store.accounts import first_account
from kiln.store.deployment import find
from kiln.tasks.worker import Worker
from kiln.upkeep import duties, unfinished
from kiln.upkeep.recorder import Recorder
from kiln.wire.dispatch import Dispatcher
from tests.clouds import Clock, Cloud


@dataclass(frozen=True)
class Home:
    """A data folder, and the folder that others share if there is one."""

    data: Path
    database: str = ""
    shared: Path | None = None

    @property
    def settings(self) -> Settings:
        database = self.database or None
        return read_settings({}, data=self.data, machines="none", database=database, shared=self.shared)

    @property
    def pool(self) -> Path:
        return self.settings.folder.pool

    @property
    def sqlite(self) -> Path:
        return self.data / "kiln.sqlite"

    @contextlib.contextmanager
    def started(self, *, records: bool = True) -> Iterator[Assembly]:
        """A start and a stop of the service, as far as the two halves see it; without *records* as a kill ends it."""
        with hold_data_folder(self.data), assemble(self.settings, strays=True) as it:
            deployment = advance(it.database, it.pool, it.ports.clock())
            recorder = Recorder(it.database, it.pool.records, deployment.id)
            it.database.tell = recorder.note
            recorder.compare()
            recorder.flush()
            ensure_first_account(it.database, it.sealer, self.settings, it.ports.clock())
            yield it
            if records:
                recorder.flush()

    def start(self) -> int:
        """Start and stop; the generation that it was."""
        with self.started() as it, it.database.read() as tx:
            found = find(tx)
        assert found is not None
        return found.generation

    def copy(self, to: Path) -> Home:
        shutil.copytree(self.data, to, symlinks=True)
        return Home(to)

    def forget_database(self) -> None:
        for file in self.data.glob("kiln.sqlite*"):
            file.unlink()

    def take_database_of(self, other: Home) -> None:
        self.forget_database()
        for file in other.data.glob("kiln.sqlite*"):
            shutil.copy2(file, self.data)

    def take_pool_of(self, other: Home) -> None:
        shutil.rmtree(self.pool)
        shutil.copytree(other.pool, self.pool)

    def content(self) -> dict[str, bytes]:
        """Every file that is there, but for the locks."""
        return {
            str(path.relative_to(self.data)): path.read_bytes()
            for path in sorted(self.data.rglob("*"))
            if path.is_file() and path.name != "lock"
        }


def as_cloud(it: Assembly) -> Cloud:
    """The assembly as tests of operations call it, as its first account."""
    with it.database.read() as tx:
        account = first_account(tx)
    assert account is not None
    return Cloud(
        ports=it.ports,
        dispatcher=Dispatcher(CATALOGUE, it.ports),
        worker=Worker(it.ports, duties.DUTIES, unfinished),
        clock=Clock(),
        folder=it.settings.folder.shared,
        account=account.id,
    )
