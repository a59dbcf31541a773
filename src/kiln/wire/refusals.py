"""Calls that were refused, until the audit writes them down: a few rows, however many calls there were.

Who is refused costs nothing and can come as often as the wire takes it, so each
row of it would be a way to fill the disk. Calls that are alike (of one key, from
one address, of one action, refused with one code) are one row that counts them,
and an account has so many rows a time; what goes beyond is counted in the last.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from kiln.declare.metrics import AUDIT_CALLS
from kiln.ground.values import dataclass

WINDOW_S = 10.0  #: So often they are written down.
MOST = 20  #: Rows of one account a window.
_MOST_PUT_BACK = 200  #: Rows that wait for a database which took none.


Row = dict[str, Any]  #: Its columns.


@dataclass
class _Alike:
    row: Row
    count: int = 1


class Refusals:
    """See the module. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, dict[Hashable, _Alike]] = {}
        self._beyond: dict[str, int] = {}
        self._put_back: list[Row] = []

    def note(self, account: str, likeness: Hashable, tell: Callable[[], Row]) -> None:
        """Count a call; *tell* makes the row of it, where none like it was counted before."""
        with self._lock:
            found = self._found.setdefault(account, {})
            alike = found.get(likeness)
            is_counted = alike is not None or len(found) >= MOST
            if alike is not None:
                alike.count += 1
            elif is_counted:
                self._beyond[account] = self._beyond.get(account, 0) + 1
            else:
                found[likeness] = _Alike(tell())
        AUDIT_CALLS.add("counted" if is_counted else "refused")

    def take(self) -> list[Row]:
        """The rows, which are here no more."""
        with self._lock:
            found, beyond, rows = self._found, self._beyond, self._put_back
            self._found, self._beyond, self._put_back = {}, {}, []
        for account, kinds in found.items():
            *most, last = kinds.values()
            rows += [_counted(alike, 0) for alike in most]
            rows.append(_counted(last, beyond.get(account, 0)))
        return rows

    def put_back(self, rows: Sequence[Row]) -> None:
        """Have rows taken again the next time; of very many the last."""
        with self._lock:
            kept = [*rows, *self._put_back]
            self._put_back = kept[-_MOST_PUT_BACK:]
        if (lost := len(kept) - _MOST_PUT_BACK) > 0:
            AUDIT_CALLS.add("lost", by=lost)


def _counted(alike: _Alike, beyond: int) -> Row:
    counts = ({"n": alike.count} if alike.count > 1 else {}) | ({"o": beyond} if beyond else {})
    if not counts:
        return alike.row
    detail = json.loads(alike.row["detail"]) | counts
    return alike.row | {"detail": json.dumps(detail, ensure_ascii=False, separators=(",", ":"))}
