"""The way to a pool of a Ceph: one connection for a process, and what its errors mean to us."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kiln.ground.values import dataclass
from kiln.pools.errors import PoolClosed, PoolFull, PoolOutOfReach, ToolFailed
from kiln.pools.rbd import binding, entrances
from kiln.pools.rbd.entrances import Address

EXCLUSIVELY = 1  #: LIBRADOS_CREATE_EXCLUSIVE, which the binding has no name for.
_CONNECTING_S = 15
_MAX_ERRNO = 4095  #: What a comparison that fails answers, and the place of the first byte that differs.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
#: What Ceph answers a client that was fenced off, and one that its key does not allow to write.
_CLOSED = (errno.ESHUTDOWN, errno.EROFS, errno.EACCES, errno.EPERM)


@dataclass
class _Connection:
    """One that stands. Ceph's library crashes where one is ended that is used, and where one is used that has ended."""

    rados: Any
    ioctx: Any
    of_process: int
    uses: int = 0
    is_over: bool = False  #: Whether it is to end with the last use.

    def end(self) -> None:
        self.ioctx.close()
        self.rados.shutdown()


class Cluster:
    """The connection, made when it is first used. Safe to use from many threads."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.rados, self.rbd = binding.load()
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._entrance: dict[str, Any] | None = None

    @property
    def images(self) -> Any:
        """What librbd does with images by name."""
        return self.rbd.RBD()

    @contextlib.contextmanager
    def image(self, name: str, *, snapshot: str | None = None, is_looked_at: bool = False) -> Iterator[Any]:
        """Open an image, to change it unless it *is_looked_at* only: then nobody hears of it.

        Raises what ``telling`` does, and the binding's ImageNotFound.
        """
        with self.telling() as ioctx:
            opened = self.rbd.Image(ioctx, name, snapshot=snapshot, read_only=is_looked_at)
            try:
                yield opened
            finally:
                opened.close()

    @contextlib.contextmanager
    def telling(self) -> Iterator[Any]:
        """Use the connection, which stands until the use ends; yields where all objects and images are.

        Ceph's errors are turned into ours, but for ImageNotFound, which means something else to everybody. Raises
        PoolOutOfReach, PoolFull, PoolClosed, ToolFailed.
        """
        with self._used() as connection:
            yield connection.ioctx

    def close(self) -> None:
        """Give the connection back, which ends with its last use; the next use makes another."""
        with self._lock:
            connection = self._detached()
            is_unused = connection is not None and not connection.uses
        if connection is not None and is_unused:
            connection.end()

    @contextlib.contextmanager
    def _used(self) -> Iterator[_Connection]:
        with self._translated():
            with self._lock:
                connection = self._stands()
                connection.uses += 1
            try:
                yield connection
            finally:
                with self._lock:
                    connection.uses -= 1
                    is_last = connection.is_over and not connection.uses
                if is_last:
                    connection.end()

    def _stands(self) -> _Connection:
        """The connection of this process. The caller holds the lock."""
        # What a process inherits of a connection has none of the threads that serve it.
        if self._connection is None or self._connection.of_process != os.getpid():
            # Ceph draws the number that tells a client from another at its address by a generator of the thread: in
            # two processes that were forked from one it would be the same, and who fences off one fences off both.
            with ThreadPoolExecutor(1, thread_name_prefix="connect") as fresh:
                self._connection = fresh.submit(self._connect).result()
        return self._connection

    def _detached(self) -> _Connection | None:
        """The connection that was this process's, which nobody uses from here on. The caller holds the lock."""
        connection, self._connection = self._connection, None
        if connection is None or connection.of_process != os.getpid():
            return None  # To end one that was inherited waits for threads that are not here.
        connection.is_over = True
        return connection

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self.rbd.ImageNotFound:
            raise
        except (self.rados.Error, self.rbd.Error) as error:
            number = _number_of(error)
            if number in _NO_ROOM:
                raise PoolFull(f"{self.address} has no room left") from error
            if number in _CLOSED:
                raise PoolClosed(f"{self.address}: {error}") from error
            raise ToolFailed(f"{self.address}: {error}", number) from error

    def _connect(self) -> _Connection:
        cluster = self._told()
        try:
            # Clones of this kind need no protected snapshots, and their parents may be deleted before them.
            cluster.conf_set("rbd_default_clone_format", "2")
            # The time that ``connect`` takes is not heeded, and without this one it is five minutes.
            cluster.conf_set("client_mount_timeout", str(_CONNECTING_S))
            self._enter(cluster)
            try:
                ioctx = cluster.open_ioctx(self.address.pool)
            except self.rados.ObjectNotFound as error:
                why = f"{self.address}: that Ceph has no pool {self.address.pool}"
                raise PoolOutOfReach(why, errno.ENOENT) from error
            # A full cluster else keeps whoever writes waiting, and so also whoever deletes.
            ioctx.set_osdmap_full_try()
            if self.address.namespace:
                self._require_namespace(ioctx)
                ioctx.set_namespace(self.address.namespace)
        except BaseException:
            cluster.shutdown()
            raise
        return _Connection(cluster, ioctx, os.getpid())

    def _told(self) -> Any:
        """A client that knows its configuration. Raises PoolOutOfReach where that cannot be read."""
        file = self.address.configuration
        try:
            return self.rados.Rados(
                conffile=self.rados.Rados.DEFAULT_CONF_FILES if file is None else str(file), rados_id=self.address.user
            )
        except self.rados.Error as error:
            number = _number_of(error)
            why = f"{self.address}: {self.address.told_by} cannot be read: {os.strerror(number)}"
            raise PoolOutOfReach(why, number) from error

    def _enter(self, cluster: Any) -> None:
        try:
            cluster.connect()
        except self.rados.Error as error:
            why = entrances.why_not_in(cluster, self.address, _number_of(error))
            if why is None:
                raise
            raise PoolOutOfReach(f"{self.address}: {why}", _number_of(error)) from error

    def _require_namespace(self, ioctx: Any) -> None:
        if not self.images.namespace_exists(ioctx, self.address.namespace):
            with contextlib.suppress(self.rbd.ImageExists):
                self.images.namespace_create(ioctx, self.address.namespace)

    def entrance(self) -> dict[str, Any]:
        """What a block node says of the way to the cluster: its monitors, and the key, which QEMU is told as a secret.

        So a machine's user need not read Ceph's files. Where the monitors are named in no way that QEMU takes, it is
        the configuration's file. Raises ToolFailed.
        """
        with self._used() as connection:
            if self._entrance is None:
                self._entrance = entrances.found(connection.rados, self.address)
            return self._entrance

    @property
    def client(self) -> int:
        """Ceph's number of this connection."""
        with self._used() as connection:
            return int(connection.rados.get_instance_id())

    def cut_off(self, address: str, seconds: int) -> None:
        """Have Ceph refuse everything of the client at *address* for so long. Raises ToolFailed."""
        with self._used() as connection:
            connection.rados.blocklist_add(address, seconds)

    def stats(self) -> tuple[int, int]:
        """Bytes that the cluster has free, and in all; zeros while its manager does not tell. Raises ToolFailed."""
        with self._used() as connection:
            told = connection.rados.get_cluster_stats()
        return told["kb_avail"] * 1024, told["kb"] * 1024


def is_overtaken(rados: Any, error: Exception) -> bool:
    """Whether a write failed because the object is not what it was compared with, or is there already."""
    return isinstance(error, rados.ObjectExists) or _number_of(error) >= _MAX_ERRNO


def _number_of(error: Exception) -> int:
    """What Ceph answered, as errno has it; 0 where it said no number."""
    return abs(int(getattr(error, "errno", 0) or 0))
