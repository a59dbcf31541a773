"""The operations by the names that tests call them by."""

from __future__ import annotations

from kiln.declare.products import ECS, ActionKey
from kiln.operations import ALL

BY_NAME = {operation.name: operation for operation in ALL}


def key_of(action: str) -> ActionKey:
    """What a request for *action* asks for, whether there is such an action or not."""
    return BY_NAME[action].key if action in BY_NAME else ActionKey(ECS, action)
