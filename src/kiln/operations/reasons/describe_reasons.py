"""Tell why a resource is as it is: what is still to be done about it, what that waits for, and what was given up.

ECS shows that an image is CreateFailed or an instance Stopped, and not why.
This is an operation of Kiln's own, in a product of its own, that no client of
ECS meets. What failed is told until something about the resource succeeds.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Annotated

from kiln.calls.call import Call
from kiln.calls.elsewhere import Reach
from kiln.calls.errors import ServiceUnavailableHostSilent
from kiln.calls.reaching import reach_of
from kiln.calls.tunnels import why_apart
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape
from kiln.declare.states import ImageStatus, TaskStatus
from kiln.ground.clock import to_seconds_text
from kiln.operations.params import OwnRegionId
from kiln.store import tasks as queue
from kiln.store.disks import disks
from kiln.store.images import Image, images
from kiln.store.instances import instances
from kiln.store.lanes import before_in_lane
from kiln.store.snapshots import snapshots
from kiln.store.tasks import Task, tasks
from kiln.store.transfers import place_in_queue, transfers_at_once

_MOST = 20
STANDS_STILL = "GuestStandsStill"  #: What happened, in place of an action, and why.
_NOUNS = (images, instances, snapshots, disks, tasks)


class InvalidResourceIdNotFound(ApiError):
    """The caller has no resource of that ID, and nothing was ever asked for that has it."""

    code = "InvalidResourceId.NotFound"
    status = 404
    message = "The specified resource {id} does not exist."


@shape
class Input:
    region_id: OwnRegionId = None
    resource_id: Annotated[
        str,
        Example("i-bp1g6zv0ce8oghu7k2d3"),
        Doc("The ID of an image, instance, disk, snapshot or task."),
    ]


@shape
class ReasonOutput:
    """One thing that was to be done, and what became of it."""

    action: Annotated[
        str,
        Example("StartInstance"),
        Doc(
            "What was to be done; MachineGone of a machine that ended by itself, HostLost of one whose host is gone, "
            "MoveInstance of one that is to leave its host, GuestStandsStill of one whose guest does not go on, "
            "though its machine is on."
        ),
    ]
    task_id: Annotated[str, Doc("The task that does it; empty where it is not known any more.")]
    resource_id: Annotated[str, Doc("What it is about.")]
    state: Annotated[str, Doc("Waiting, Processing or Failed.")]
    code: Annotated[str, Example("ServiceUnavailable"), Doc("The error's code; empty when there is none.")]
    message: Annotated[str, Doc("The reason, in words.")]
    since: Annotated[str, Example("2026-11-23T06:07:05Z"), Doc("When it was asked for, or failed; empty if unknown.")]
    attempts: Annotated[int, Doc("How many tries have failed in a way that nobody foresaw.")]
    next_attempt: Annotated[str, Doc("When it is tried again at the earliest; empty when nothing is put off.")]


@shape
class ReasonsOutput:
    """Reasons."""

    reason: Annotated[tuple[ReasonOutput, ...], Doc("The newest first, 20 at most; none when all is as it should be.")]


@shape
class ReachedOutput:
    """A port of the guest, and where on the service's own host it is reached."""

    address: Annotated[str, Example("127.88.0.5"), Doc("A public address of the instance.")]
    port: Annotated[int, Example("10022"), Doc("The port of it.")]
    guest_port: Annotated[int, Example("22"), Doc("The guest's TCP port that it leads to.")]


@shape
class ReachedAtOutput:
    """Ports."""

    reached: Annotated[tuple[ReachedOutput, ...], Doc("By address and port of the guest; none where none can be had.")]


@shape
class Output:
    reasons: Annotated[ReasonsOutput, Doc("The reasons.")]
    ssh: Annotated[
        str,
        Example("127.64.0.2:10022"),
        Doc("HOST:PORT on the service's own host that leads to port 22 of an instance's guest; empty where none does."),
    ]
    network: Annotated[
        str,
        Example("cable"),
        Doc(
            "How a running instance's card is joined: `cable` to its VPC; `user`, by QEMU's user networking, where the "
            "host carries no networks or they are open. Empty where no machine runs."
        ),
    ]
    reached_at: Annotated[ReachedAtOutput, Doc("The ports of the guest that its public addresses lead to.")]
    apart: Annotated[
        str,
        Example("worker-2 hears no other host: the setting tunnel_address has it off."),
        Doc(
            "Why an instance does not reach all of those of its VPC that run on other hosts, in sentences; empty where "
            "it does, or none do."
        ),
    ]
    consistency: Annotated[
        str,
        Example("quiesced"),
        Doc(
            "How what an image or a snapshot holds was captured from a running instance: `quiesced`, its file systems "
            "frozen by the guest's agent, or `crash-consistent`, as a power cut would leave them. Empty where no "
            "machine ran, and of everything else."
        ),
    ]


