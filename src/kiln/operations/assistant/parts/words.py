"""Parameters that the operations of Cloud Assistant share, each described once."""

from __future__ import annotations

import base64
from typing import Annotated

from kiln.declare.operation import Idempotence
from kiln.declare.rules import Accepted, Between, Composed, Declined, Doc, Example, OneOf, Pattern, Secret, Text
from kiln.declare.states import InvocationStatus
from kiln.ground.units import DAY_S
from kiln.operations.assistant.parts import errors
from kiln.operations.errors.requests import InvalidClientTokenMalformed

DEFAULT_TIMEOUT_S = 60
MOST_INSTANCES = 100
PLAIN, BASE64 = "PlainText", "Base64"
IDEMPOTENT = Idempotence(mismatch=errors.IdempotentParameterMismatchOfCommands, malformed=InvalidClientTokenMalformed)

CommandId = Annotated[str, Example("c-bp1f2r8hgkc0x5wq3a9t"), Doc("The ID of the command.")]
InvokeId = Annotated[str, Example("t-bp1hvgwromzv32iq5v8d"), Doc("The ID of the invocation.")]
CommandName = Annotated[
    str, Text(1, 128, errors.CmdNameExceedLimit), Composed(), Example("check-disk"), Doc("The name of the command.")
]
CommandDescription = Annotated[
    str, Text(1, 512, errors.CmdDescExceedLimit), Example("Says how full the disks are."), Doc("A description.")
]
CommandType = Annotated[
    str,
    OneOf(("RunShellScript",), errors.InvalidCmdTypeNotFound),
    Example("RunShellScript"),
    Doc(
        "RunShellScript: the program that the first line names after #! runs the content, and else /bin/sh. Commands "
        "of Windows (RunBatScript, RunPowerShellScript) are refused."
    ),
]
Encoding = Annotated[
    str, OneOf((PLAIN, BASE64), any_case=True), Example(PLAIN), Doc("How the content is given: PlainText or Base64.")
]
AnswerEncoding = Annotated[
    str, OneOf((PLAIN, BASE64), any_case=True), Example(PLAIN), Doc("How contents and outputs are told.")
]
WorkingDir = Annotated[
    str,
    Pattern(
        r"[^\x00-\x1f\x7f]{1,200}", "a path of at most 200 characters", "x" * 201, errors.InvalidParameterWorkingDir
    ),
    Example("/root"),
    Doc("The directory in the guest where it begins. The home of the user who runs it when not given."),
]
Timeout = Annotated[
    int,
    Between(10, DAY_S, errors.InvalidTimeoutExceedLimit),
    Example("60"),
    Doc("Seconds after which the command is killed, with all that it has started."),
]
Username = Annotated[
    str,
    Pattern(
        r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,254}",
        "at most 255 letters, digits and _ . @ -, not beginning with one of the last three",
        "x" * 256,
        errors.UsernameExceedLimit,
    ),
    Example("root"),
    Doc("The user in the guest who runs it. root when not given."),
]
EnableParameter = Annotated[bool, Doc("Whether {{name}} in the content stands for a parameter.")]
Parameters = Annotated[
    str,
    Secret(),
    Example('{"name":"Jack"}'),
    Doc("A JSON object: what stands for {{name}} in the content, for each name."),
]
RepeatMode = Annotated[
    str,
    OneOf(("Once",), errors.InvalidRepeatModeNotFound),
    Example("Once"),
    Doc("Once: at once. Schedules and runs at reboots are refused, as is DryRun, for which there is the parameter."),
]
Frequency = Annotated[str, Declined("commands are run at once, and no schedule is kept"), Doc("A schedule.")]
Timed = Annotated[bool, Declined("commands are run at once, and no schedule is kept"), Doc("Obsolete: a schedule.")]
Container = Annotated[str, Declined("commands run in the guest itself, not in containers"), Doc("A container.")]
Launcher = Annotated[str, Declined("a content names its program in its first line, after #!"), Doc("A launcher.")]
Delivery = Annotated[str, Declined("outputs are not put into buckets"), Doc("A bucket for the output.")]
WindowsPassword = Annotated[str, Declined("no commands are run in Windows"), Doc("Of a user of Windows.")]
TerminationMode = Annotated[
    str,
    OneOf(("Process", "ProcessTree")),
    Accepted("What a command has started is killed with it, in either mode."),
    Doc("What is killed when it is stopped, or its time is up."),
]
InvocationStatusFilter = Annotated[
    str,
    OneOf(("Running", "Finished", "Success", "Failed", "PartialFailed", "Stopped", "Stopping", "Pending")),
    Example("Finished"),
    Doc("Only those in this status."),
]


def encoded(content: str, encoding: str) -> str:
    """What is kept in Base64, as an answer tells it."""
    if encoding.lower() == BASE64.lower():
        return content
    return decoded(content).decode(errors="replace").replace("\0", "\ufffd")


def decoded(content: str) -> bytes:
    """What is kept in Base64."""
    return base64.b64decode(content)


def record_status(status: str) -> str:
    """The older word for how it went on one instance (DescribeInvocationResults, InvokeRecordStatus)."""
    return _RECORDS[InvocationStatus(status)]


_RECORDS = {
    InvocationStatus.PENDING: "Running",
    InvocationStatus.RUNNING: "Running",
    InvocationStatus.STOPPING: "Stopping",
    InvocationStatus.SUCCESS: "Finished",
    InvocationStatus.FAILED: "Finished",
    InvocationStatus.ABORTED: "Failed",
    InvocationStatus.INVALID: "Failed",
    InvocationStatus.ERROR: "Failed",
    InvocationStatus.TIMEOUT: "Failed",
    InvocationStatus.CANCELLED: "Stopped",
    InvocationStatus.TERMINATED: "Stopped",
}
#: The statuses in which one instance is, for each that may be asked for.
STATUSES = {
    "Running": (InvocationStatus.PENDING, InvocationStatus.RUNNING),
    "Finished": (InvocationStatus.SUCCESS, InvocationStatus.FAILED),
    "Success": (InvocationStatus.SUCCESS,),
    "Failed": (
        InvocationStatus.FAILED,
        InvocationStatus.ABORTED,
        InvocationStatus.INVALID,
        InvocationStatus.ERROR,
        InvocationStatus.TIMEOUT,
    ),
    "PartialFailed": (),
    "Stopped": (InvocationStatus.CANCELLED, InvocationStatus.TERMINATED),
    "Stopping": (InvocationStatus.STOPPING,),
    "Pending": (InvocationStatus.PENDING,),
}
