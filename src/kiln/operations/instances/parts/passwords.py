"""Giving guests their passwords: by the guest agent, when it first answers after a start.

What was given to RunInstances, CreateInstance, ModifyInstanceAttribute or
ReplaceSystemDisk is due from then on, and is given by a task that each start
leaves, once. Where no password was given and the image's is not to be
inherited, the guest gets one that nobody knows: who logs in there without
having been given anything would know an image's for all its instances.

A guest may have no agent, or one that comes up late: the task waits for it as
long as the machine runs, beside everything else that concerns the instance.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from kiln.calls.call import Job, NotYet, Ports
from kiln.declare.errors import ApiError
from kiln.declare.facts import facts
from kiln.declare.ids import new_id
from kiln.declare.states import InstanceStatus
from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.machines.errors import AgentRefused, AgentSilent
from kiln.machines.port import Inside
from kiln.store.database import Transaction
from kiln.store.instances import Instance, instances
from kiln.store.lanes import password_lane
from kiln.store.tasks import append, hasten, new_task

#: The task that gives it.
GIVE_PASSWORD = "GivePassword"  # noqa: S105 - it is none, but the name of an action.

_LOOK_AGAIN_S = 2.0
_BOOTS_S = 300.0  #: A guest whose agent did not answer in that time may have none, and is asked less often.
_LOOK_SELDOM_S = 30.0
_REFUSALS = 10  #: While its file systems are frozen, or while it still boots, an agent may refuse what it does later.
_UNKNOWN_BYTES = 18

#: It may stay so for ever, and nothing is wrong: whoever reads it is to know that.
_SILENT = "The guest's agent has not answered yet. One without an agent goes on as it is, and gets no password."

log = Journal("kiln.operations")


class PasswordRefused(ApiError):
    """The guest's agent did not set the password. Seen in the log, and in why the instance is as it is."""

    code = "PasswordRefused"
    status = 500
    message = "The guest did not take the password, which is tried again after its next start: {reason}"
    hint = "The guest's own rules for passwords hold: one that they take may be set, and is given at its next start."


@facts()
class PasswordFacts:
    """What is remembered of a password that is to be given."""

    instance: str
    refusals: int = 0  #: How often the agent has said no.


def begin(tx: Transaction, ports: Ports, instance: str) -> None:
    """Have the guest of an instance that runs from now on be given what is due, if something is."""
    row = instances.find(tx, id=instance)
    if row is None or not row.password_due or hasten(tx, password_lane(instance)):
        return
    # The task's resource is itself: whoever ends a task unread ends what its resource is on the way to.
    name = new_id("task")
    append(
        tx,
        new_task(
            GIVE_PASSWORD,
            name,
            PasswordFacts(instance=instance),
            ports.clock(),
            account=row.account,
            region=row.region,
            lane=password_lane(instance),
            task_id=name,
            host=ports.host,
        ),
    )


def carry_out(job: Job[PasswordFacts]) -> None:
    """Give the guest what is due, and record that. Raises NotYet while its agent does not answer."""
    with job.ports.database.read() as tx:
        row = instances.find(tx, id=job.facts.instance)
    inside = job.ports.machines.inside(job.facts.instance)
    if row is None or not row.password_due or inside is None:
        _end_without(job)
        return
    if not inside.is_there():
        raise _not_yet(job, row, _SILENT)
    try:
        _give(job, row, inside)
    except AgentSilent as error:
        raise _not_yet(job, row, str(error)) from error
    except AgentRefused as error:
        _refused(job, row, error)


def _give(job: Job[PasswordFacts], row: Instance, inside: Inside) -> None:
    user = "Administrator" if row.system.os_type == "windows" else "root"
    inside.set_password(user, job.ports.unseal(row.password) if row.password else _unknown())

    def record(tx: Transaction) -> bool:
        # Not of one that was changed meanwhile.
        if not instances.update(tx, {"password_due": False}, id=row.id, password=row.password):
            return False
        job.finish(tx)
        return True

    if not job.write(record):
        raise _not_yet(job, row, "It was changed meanwhile.")
    reach("passwords.recorded")
    log.info("password_given", instance=row.id, user=user, known=bool(row.password))


def _end_without(job: Job[PasswordFacts]) -> None:
    """End where there is nothing to give, or nobody to give it to. Raises NotYet while a start is on its way."""
    is_on = job.ports.machines.is_running(job.facts.instance)

    def end(tx: Transaction) -> bool:
        row = instances.find(tx, id=job.facts.instance)
        starts = row is not None and row.status in (InstanceStatus.STARTING, InstanceStatus.RUNNING)
        # In the transaction that ends it, since a start that finds it leaves no other.
        if row is not None and row.password_due and starts and not is_on:
            return False
        job.finish(tx)
        return True

    if not job.write(end):
        raise NotYet(_LOOK_AGAIN_S, "The machine does not run yet.")


def _refused(job: Job[PasswordFacts], row: Instance, error: AgentRefused) -> None:
    """Ask some times more, then give up. Raises NotYet, PasswordRefused."""
    refusals = job.facts.refusals + 1
    if refusals < _REFUSALS:
        job.note(replace(job.facts, refusals=refusals))
        raise NotYet(_LOOK_AGAIN_S, str(error)) from error
    if row.password:
        raise PasswordRefused(reason=str(error)) from error
    # Nobody waits for one that nobody knows.
    log.warning("password_refused", instance=row.id, reason=str(error))
    job.write(job.finish)


def _not_yet(job: Job[PasswordFacts], row: Instance, reason: str) -> NotYet:
    boots = job.ports.clock() < (row.started_at or 0.0) + _BOOTS_S
    return NotYet(_LOOK_AGAIN_S if boots else _LOOK_SELDOM_S, reason)


def _unknown() -> str:
    """A password that is kept nowhere, of every sort of characters that a guest may ask for."""
    return f"Aa1-{secrets.token_urlsafe(_UNKNOWN_BYTES)}"
