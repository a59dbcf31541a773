"""``kiln instance exec`` and ``cp``: a command in an instance's guest, and a file into it, by Cloud Assistant."""

from __future__ import annotations

import base64
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from kiln.cli import console, exits, output
from kiln.cli.exits import Refusal
from kiln.client.client import Client
from kiln.ground.short_files import NotShort, read_short
from kiln.ground.units import KiB

MOST_FILE_BYTES = 24 * KiB  #: SendFile takes 32 KB in Base64.
#: Beyond a command's own time: a minute to bring it to the guest, and one for the guest to say how it ended.
_BESIDE_S = 150.0
_FIRST_REST_S, _LONGEST_REST_S = 0.1, 1.0
_OPEN = ("Pending", "Running", "Stopping")
_HINT = (
    "It is QEMU's guest agent that answers, and in a guest that has just been started it does so when that has booted: "
    "`kiln call DescribeCloudAssistantStatus` says in which instances it does now."
)


def execute(
    client: Client, instance: str, command: Sequence[str], *, timeout_s: int, user: str | None, directory: str | None
) -> int:
    """Run a command in the guest and print what it printed; returns its exit code. Raises Refusal."""
    given: dict[str, Any] = {"Username": user, "WorkingDir": directory}
    params = {
        "Type": "RunShellScript",
        "CommandContent": base64.b64encode(f"exec {shlex.join(command)}".encode()).decode(),
        "ContentEncoding": "Base64",
        "Timeout": timeout_s,
        "InstanceId": [instance],
    } | {name: value for name, value in given.items() if value is not None}
    invoke = client.call("RunCommand", params)["InvokeId"]
    try:
        result = _wait(client, invoke, timeout_s + _BESIDE_S)
    except (KeyboardInterrupt, SystemExit):
        client.call("StopInvocation", InvokeId=invoke)
        output.note(f"\nkiln: the command is stopped in the guest ({invoke})")
        raise
    printed = base64.b64decode(result["Output"])
    if sys.stdout.isatty():
        console.write(printed, raw=False)
    else:
        sys.stdout.buffer.write(printed)
        sys.stdout.flush()
    if result["Dropped"]:
        output.note(f"kiln: {result['Dropped']} bytes in the middle of the output were not kept")
    if "ExitCode" not in result:
        raise _failed(result)
    return int(result["ExitCode"])


def copy(client: Client, instance: str, file: Path, path: str, mode: str) -> None:
    """Put a file into the guest, in place of what is there. Raises Refusal."""
    try:
        content = read_short(file, MOST_FILE_BYTES)
    except NotShort as error:
        hint = "Attach a disk that holds a larger one."
        raise Refusal(str(error), exits.FILE, hint) from error
    except OSError as error:
        raise Refusal(f"{file}: {error.strerror}", exits.FILE) from error
    folder, _, name = path.rpartition("/")
    sent = client.call(
        "SendFile",
        {
            "InstanceId": [instance],
            "Name": name or file.name,
            "TargetDir": folder or "/",
            "Content": base64.b64encode(content).decode(),
            "ContentType": "Base64",
            "FileMode": mode,
            "Overwrite": True,
        },
    )["InvokeId"]
    deadline, rest = time.monotonic() + _BESIDE_S, _FIRST_REST_S
    while True:
        (told,) = client.call("DescribeSendFileResults", InvokeId=sent)["Invocations"]["Invocation"]
        (result,) = told["InvokeInstances"]["InvokeInstance"]
        if result["InvocationStatus"] not in _OPEN:
            break
        rest = _rest(rest, deadline, sent)
    if result["InvocationStatus"] != "Success":
        raise _failed(result)


def split_target(target: str) -> tuple[str, str]:
    """The instance and the path of ``VM:PATH``. Raises typer.BadParameter."""
    instance, colon, path = target.partition(":")
    if not instance or not colon or not path.startswith("/"):
        raise typer.BadParameter(f"{target!r} is no INSTANCE:/PATH")
    return instance, path


def _wait(client: Client, invoke: str, within_s: float) -> dict[str, Any]:
    deadline, rest = time.monotonic() + within_s, _FIRST_REST_S
    while True:
        answer = client.call("DescribeInvocationResults", InvokeId=invoke)
        result: dict[str, Any]
        (result,) = answer["Invocation"]["InvocationResults"]["InvocationResult"]
        if result["InvocationStatus"] not in _OPEN:
            return result
        rest = _rest(rest, deadline, invoke)


def _rest(rest: float, deadline: float, invoke: str) -> float:
    if time.monotonic() > deadline:
        hint = f"`kiln call StopInvocation InvokeId={invoke}` ends it."
        raise Refusal(f"nobody says how {invoke} ended; it may go on", exits.TOO_LONG, hint)
    time.sleep(rest)
    return min(2 * rest, _LONGEST_REST_S)


def _failed(result: dict[str, Any]) -> Refusal:
    status, code = result["InvocationStatus"], result["ErrorCode"]
    message = f"{status}: {result['ErrorInfo'] or code or 'it was stopped'}" + (f" ({code})" if code else "")
    return Refusal(message, exits.FAILED_LATER, _HINT if code.startswith("Client") else "")
