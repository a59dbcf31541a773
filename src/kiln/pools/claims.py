"""What the processes that have one pool open tell each other: who lives, and what each is just at.

Each is a lock on a byte of one file, found by the digest of its name: so
there is nothing to be made, swept or lost, a process that dies on whatever host
has told the truth at once, and a file system that hosts share tells it to all.
Nobody waits for a lock here; whoever finds one does without, or says so. All that
is in the file is a mark, another one whenever a volume's file was replaced.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from kiln.ground.bytelocks import give_back, is_taken, take
from kiln.pools.errors import VolumeBusy

NAME = "claims"
_FOLDER_MODE = 0o700
_MARK_BYTES = 16
_REPLACING = "replacing"  #: A name that no volume has, since it is shared by all that replace one's file.
_OWNER_BYTES = 7  #: Of the file's 2^63 bytes, that a lock may be on, names fall on 2^56.
_OWNER = re.compile(f"[0-9a-f]{{{2 * _OWNER_BYTES}}}")


class Claims:
    """The claims of one process on the pool whose hidden folder is *folder*. Safe to use from many threads.

    The file is made with the first claim. Everything here raises OSError where it cannot be, or be locked.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._fd = -1
        self._held: set[str] = set()
        self._shared: Counter[str] = Counter()
        #: What names of this process's drafts bear.
        self.owner = secrets.token_hex(_OWNER_BYTES)
        self._is_told = False

    def tell(self) -> str:
        """Have all others know that this process lives, from now to its end; returns its name, ``owner``."""
        with self._lock:
            if not self._is_told:
                take(self._opened(), int(self.owner, 16))
                self._is_told = True
        return self.owner

    def is_alive(self, owner: str) -> bool:
        """Whether the process of that name, which may be this one, lives and has the pool open."""
        if owner == self.owner:
            return True
        if _OWNER.fullmatch(owner) is None:
            return False
        with self._lock:
            fd = self._look()
            return fd >= 0 and is_taken(fd, int(owner, 16))

    def hold(self, name: str) -> bool:
        """Claim a name alone; False where anybody has claimed it, in this process too. To be released."""
        with self._lock:
            if name in self._held or self._shared[name] or not take(self._opened(), _byte_of(name)):
                return False
            self._held.add(name)
            return True

    def share(self, name: str) -> bool:
        """Claim a name among others who share it; False where somebody holds it alone. To be released each time."""
        with self._lock:
            if name in self._held:
                return False
            if not self._shared[name] and not take(self._opened(), _byte_of(name), shared=True):
                return False
            self._shared[name] += 1
            return True

    def release(self, name: str) -> None:
        """Give up what ``hold`` or ``share`` gave."""
        with self._lock:
            self._held.discard(name)
            self._shared -= Counter((name,))
            if self._fd >= 0 and not self._shared[name]:
                give_back(self._fd, _byte_of(name))

    def is_claimed_elsewhere(self, name: str) -> bool:
        """Whether another process has claimed a name, alone or not."""
        with self._lock:
            fd = self._look()
            return fd >= 0 and is_taken(fd, _byte_of(name))

    @contextmanager
    def replacing(self) -> Iterator[None]:
        """Have all others know that the file of a volume is replaced now, also where this process dies at it."""
        self.share(_REPLACING)
        try:
            with self._lock:
                os.pwrite(self._opened(), secrets.token_bytes(_MARK_BYTES), 0)
            yield
        finally:
            self.release(_REPLACING)

    def mark(self) -> tuple[bytes, bool]:
        """What is another one once a file was replaced, and whether nobody is just at it: then it tells of all."""
        with self._lock:
            fd = self._look()
            if fd < 0:
                return b"", True
            mark = os.pread(fd, _MARK_BYTES, 0)  # Before the look at who is at it, who has changed it already.
            return mark, not self._shared[_REPLACING] and not is_taken(fd, _byte_of(_REPLACING))

    @contextmanager
    def alone(self, name: str, why_not: str) -> Iterator[None]:
        """Hold a name. Raises VolumeBusy, which says *why_not*, where somebody else does."""
        if not self.hold(name):
            raise VolumeBusy(why_not)
        try:
            yield
        finally:
            self.release(name)

    def close(self) -> None:
        """Give up everything, the life of this process too, until the next claim."""
        with self._lock:
            if self._fd >= 0:
                self._close()
            self._fd, self._is_told = -1, False
            self._held.clear()
            self._shared.clear()

    def _opened(self) -> int:
        """The file, made where it is not there."""
        if self._fd < 0:
            self._folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            self._keep(os.open(self._folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return self._fd

    def _look(self) -> int:
        """The file, or -1 where nobody has made it: then nobody has claimed anything."""
        if self._fd < 0:
            try:
                self._keep(os.open(self._folder / NAME, os.O_RDWR | os.O_CLOEXEC))
            except FileNotFoundError:
                return -1
        return self._fd

    def _keep(self, fd: int) -> None:
        self._fd = fd
        self._close = weakref.finalize(self, os.close, fd)


def _byte_of(name: str) -> int:
    """Where its lock is. Two names on one byte would only be busy together."""
    return int.from_bytes(blake2b(name.encode(), digest_size=_OWNER_BYTES).digest())