def inquire(call: Call, p: Input) -> Future[Reach] | None:
    instance = instances.find(call.tx, id=p.resource_id, **call.own(p.region_id))
    elsewhere = call.ports.elsewhere
    if instance is None or elsewhere.is_here(instance.host):
        return None
    return elsewhere.reach(call.tx, instance.host, instance.id)


def check(call: Call, p: Input) -> Output:
    found = queue.unsettled(call.tx, call.account, p.resource_id, _MOST)
    found = [task for task in found if p.region_id is None or task.region in (p.region_id, "")]
    is_known = any(p.resource_id in (task.id, task.resource) for task in found) or _is_there(call, p)
    if not is_known:
        raise InvalidResourceIdNotFound(id=p.resource_id)
    reasons = [_draw(call, task) for task in found]
    image = images.find(call.tx, id=p.resource_id, status=ImageStatus.CREATE_FAILED, **call.own(p.region_id))
    if image is not None and not any(task.status == TaskStatus.FAILED for task in found):
        reasons.append(_draw_image(image))
    instance = instances.find(call.tx, id=p.resource_id, **call.own(p.region_id))
    reach = _reach(call, p.resource_id) if instance else Reach()
    if reach.still:
        reasons.insert(0, _draw_still(p.resource_id, reach.still))
    return Output(
        reasons=ReasonsOutput(reason=tuple(reasons)),
        ssh=reach.ssh,
        network=reach.network,
        reached_at=ReachedAtOutput(
            reached=tuple(
                ReachedOutput(address=address, port=port, guest_port=guest) for address, guest, port in reach.ports
            )
        ),
        apart=why_apart(call.tx, instance) if instance else "",
        consistency=_consistency(call, p),
    )


def _draw_still(instance: str, why: str) -> ReasonOutput:
    return ReasonOutput(
        action=STANDS_STILL,
        task_id="",
        resource_id=instance,
        state="Failed",
        code=STANDS_STILL,
        message=why,
        since="",
        attempts=0,
        next_attempt="",
    )


def _consistency(call: Call, p: Input) -> str:
    own = call.own(p.region_id)
    image = images.find(call.tx, id=p.resource_id, **own)
    captured = image or snapshots.find(call.tx, id=p.resource_id, **own)
    return "" if captured is None else captured.consistency


def _reach(call: Call, instance: str) -> Reach:
    told: Reach | None = call.heard()
    return reach_of(call.tx, call.ports.machines, call.ports.plane, instance) if told is None else told


def _is_there(call: Call, p: Input) -> bool:
    own = call.own(p.region_id)
    return any(noun.find(call.tx, id=p.resource_id, **own) is not None for noun in _NOUNS)


def _draw(call: Call, task: Task) -> ReasonOutput:
    has_failed = task.status == TaskStatus.FAILED
    is_put_off = not has_failed and not task.owner and task.not_before > call.now
    state, message = ("Failed", task.error_message) if has_failed else _say(call, task)
    return ReasonOutput(
        action=task.action,
        task_id=task.id,
        resource_id=task.resource,
        state=state,
        code=task.error_code,
        message=message,
        since=to_seconds_text(task.finished_at if has_failed and task.finished_at else task.created_at),
        attempts=task.attempts,
        next_attempt=to_seconds_text(task.not_before) if is_put_off else "",
    )


def _say(call: Call, task: Task) -> tuple[str, str]:
    """The state of a task that is still to be done, and what it waits for."""
    if task.owner:
        return "Processing", f"It is being done, and {task.progress}% is." if task.progress else "It is being done."
    first = before_in_lane(call.tx, task)
    if first is not None:
        # Transfers of one account share a lane, and nobody sees the tasks of another.
        return "Waiting", f"{first.action} of {first.resource} ({first.id}) comes first."
    transfers = transfers_at_once(call.ports.database)
    if place_in_queue(call.tx, task, call.now, transfers):
        if not transfers:
            return "Waiting", "The disk is full: it begins when there is room. What there is is kept for what deletes."
        return "Waiting", "As many imports and exports are under way as may be at once."
    return "Waiting", task.error_message or "It is about to begin."


def _draw_image(image: Image) -> ReasonOutput:
    return ReasonOutput(
        action="",
        task_id="",
        resource_id=image.id,
        state="Failed",
        code=image.error_code,
        message=image.error_message,
        since="",
        attempts=0,
        next_attempt="",
    )


describe_reasons = Operation(
    input=Input,
    output=Output,
    inquire=inquire,
    check=check,
    errors=(InvalidResourceIdNotFound, ServiceUnavailableHostSilent),
)
