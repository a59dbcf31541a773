"""How the process that unpacks tells its end, for it and for who starts it, who has no need of what unpacks."""

from __future__ import annotations

REFUSED = 3  #: The bytes are not what they should be.
FULL = 4  #: There is no room.
