"""What a pool on Ceph keeps beside its volumes: whose it is, and what its volumes belong to, in documents.

The records are the keys of one object, each with a checksum; a batch of them is
one operation of RADOS, which happens whole or not at all. Its data say the
format, the deployment and the batch. Knows nothing about what documents say.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.pools import identity
from kiln.pools.errors import RecordsTooNew, VolumeBroken, VolumeBusy
from kiln.pools.fresh import FreshRecords, Name, checksum, spelled
from kiln.pools.port import Identity
from kiln.pools.rbd.cluster import EXCLUSIVELY, Cluster, is_overtaken
from kiln.pools.rbd.directory import Directory
from kiln.pools.rbd.entrances import Address
from kiln.pools.records import Summary

RECORDS = "kiln.records"
IDENTITY = "kiln.identity"
FORMAT = 1
_AT_ONCE = 512
_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class _Kept:
    digest: str
    volumes: tuple[str, ...]


def read_identity(cluster: Cluster) -> Identity | None:
    """Whose pool it is; None before that was said. Raises IdentityBroken, IdentityTooNew, ToolFailed."""
    with cluster.telling() as ioctx:
        try:
            raw = ioctx.read(IDENTITY, _MOST_BYTES)
        except cluster.rados.ObjectNotFound:
            return None
    return identity.parsed(raw)


def write_identity(cluster: Cluster, said: Identity) -> None:
    """Say whose pool it is; on the disks when this returns. Raises PoolFull, ToolFailed."""
    reach("rbd.identity.before")
    with cluster.telling() as ioctx:
        ioctx.write_full(IDENTITY, identity.spelled(said))
    reach("rbd.identity.written")


def look_at(address: Address) -> identity.Sight:
    """See whose the pool at *address* is and what it holds. Changes nothing.

    Raises IdentityBroken, IdentityTooNew, RecordsTooNew, VolumeBroken, ToolFailed.
    """
    cluster = Cluster(address)
    try:
        entries = Directory(cluster).read().entries
        told = summarised(cluster)
        return identity.Sight(
            identity=read_identity(cluster),
            volumes=frozenset(name for name, one in entries.items() if one.where == "pool"),
            records=None if told is None else Summary(*told),
        )
    finally:
        cluster.close()


class RbdRecords(FreshRecords):
    """Implements ``port.Records``. Read when they are first asked for. Safe to use from many threads."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self._cluster = cluster
        self._is_loaded = False
        self._kept: dict[Name, _Kept] = {}
        self._bad: set[str] = set()
        self._batch = 0
        self._deployment = ""

    @property
    def batch(self) -> int:
        """See ``port.Records``."""
        with self._loaded():
            return self._batch

    @property
    def damaged(self) -> int:
        """See ``port.Records``."""
        with self._loaded():
            return len(self._bad)

    @property
    def doubtful(self) -> list[Name]:
        """See ``port.Records``."""
        with self._loaded():
            return sorted(_name(key) for key in self._bad if "/" in key)

    @property
    def deployment(self) -> str:
        """See ``port.Records``."""
        with self._loaded():
            return self._deployment

    def flush(self, batch: int, deployment: str) -> int:
        """See ``port.Records``. Raises PoolFull, ToolFailed, VolumeBusy."""
        with self._loaded():
            fresh = dict(self._fresh)
            if not fresh and batch == self._batch:
                return 0
            lines = {key: _line(*said) for key, said in fresh.items() if said[0] is not None}
            self._write(batch, deployment, lines, fresh.keys() - lines.keys())
            for key, said in fresh.items():
                self._bad.discard(_key(key))
                if said[0] is None:
                    self._kept.pop(key, None)
                else:
                    self._kept[key] = _Kept(_digest(said[0]), said[1])
            self._batch, self._deployment = batch, deployment
            self._fresh.clear()
            return len(fresh)

    def _write(self, batch: int, deployment: str, lines: Mapping[Name, bytes], gone: Collection[Name]) -> None:
        rados = self._cluster.rados
        reach("rbd.records.before")
        with self._cluster.telling() as ioctx, rados.WriteOpCtx() as op:
            if self._batch:
                op.cmpext(_head(self._deployment, self._batch), 0)
            else:
                op.new(EXCLUSIVELY)
            op.write_full(_head(deployment, batch))
            if lines:
                ioctx.set_omap(op, tuple(map(_key, lines)), tuple(lines.values()))
            if gone:
                ioctx.remove_omap_keys(op, tuple(map(_key, gone)))
            try:
                ioctx.operate_write_op(op, RECORDS)
            except rados.Error as error:
                if not is_overtaken(rados, error):
                    raise
                self._is_loaded = False
                raise VolumeBusy("another process writes the pool's records") from error
        reach("rbd.records.written")

    @contextmanager
    def _loaded(self, *, is_fresh: bool = False) -> Iterator[None]:  # noqa: ARG002 - read once: a writer is told of another.
        with self._lock:
            if not self._is_loaded:
                self._load()
            yield

    def _load(self) -> None:
        self._kept.clear()
        self._bad.clear()
        head = summarised(self._cluster)
        if head is not None:
            self._deployment, self._batch = head
            for key, raw in self._pages():
                said = _parsed(raw)
                if said is None or "/" not in key:
                    self._bad.add(key)
                else:
                    self._kept[_name(key)] = _Kept(_digest(said["document"]), tuple(map(str, said["volumes"])))
        self._is_loaded = True

    def _pages(self) -> Iterator[tuple[str, bytes]]:
        rados, after = self._cluster.rados, ""
        while True:
            with self._cluster.telling() as ioctx, rados.ReadOpCtx() as op:
                some, _ = ioctx.get_omap_vals(op, after, "", _AT_ONCE)
                ioctx.operate_read_op(op, RECORDS)
                batch = dict(some)
            if not batch:
                return
            yield from batch.items()
            after = max(batch)

    def _kept_names(self) -> Iterable[Name]:
        return self._kept

    def _kept_naming(self, volume: str) -> Iterable[Name]:
        return (key for key, one in self._kept.items() if volume in one.volumes)

    def _kept_document(self, key: Name) -> dict[str, Any] | None:
        if key not in self._kept:
            return None
        rados = self._cluster.rados
        with self._cluster.telling() as ioctx, rados.ReadOpCtx() as op:
            some, _ = ioctx.get_omap_vals_by_keys(op, (_key(key),))
            ioctx.operate_read_op(op, RECORDS)
            said = _parsed(dict(some).get(_key(key), b""))
        if said is None:
            raise VolumeBroken("a record changed since it was read")
        document: dict[str, Any] = said["document"]
        return document

    def _is_kept(self, key: Name, document: Mapping[str, Any] | None, volumes: tuple[str, ...]) -> bool:
        one = self._kept.get(key)
        if one is None or document is None:
            return one is None and document is None and _key(key) not in self._bad
        return one.digest == _digest(document) and one.volumes == volumes


