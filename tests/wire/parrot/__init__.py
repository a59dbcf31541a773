"""A product that no cloud has, declared as every product is: what its operations go through knows none by name."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import Product
from tests.wire.parrot.create_disk import create_disk
from tests.wire.parrot.repeat_word import repeat_word

PRODUCT = Product("Parrot", "2020-02-02", mark="Parrot:")

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (create_disk, repeat_word)
