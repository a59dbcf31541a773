"""Cloud Assistant, by QEMU's guest agent: one file for each operation, and what they are built of in parts/."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.operations.assistant.create_command import create_command
from kiln.operations.assistant.delete_command import delete_command
from kiln.operations.assistant.describe_cloud_assistant_status import describe_cloud_assistant_status
from kiln.operations.assistant.describe_commands import describe_commands
from kiln.operations.assistant.describe_invocation_results import describe_invocation_results
from kiln.operations.assistant.describe_invocations import describe_invocations
from kiln.operations.assistant.describe_send_file_results import describe_send_file_results
from kiln.operations.assistant.invoke_command import invoke_command
from kiln.operations.assistant.modify_command import modify_command
from kiln.operations.assistant.run_command import run_command
from kiln.operations.assistant.send_file import send_file
from kiln.operations.assistant.stop_invocation import stop_invocation

PRODUCT = ECS

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    run_command,
    create_command,
    invoke_command,
    describe_commands,
    modify_command,
    delete_command,
    describe_invocations,
    describe_invocation_results,
    stop_invocation,
    send_file,
    describe_send_file_results,
    describe_cloud_assistant_status,
)
