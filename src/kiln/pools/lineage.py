"""Whether a volume and what it stands on are what the books say: the same volumes, and no file cut.

A header that a broken QEMU wrote may name any volume, and who reads it would
have another tenant's bytes. A file that was cut, by a host that lost its end,
QEMU reads as if zeros followed, and says nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kiln.pools.errors import VolumeBroken, VolumeMissing

#: A volume and all that it stands on by the word of whoever keeps the books, the lowest last, each with the bytes of
#: its file, or None where that may grow. None of a volume that is not in them.
Lineage = Callable[[str], Mapping[str, int | None] | None]


def require_kin(volume: str, below: Sequence[str], ask: Lineage) -> None:
    """Raise VolumeBroken when headers name what the books do not have *below*.

    They may leave out what was merged into another and is not in the books yet.
    """
    known = ask(volume) if below else None
    if known is not None and (strange := next((name for name in below if name not in known), None)):
        raise VolumeBroken(f"{volume} stands on {strange}, of which the database knows nothing")


def require_whole(volume: str, below: Sequence[str], ask: Lineage, length: Callable[[str], int]) -> None:
    """As ``require_kin``; raise it also when a file has another *length* than the books say."""
    require_kin(volume, below, ask)
    require_files(volume, ask, length)


def require_files(volume: str, ask: Lineage, length: Callable[[str], int]) -> None:
    """Raise VolumeMissing, VolumeBroken when a file of what the books have below *volume* is gone, or was cut.

    It reads no header, so that it costs a capture next to nothing.
    """
    try:
        _look(ask(volume), length)
    except (VolumeMissing, VolumeBroken):
        # A merge has the books forget a length before it replaces a file, and a name before the file goes. So who asks
        # once more and is told the same was in the middle of none.
        _look(ask(volume), length)


def _look(known: Mapping[str, int | None] | None, length: Callable[[str], int]) -> None:
    for name, said in (known or {}).items():
        if said is not None and length(name) != said:
            raise VolumeBroken(f"the file of {name} has {length(name)} bytes, and was made with {said}")
