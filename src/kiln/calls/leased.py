"""The outside world, as a task sees it: who has lost the task's lease changes nothing there.

A worker may stand still for a minute, stopped with its host or by a clock that
was set, and go on as if nothing had been; another has the task by then, and may
have ended it. What it writes in the database is refused (``Job.write``). The
pool, the machines and the buckets cannot know whose lease it is, so the lease is
looked at before everything that may change them. Here that is decided for all
operations: none asks by itself. A member counts as a change unless it is named
below as one that only looks. Networks need no lease: what is carried of a VPC is
read from its rows each time, whoever has it carried.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, cast

from kiln.buckets.port import Buckets
from kiln.calls.call import Ports
from kiln.machines.port import Machines
from kiln.pools.guests import Guest
from kiln.pools.port import Cancel, Pool, Progress, Source, TargetFormat, never_cancelled
from kiln.store import tasks
from kiln.store.tasks import Task

#: A guest that is asked for is handed to the pool, and does nothing but through that. What is begun within one is begun
#: once, whoever asks how often.
MACHINES_LOOK = frozenset(
    {
        "kind",
        "is_between",
        "has_come",
        "is_running",
        "went_with_host",
        "is_cabled",
        "why_no_cable",
        "reach",
        "running",
        "guest",
        "inside",
        "console",
        "terminal",
        "last_words",
    }
)
POOL_LOOKS = frozenset(
    {
        "kind", "encrypts", "records", "overlays", "identity", "is_used", "discarded", "room", "exists", "is_open",
        "size", "length", "parent", "volumes", "strangers", "leftovers", "verify", "blockdevs", "node", "files",
        "inspect", "writers",
    }
)  # fmt: skip
BUCKETS_LOOK = frozenset({"has", "check_writable", "size", "fetched"})


def leased(ports: Ports, task: Task) -> Ports:
    """As *ports*, for who carries out *task*. All that may change something outside raises LeaseLost."""

    def require() -> None:
        with ports.database.read() as tx:
            tasks.require_lease(tx, task)

    return replace(
        ports,
        pool=cast("Pool", _Pool(ports.pool, POOL_LOOKS, require)),
        machines=cast("Machines", _Leased(ports.machines, MACHINES_LOOK, require)),
        buckets=cast("Buckets", _Buckets(ports.buckets, BUCKETS_LOOK, require)),
    )


class _Leased:
    def __init__(self, behind: Any, looks: Collection[str], require: Callable[[], None]) -> None:
        self._behind = behind
        self._looks = looks
        self._require = require

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._behind, name)
        if name in self._looks:
            return member

        @wraps(member)
        def changing(*args: Any, **more: Any) -> Any:
            self._require()
            return member(*args, **more)

        return changing


class _Pool(_Leased):
    """What moves bytes for hours looks at the lease as often as it asks whether to go on, last before it publishes."""

    def unpacked(self, file: BinaryIO, cancelled: Cancel) -> AbstractContextManager[BinaryIO]:
        self._require()
        return cast("Pool", self._behind).unpacked(file, self._unless_lost(cancelled))

    def bring_in(self, file: BinaryIO, source: Source, volume: str, progress: Progress, cancelled: Cancel) -> None:
        self._require()
        cast("Pool", self._behind).bring_in(file, source, volume, progress, self._unless_lost(cancelled))

    def absorb(
        self, child: str, guest: Guest | None, beside: Sequence[str] = (), cancelled: Cancel = never_cancelled
    ) -> None:
        self._require()
        cast("Pool", self._behind).absorb(child, guest, beside, self._unless_lost(cancelled))

    def encrypt(self, layer: str, volume: str, key: str, progress: Progress, cancelled: Cancel) -> None:
        self._require()
        cast("Pool", self._behind).encrypt(layer, volume, key, progress, self._unless_lost(cancelled))

    def send_out(self, layer: str, path: Path, target: TargetFormat, progress: Progress, cancelled: Cancel) -> None:
        self._require()
        cast("Pool", self._behind).send_out(layer, path, target, progress, self._unless_lost(cancelled))

    def _unless_lost(self, cancelled: Cancel) -> Cancel:
        def is_cancelled() -> bool:
            self._require()
            return cancelled()

        return is_cancelled


class _Buckets(_Leased):
    """What was written becomes an object on leaving, so the lease is looked at then too."""

    @contextmanager
    def stored(self, bucket: str, name: str) -> Iterator[Path]:
        self._require()
        with cast("Buckets", self._behind).stored(bucket, name) as path:
            yield path
            self._require()
