"""What a volume of the pool is to those who have it."""

from __future__ import annotations

from enum import StrEnum


class Use(StrEnum):
    """Why a volume is in the pool."""

    HEAD = "head"  #: A disk is written there.
    NAMED = "named"  #: A snapshot, and so perhaps an image, names it.
    UNNAMED = "unnamed"  #: Nothing names it any more, and something stands on it or is being made of it.
    DOOMED = "doomed"  #: Nothing needs it: it is to be swept.
    TRASH = "trash"  #: It was swept, and can be had back until its grace is over.
    OTHER = "other"  #: It is no volume that the database knows.
