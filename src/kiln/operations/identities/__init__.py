"""Who calls, and by which keys: one file for each operation."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import STS
from kiln.operations.identities.assume_role import assume_role
from kiln.operations.identities.get_caller_identity import get_caller_identity

PRODUCT = STS

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (get_caller_identity, assume_role)
