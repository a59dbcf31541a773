"""What a ClientToken was used for, as a word that is kept for days and compared with later requests.

What was understood counts, not how it was spelled: a retry may use another
alias, number lists otherwise, give the elements of a set in another order, or
come through another door. The word bears its version, so that one that an older
Kiln wrote is compared in the way in which it was made.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from kiln.declare.shapes import ESSENCE, essence

#: The first version bore no number.
_VERSIONS = {"": 1} | {str(number): number for number in range(2, ESSENCE + 1)}


def digest_of(given: Any) -> str:
    """The word for the Input *given*."""
    return f"{ESSENCE}:{_hash(essence(given))}"


def is_of(digest: str, given: Any) -> bool:
    """Whether *digest*, of this version or an older one, is the word for the Input *given*."""
    version, _, word = digest.rpartition(":")
    return version in _VERSIONS and word == _hash(essence(given, _VERSIONS[version]))


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
