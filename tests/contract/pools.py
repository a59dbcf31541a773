"""The kinds of pool under contract, and what their tests put into them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kiln.pools import locks
from kiln.pools.port import Pool, Succession
from kiln.pools.qcow2 import Qcow2Pool
from tests.contract.rbd import RbdKind
from tests.copies import copied
from tests.pools.patterns import BLOCK, SIZE, node, opened, put
from tests.ring import KEY, passphrase


@dataclass(frozen=True)
class FolderKind:
    """A pool of files in a folder, and what can be done to it behind its back. Each kind can do as much."""

    name: str
    opens: Callable[[Path], Pool]
    tools: tuple[str, ...] = ("qemu-img", "qemu-io", "prlimit", "setpriv")
    #: Whether it takes its room from the file system of the folder that it is opened in.
    is_in_folder: bool = True

    def open(self, folder: Path) -> Pool:
        """The pool that belongs to a folder; again after a crash too."""
        return self.opens(folder)

    def again(self, prepared: Path, folder: Path, prepare: Callable[[Pool, Path], None]) -> Path:
        """Make *folder* one that *prepare* has prepared, as it has *prepared*."""
        return copied(prepared, folder)

    def allocated(self, pool: Pool, volume: str) -> int:
        """Bytes that the volume's own file takes."""
        return _own(pool, volume).stat().st_blocks * 512

    def lose(self, pool: Pool, volume: str) -> None:
        """Take a volume's bytes away behind the pool's back."""
        _own(pool, volume).unlink()

    def aside(self, pool: Pool, where: str) -> str:
        """The name, for QEMU's tools, of what was set aside."""
        back = Path(where).rename(Path(where).parents[1] / "v-back.qcow2")
        return node(pool, back.stem, writable=False)

    @contextlib.contextmanager
    def opened_in_trash(self, pool: Pool, volume: str) -> Iterator[None]:
        """Have a volume lie in the trash while a program has it open."""
        path = _own(pool, volume)
        with opened(node(pool, volume, writable=True), lambda: locks.is_open(path)):
            pool.create("v-more", SIZE)
            pool.discard(["v-more"])  # There is a trash then.
            path.rename(path.parent / "trash" / path.name)
            yield

    def close(self) -> None:
        """Give back what opened pools hold."""

    def tell_room(self) -> None:
        """Have the pool know how much room it has."""


def _own(pool: Pool, volume: str) -> Path:
    (own,) = (path for path in pool.files(volume) if path.stem == volume)
    return own


class _Encrypting(Qcow2Pool):
    """Encrypts all that it makes of nothing, so that whatever is asked of a pool is asked of encrypted volumes."""

    def create(self, volume, size_bytes, key=KEY):
        super().create(volume, size_bytes, key)


def _opened(kind):
    def opened(folder):
        pool = kind(folder / "pool")
        pool.keys = passphrase
        return pool

    return opened


#: Those that can keep volumes encrypted, in files of a folder, and those that say that they can't.
ENCRYPTING = [FolderKind("qcow2", _opened(Qcow2Pool)), FolderKind("encrypted", _opened(_Encrypting))]
PLAIN = [pytest.param(RbdKind(), marks=pytest.mark.ceph)]
KINDS = ENCRYPTING + PLAIN


def no_progress(percent):
    assert 0 <= percent <= 100


def never():
    return False


def raw_file(path, blocks, size=SIZE):
    """A raw image of ``{block number: byte}``."""
    content = bytearray(size)
    for at, byte in blocks.items():
        content[at * BLOCK : (at + 1) * BLOCK] = bytes([byte]) * BLOCK
    path.write_bytes(content)
    return path


def make_tree(pool):
    """base <- middle <- {left, right}: two layers and two heads, each with a block of its own."""
    pool.create("v-base", SIZE)
    put(pool, "v-base", {0: 1, 1: 1, 2: 1})
    pool.freeze([Succession("v-base", "v-middle")], None)
    put(pool, "v-middle", {1: 2, 3: 2})
    pool.freeze([Succession("v-middle", "v-left")], None)
    pool.clone("v-middle", "v-right", SIZE)
    put(pool, "v-left", {2: 3, 4: 3})
    put(pool, "v-right", {0: 4, 5: 4})


TREE = {
    "v-base": {0: 1, 1: 1, 2: 1},
    "v-middle": {0: 1, 1: 2, 2: 1, 3: 2},
    "v-left": {0: 1, 1: 2, 2: 3, 3: 2, 4: 3},
    "v-right": {0: 4, 1: 2, 2: 1, 3: 2, 5: 4},
}
