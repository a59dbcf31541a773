"""The official client, pointed at a served Kiln.

It is imported when it is asked for: Kiln itself does not need it, and it takes a second.
"""

from __future__ import annotations

import importlib
from typing import Any

from kiln.testing.served import Served

#: For an answer; the client's own ten seconds are too few on a machine that does twenty other things.
_PATIENCE_MS = 300_000


def connect(served: Served, **changes: str) -> Any:
    """An ``alibabacloud_ecs20140526.client.Client`` of *served*; *changes* are other values for its ``Config``.

    Raises ModuleNotFoundError where the SDK is not installed.
    """
    sdk = importlib.import_module("alibabacloud_ecs20140526.client")
    config = importlib.import_module("alibabacloud_tea_openapi.utils_models").Config
    known = {"access_key_id": served.access_key_id, "access_key_secret": served.secret, "region_id": served.region}
    return sdk.Client(config(**(known | changes), endpoint=served.host, protocol="http", read_timeout=_PATIENCE_MS))