def summarised(cluster: Cluster) -> tuple[str, int] | None:
    """Whose records are there, and their last batch; None where there are none. Raises RecordsTooNew, VolumeBroken."""
    with cluster.telling() as ioctx:
        try:
            raw = ioctx.read(RECORDS, _MOST_BYTES)
        except cluster.rados.ObjectNotFound:
            return None
    try:
        said = json.loads(raw)
        if said["format"] > FORMAT:
            raise RecordsTooNew(f"the pool's records are of format {said['format']}; this Kiln knows {FORMAT}")
        return str(said["deployment"]), int(said["batch"])
    except (ValueError, KeyError, TypeError) as error:
        raise VolumeBroken(f"the object {RECORDS} of {cluster.address} is not of ours") from error


def _head(deployment: str, batch: int) -> bytes:
    return json.dumps({"format": FORMAT, "deployment": deployment, "batch": batch}).encode()


def _key(name: Name) -> str:
    return "/".join(name)


def _name(key: str) -> Name:
    kind, _, name = key.partition("/")
    return kind, name


def _line(document: Mapping[str, Any] | None, volumes: tuple[str, ...]) -> bytes:
    text = spelled({"document": document, "volumes": volumes})
    return checksum(text).encode() + b" " + text


def _parsed(raw: bytes) -> dict[str, Any] | None:
    sealed, _, text = raw.partition(b" ")
    if checksum(text).encode() != sealed:
        return None
    said: dict[str, Any] = json.loads(text)
    return said


def _digest(document: Mapping[str, Any] | None) -> str:
    return checksum(spelled(document))
