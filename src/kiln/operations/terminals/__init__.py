"""Terminal sessions, by Session Manager's protocol on the serial console: one file for each operation."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.operations.terminals.describe_terminal_sessions import describe_terminal_sessions
from kiln.operations.terminals.describe_user_business_behavior import describe_user_business_behavior
from kiln.operations.terminals.end_terminal_session import end_terminal_session
from kiln.operations.terminals.start_terminal_session import start_terminal_session

PRODUCT = ECS

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    start_terminal_session,
    describe_terminal_sessions,
    end_terminal_session,
    describe_user_business_behavior,
)
