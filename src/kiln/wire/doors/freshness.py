"""Whether a request is of now, and not a second time.

Times are checked against the window of 15 minutes either way before the
signature, nonces after it: only a proved request may use one up.
"""

from __future__ import annotations

import re
from datetime import datetime

from kiln.wire.errors import InvalidTimeStampExpired, InvalidTimeStampFormat, SignatureNonceUsed, Throttling
from kiln.wire.key import Key
from kiln.wire.nonces import WINDOW_S, Nonces, Use

#: Some clients add a fraction of a second: ``2026-11-23T06:42:20.338Z``.
_utc = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?Z").fullmatch
_milliseconds = re.compile(r"[0-9]{1,15}").fullmatch


def of_utc(text: str) -> float:
    """Seconds since the epoch of ``yyyy-MM-ddTHH:mm:ssZ``, with or without a fraction.

    Raises InvalidTimeStampFormat.
    """
    found = _utc(text)
    if not found:
        raise InvalidTimeStampFormat
    try:
        return datetime.fromisoformat(f"{found[1]}Z").timestamp() + float(f"0{found[2] or '.0'}")
    except ValueError:
        raise InvalidTimeStampFormat from None


def of_milliseconds(text: str) -> float:
    """Seconds since the epoch of a count of milliseconds; raises InvalidTimeStampFormat."""
    if not _milliseconds(text):
        raise InvalidTimeStampFormat
    return int(text) / 1000


def check_clock(at: float, now: float) -> None:
    """Raise InvalidTimeStampExpired when *at* is more than the window away from *now*."""
    if not now - WINDOW_S <= at <= now + WINDOW_S:
        raise InvalidTimeStampExpired


def use_once(nonces: Nonces, key: Key, nonce: str, *, at: float, now: float) -> None:
    """Use up *nonce*.

    Raises SignatureNonceUsed for a replay, InvalidTimeStampExpired when nobody
    knows whether it is one, and Throttling when no more can be remembered.
    """
    use = nonces.use(key.id, nonce, at=at, now=now, account=key.account_id)
    if use is Use.USED:
        raise SignatureNonceUsed
    if use is Use.FORGOTTEN:
        raise InvalidTimeStampExpired
    if use is Use.FULL:
        raise Throttling
