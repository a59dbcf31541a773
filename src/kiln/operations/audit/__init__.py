"""Who changed what: one file for each operation."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import ACTIONTRAIL
from kiln.operations.audit.lookup_events import lookup_events

PRODUCT = ACTIONTRAIL

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (lookup_events,)
