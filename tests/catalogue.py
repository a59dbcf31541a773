"""The operations by the names that tests call them by."""

from __future__ import annotations

from kiln.declare.operation import Operation
from kiln.declare.products import ECS, ActionKey
from kiln.operations import titled

BY_NAME = titled()
TITLES = {operation.key: title for title, operation in BY_NAME.items()}


def title_of(operation: Operation) -> str:
    """What tests call *operation* by."""
    return TITLES[operation.key]


def key_of(action: str | ActionKey) -> ActionKey:
    """What a request for *action* asks for, whether there is such an action or not."""
    if isinstance(action, ActionKey):
        return action
    return BY_NAME[action].key if action in BY_NAME else ActionKey(ECS, action)
