"""How somebody shows the service on this host that its own files are theirs to read, as its operator's alone are.

Whoever has a key of any account may ask for a link to the console. What a link of the operator's shows beside is proved
by the master key, which no account has: the time, and what only who reads that key can make of it.
"""

from __future__ import annotations

import hmac

from kiln.ground.clock import Clock, system_clock
from kiln.service.errors import SecretBroken
from kiln.service.secrets import Sealer

_GOOD_FOR_S = 60.0  #: It is used at once, by the same host's clock.
_PURPOSE = "who asks for a link to the console is the operator"


def prove(sealer: Sealer, clock: Clock = system_clock) -> str:
    """A proof, good for a minute. Raises SecretBroken where there is no master key."""
    when = str(int(clock()))
    return f"{when}.{_sign(sealer, when)}"


def is_proved(sealer: Sealer, proof: str, clock: Clock = system_clock) -> bool:
    """Whether *proof* was made by who reads the same master key, within the last minute."""
    when, _, signed = proof.partition(".")
    if not (when.isascii() and when.isdecimal() and abs(clock() - float(when)) <= _GOOD_FOR_S):
        return False
    try:
        return hmac.compare_digest(signed.encode(), _sign(sealer, when).encode())
    except SecretBroken:
        return False


def _sign(sealer: Sealer, when: str) -> str:
    return hmac.digest(sealer.derived(_PURPOSE), when.encode(), "sha256").hex()
