"""How one part of a process says to another, past a socket that anybody may speak to, for whom it asks.

The console asks the API as any client does, from this host's own address. That it asks for a browser at another address
is believed to whoever knows a secret of this process, which is in its memory alone.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from ipaddress import ip_address

HEADER = "x-kiln-asked-from"


class Voucher:
    """Made once, and given to both."""

    def __init__(self) -> None:
        self._secret = secrets.token_urlsafe(24)

    def say(self, address: str) -> Mapping[str, str]:
        """The headers by which a request is made for somebody at that address; none where it is no address."""
        try:
            return {HEADER: f"{self._secret} {ip_address(address)}"}
        except ValueError:
            return {}

    def heard(self, headers: Mapping[str, str]) -> str:
        """The address for which a request with these headers was made; empty where nobody who may has said one."""
        secret, _, address = headers.get(HEADER, "").partition(" ")
        return address if hmac.compare_digest(secret.encode(), self._secret.encode()) else ""
