"""Every operation of the service, in the order of the reference pages."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.operations.images.create_image import create_image

ALL: tuple[Operation[Any, Any, Any], ...] = (create_image,)

BY_NAME = {operation.name: operation for operation in ALL}
