"""The folder in which what guests are made of is kept: one build of a guest at a time, and files whole or not there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(cache: Path, name: str, waits: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Keep every other build of the guest *name* out of *cache*, also those of other processes. Raises OSError.

    *waits* is called when another has it, before it is waited for.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waits()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside *path* to write to, renamed to *path* when the block ends well. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield begun
        begun.replace(path)
    finally:
        begun.unlink(missing_ok=True)
