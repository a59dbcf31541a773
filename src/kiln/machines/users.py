"""The users that machines run as when Kiln is root: numbers that no other Kiln on the host uses.

A Kiln claims a block of numbers at a time, by a file in ``/run/kiln/users`` that
says whose it is: the folder of its machines, by its path, device and inode, so
that a copy of a data folder is another Kiln. A block whose folder is gone may be
claimed again once no process runs as one of its users. Within its blocks numbers
only grow, so that a file which an old machine left is not the next one's.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kiln.ground.short_files import read_short
from kiln.machines.errors import MachineRefused

CLAIMS = Path("/run/kiln/users")
BLOCK = 1024
_FIRST, _COUNT = 700_000, 65_536  #: Above what distributions and their subordinate ranges give away.
_SMALL_FIRST, _SMALL_COUNT = 30_000, 29_696  #: In a container that has only 65,536 users.
_PROC = Path("/proc")


def next_user(run: Path) -> int:
    """A user for a new machine of the Kiln whose machines' folder is *run*. Raises MachineRefused when none is left."""
    with _held(run / "next-uid") as counter:
        kept = os.pread(counter, 200, 0)
        with _claims():
            _take_again(run)
            number = int(kept) if kept.strip().isdigit() and _goes_on_at(run, int(kept)) else None
            if number is None:
                number = _block_start(_claim(run))
        os.ftruncate(counter, 0)
        os.pwrite(counter, str(number + 1).encode(), 0)
        os.fsync(counter)
    return number


def is_own(run: Path, uid: int) -> bool:
    """Whether a user is in a block that is claimed for *run*, or can be: it was before the host was started anew."""
    with _claims():
        block = _block_of(uid)
        if block is None:
            return False
        return block in _own_blocks(run) or _take(run, block)


def _take_again(run: Path) -> None:
    """Claim again what this Kiln's machines have: the claims are gone when the host was started anew."""
    for file in run.glob("*/uid"):
        with contextlib.suppress(OSError, ValueError):
            block = _block_of(int(read_short(file)))
            if block is not None:
                _take(run, block)


def _goes_on_at(run: Path, number: int) -> bool:
    """Whether the next user may be that number: in a block that was begun, or at the start of a new one."""
    block = _block_of(number)
    if block is None:
        return False
    is_own = block in _own_blocks(run)
    # One that is this Kiln's already was used from its start on.
    return not is_own and _take(run, block) if number == _block_start(block) else is_own or _take(run, block)


def _claim(run: Path) -> int:
    """Claim a block that is nobody's."""
    _, count = _range()
    for block in range(count // BLOCK):
        if not _path(block).exists() and not _lives(block) and _take(run, block):
            return block
    for block in range(count // BLOCK):
        if _take(run, block):
            return block
    raise MachineRefused(
        f"All users for machines are claimed by other Kilns on this host. {CLAIMS} names their folders; "
        "remove the files of those that you have deleted."
    )


def _take(run: Path, block: int) -> bool:
    """Claim this block if it is nobody's, or its Kiln is gone."""
    path = _path(block)
    holder = _read(path)
    if holder is not None and (holder == _name(run) or _is_there(holder)):
        return holder == _name(run)
    if _lives(block):
        return False
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(_name(run)))
    draft.replace(path)
    return True


def _own_blocks(run: Path) -> set[int]:
    name = _name(run)
    return {int(path.name) for path in CLAIMS.iterdir() if path.name.isdigit() and _read(path) == name}


def _name(run: Path) -> list[object]:
    about = run.stat()
    return [str(run), about.st_dev, about.st_ino]


def _is_there(holder: list[object]) -> bool:
    with contextlib.suppress(OSError):
        return _name(Path(str(holder[0]))) == holder
    return False


def _read(path: Path) -> list[object] | None:
    try:
        said = json.loads(read_short(path))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return said if isinstance(said, list) and said else None


def _lives(block: int) -> bool:
    """Whether a process runs as a user of the block."""
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if _block_of(entry.stat().st_uid) == block:
                    return True
    return False


def _path(block: int) -> Path:
    return CLAIMS / str(block)


def _block_start(block: int) -> int:
    return _range()[0] + block * BLOCK


def _block_of(uid: int) -> int | None:
    first, count = _range()
    return (uid - first) // BLOCK if first <= uid < first + count else None


@contextmanager
def _claims() -> Iterator[None]:
    """Keep every other Kiln from claiming anything."""
    CLAIMS.mkdir(mode=0o755, parents=True, exist_ok=True)
    with _held(CLAIMS / "lock"):
        yield


@contextmanager
def _held(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _range() -> tuple[int, int]:
    """The users that exist for us: a container may map only some of them."""
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        start, _, length = map(int, line.split())
        if start <= _FIRST and start + length >= _FIRST + _COUNT:
            return _FIRST, _COUNT
    return _SMALL_FIRST, _SMALL_COUNT
