"""How long something takes, as settings and flags spell it."""

from __future__ import annotations

import re

from kiln.ground.units import DAY_S


def to_seconds(text: str) -> float | None:
    """Seconds of a duration such as ``90s``, ``15m``, ``72h``, ``7d`` or ``0``; None when it is none."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text.strip())
    if found is None or (found[2] == "" and int(found[1])):
        return None
    return float(int(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": DAY_S}[found[2]])


def seconds_of(checked: str) -> float:
    """As ``to_seconds``, of what was checked."""
    seconds = to_seconds(checked)
    assert seconds is not None
    return seconds
