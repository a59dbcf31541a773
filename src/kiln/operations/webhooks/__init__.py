"""Who is told of what changes in an account, by HTTP. One file for each operation."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import KILN
from kiln.operations.webhooks.create_webhook import create_webhook
from kiln.operations.webhooks.delete_webhook import delete_webhook
from kiln.operations.webhooks.describe_webhooks import describe_webhooks
from kiln.operations.webhooks.test_webhook import test_webhook

PRODUCT = KILN

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (create_webhook, describe_webhooks, test_webhook, delete_webhook)
