"""The kinds of pool under contract, and what their tests put into them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kiln.pools.port import Pool, Succession
from kiln.pools.qcow2 import Qcow2Pool
from tests.pools.patterns import BLOCK, SIZE, put
from tests.ring import KEY, passphrase


@dataclass(frozen=True)
class Kind:
    """One kind of pool: how to open one in a folder, again after a crash too, and what it needs."""

    name: str
    tools: tuple[str, ...]
    open: Callable[[Path], Pool]


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


_TOOLS = ("qemu-img", "qemu-io", "prlimit", "setpriv")
KINDS = [Kind("qcow2", _TOOLS, _opened(Qcow2Pool)), Kind("encrypted", _TOOLS, _opened(_Encrypting))]


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


def allocated(pool: Pool, volume: str) -> int:
    """Bytes that the volume's own file takes."""
    (own,) = (path for path in pool.files(volume) if path.stem == volume)
    return own.stat().st_blocks * 512
