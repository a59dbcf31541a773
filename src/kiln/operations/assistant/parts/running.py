"""Running a command in guests: what RunCommand and InvokeCommand have in common."""

from __future__ import annotations

import json

from kiln.calls.call import Call, Job
from kiln.machines.port import Begun, Inside, Run
from kiln.operations.assistant.parts import contents, errand, errors
from kiln.operations.assistant.parts.errand import Errand, ErrandFacts
from kiln.operations.assistant.parts.targets import new_invocation
from kiln.operations.assistant.parts.words import decoded
from kiln.store.commands import Command
from kiln.store.instances import instances
from kiln.store.invocations import COMMAND, Invocation

#: Of the parameters that are given with an invocation.
PARAMETER_ERRORS = (
    errors.ParameterDisabled,
    errors.InvalidParameterParameters,
    errors.ParameterCountExceedLimit,
    errors.ParameterKeyExceedLimit,
    errors.ParameterKeyDuplicate,
    errors.ParameterNotMatched,
    errors.ParameterMissingValue,
    errors.CmdContentExceedLimit,
)


def invocation_of(
    call: Call, command: Command, parameters: dict[str, str], username: str, resource_group: str
) -> Invocation:
    """That a command is to be run."""
    return new_invocation(
        call,
        command.region,
        COMMAND,
        name=command.name,
        description=command.description,
        content=command.content,
        timeout_s=command.timeout_s,
        resource_group=resource_group,
        command=command.id,
        type=command.type,
        parameters=json.dumps(parameters) if parameters else "",
        enable_parameter=command.enable_parameter,
        working_dir=command.working_dir,
        username=username,
    )


def carry_out(job: Job[ErrandFacts]) -> None:
    """Have it run on one instance."""
    errand.run(job, _begin)


def _begin(inside: Inside, job: Job[ErrandFacts], found: Errand) -> Begun:
    said = found.invocation
    script = decoded(said.content)
    if said.enable_parameter:
        script = contents.fill(script, json.loads(said.parameters or "{}") | _built_in(job, found))
    return inside.begin(
        Run(
            name=said.id,
            script=script,
            timeout_s=said.timeout_s,
            user=said.username,
            directory=said.working_dir,
        )
    )


def _built_in(job: Job[ErrandFacts], found: Errand) -> dict[str, str]:
    with job.ports.database.read() as tx:
        instance = instances.find(tx, id=found.result.instance)
    values = (
        found.invocation.region,
        found.invocation.account,
        found.result.instance,
        "" if instance is None else instance.name,
        found.invocation.id,
        found.invocation.command,
    )
    return dict(zip(contents.BUILT_IN, values, strict=True))
