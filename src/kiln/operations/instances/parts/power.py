"""Starting and stopping the machine of an instance, and what its row says of it.

The status moves when an operation is recorded (Stopped to Starting), and again
when the machine has done what was asked. All tasks of an instance are in its
lane, so none of them meets another.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from kiln.calls.call import Call, Job, NotYet, Ports
from kiln.calls.sizes import size_in
from kiln.declare.errors import ApiError
from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.ground.killpoints import reach
from kiln.machines.errors import MachineBusy, MachineError, MachineRefused
from kiln.machines.port import Chain, Machine
from kiln.networks.errors import NetworkError
from kiln.operations.errors.instances import InvalidInstanceIdNotFound
from kiln.operations.errors.launches import OperationDeniedNoStock, ServiceUnavailableNoMachine
from kiln.operations.instances.parts import passwords
from kiln.operations.steps import variables
from kiln.operations.steps.drives import AFTER_MERGE_S, drive_of
from kiln.operations.steps.locks import check_unlocked
from kiln.pools.errors import VolumeBusy
from kiln.store import firmware
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.instances import Instance, instances, place, serial_number
from kiln.store.interfaces import NetworkInterface, primary_of
from kiln.store.room import left_on

_ROOM_AGAIN_S = 1.0


def find_unlocked(call: Call, region: str | None, instance_id: str) -> Instance:
    """The account's instance, in *region* where one is named.

    Raises InvalidInstanceIdNotFound, InstanceLockedForSecurity.
    """
    instance = call.the(instances, instance_id, region, InvalidInstanceIdNotFound)
    check_unlocked(instance)
    return instance


def start(job: Job[Any]) -> None:
    """Start the machine of a Starting instance, and record that it is Running and the task done. Idempotent.

    Raises as ``bring_up`` does.
    """
    if bring_up(job):
        record_running(job)


def bring_up(job: Job[Any]) -> bool:
    """Start the machine of a Starting instance, whose guest begins once its disks are known to be its own.

    Where one runs whose guest did not begin, because Kiln was killed after its start, it does now. Idempotent.
    False where the instance is Starting no more. Raises ServiceUnavailableNoMachine with QEMU's own words; NotYet when
    a layer was merged this moment.
    """
    with job.ports.database.read() as tx:
        instance = instances.find(tx, id=job.task.resource, status=InstanceStatus.STARTING)
        attached = [d for d in disks.all(tx, instance=job.task.resource) if d.status != DiskStatus.ATTACHING]
        card = primary_of(tx, job.task.resource)
    if instance is None:
        return False
    if card is None:
        raise ServiceUnavailableNoMachine(reason="it has no network interface: it is given one when Kiln starts")
    machine = _machine(job.ports, instance, attached, card)
    if instance.host != job.ports.host:
        require_room(job, instance)
        job.write(lambda tx: place(tx, instance.id, job.ports.host))
    volumes = [disk.volume for disk in attached if disk.volume is not None]
    if not job.ports.machines.is_running(instance.id):
        job.ports.pool.cut_off(volumes)
    machine = variables.brought(job.ports, machine)

    def may_run() -> None:
        job.ports.pool.require_sole(volumes)
        if machine.variables and not machine.has_variables:
            job.write(lambda tx: firmware.take(tx, instance.id, job.ports.host))

    reach("power.granted")
    try:
        job.ports.machines.start(_joined(job.ports, machine, instance, card), may_run)
    except NetworkError as e:
        raise ServiceUnavailableNoMachine(reason=str(e)) from e
    except MachineBusy as e:
        raise NotYet(AFTER_MERGE_S, "A layer of its disks was merged this moment.") from e
    except (MachineRefused, VolumeBusy) as e:
        raise ServiceUnavailableNoMachine(reason=_why_refused(job.ports, attached, e)) from e
    reach("power.started")
    return True


def require_room(job: Job[Any], instance: Instance) -> None:
    """See that this host has room for an instance that is to start here, where several hosts share the work.

    Raises OperationDeniedNoStock for one that has waited for that long enough, and NotYet for another: then the host
    was drained since it was claimed.
    """
    if job.ports.is_alone:
        return
    sizes = partial(size_in, job.ports.deployment)
    with job.ports.database.read() as tx:
        left = left_on(tx, job.ports.host, sizes, job.task.owner, but=job.task.id)
    if not left.holds(sizes(instance.instance_type)):
        if job.task.memory_mib:
            raise NotYet(_ROOM_AGAIN_S, "The host that was to start it has no room for it any more.")
        raise OperationDeniedNoStock(hosts="none has room for it")


def record_running(job: Job[Any]) -> None:
    """Record that a Starting instance runs, and that the task is done; what its guest is to be given follows."""
    has_guest = job.ports.machines.inside(job.task.resource) is not None

    def record(tx: Transaction) -> None:
        changes = {"started_at": job.ports.clock(), "ever_started": True}
        has_moved = instances.move(tx, InstanceStatus.STARTING, InstanceStatus.RUNNING, changes, id=job.task.resource)
        disks.update(tx, {"awaits_restart": False}, instance=job.task.resource)
        if has_moved and has_guest:
            passwords.begin(tx, job.ports, job.task.resource)
        job.finish(tx)

    job.write(record)
    reach("power.recorded")


def give_up_start(job: Job[Any], error: ApiError) -> None:
    """After a failed start: a machine that did not start as it should is not left half alive."""
    job.ports.machines.stop(job.task.resource, force=True)
    fall_back(job, error)


def fall_back(job: Job[Any], error: ApiError) -> None:
    """After a failed task, let the row say what the machine does."""
    instance_id = job.task.resource
    is_on = goes_on(job.ports, instance_id)
    left = "" if is_on else job.ports.machines.variables(instance_id)
    after = InstanceStatus.RUNNING if is_on else InstanceStatus.STOPPED

    def record(tx: Transaction) -> None:
        job.fail(tx, error)
        variables.keep(tx, job.ports, instance_id, left)
        for before in (InstanceStatus.STARTING, InstanceStatus.STOPPING):
            instances.move(tx, before, after, {}, id=instance_id)
        if not is_on:
            place(tx, instance_id, "")

    job.write(record)


def goes_on(ports: Ports, instance_id: str) -> bool:
    """Whether the instance's machine runs, and with it its guest, which something cut short may have left standing.

    A machine that does not answer counts as one that runs; the watch wakes it when it does.
    """
    if ports.machines.is_running(instance_id):
        with suppress(MachineError):
            ports.machines.wake(instance_id)
    return ports.machines.is_running(instance_id)


def machine_here(ports: Ports, instance: Instance, *, is_cabled: bool) -> Machine:
    """The machine that waits on this host for the guest of an instance; it may open its disks.

    Where that *is_cabled*, so is this one, and else not, whatever a machine would be started with here. Raises
    NetworkError, ServiceUnavailableNoMachine, and what the pool says of its disks.
    """
    with ports.database.read() as tx:
        attached = [d for d in disks.all(tx, instance=instance.id) if d.status != DiskStatus.ATTACHING]
        card = primary_of(tx, instance.id)
    if card is None:
        raise ServiceUnavailableNoMachine(reason="it has no network interface")
    machine = variables.brought(ports, _machine(ports, instance, attached, card))
    if not is_cabled:
        return machine
    if ports.plane is None:
        raise ServiceUnavailableNoMachine(reason="this host carries no networks")
    return replace(machine, cable=ports.plane.cable_for_arrival(instance, card), public_ip=None)


def volumes_of(ports: Ports, instance: str) -> list[str]:
    """The volumes that the instance's machine has open to write."""
    return [volume for _, volume in _volumes(ports, instance)]


def grant(ports: Ports, instance: str) -> None:
    """Have the instance's machine on this host open its disks' files, whomever they were given to meanwhile."""
    for disk, volume in _volumes(ports, instance):
        drive_of(ports, disk, volume)


def chains(ports: Ports, instance: str) -> list[Chain]:
    """The block nodes of the disks of the instance's machine, by which their passphrases are known; gives no file away.

    Raises what the pool says of its disks, VolumeLocked where the key of one is not there.
    """
    return [ports.pool.blockdevs(volume) for _, volume in _volumes(ports, instance)]


def _volumes(ports: Ports, instance: str) -> list[tuple[Disk, str]]:
    """The disks that the instance's machine has, each with its volume."""
    with ports.database.read() as tx:
        attached = disks.all(tx, instance=instance)
    return [(disk, disk.volume) for disk in attached if disk.volume is not None and disk.status != DiskStatus.ATTACHING]


def _why_refused(ports: Ports, attached: list[Disk], error: MachineRefused | VolumeBusy) -> str:
    """QEMU's words; where several hosts share the pool, that another has the disks open is told before them."""
    open_disks = [disk.id for disk in attached if disk.volume is not None and ports.pool.is_open(disk.volume)]
    if ports.is_alone or not open_disks:
        return str(error)
    return (
        f"its disks are open: {', '.join(open_disks)}. On a host that was given up its machine may run still. It can "
        f"be started once that has ended. QEMU said: {error}"
    )


def _joined(ports: Ports, machine: Machine, instance: Instance, card: NetworkInterface) -> Machine:
    """The machine with the cable to its network, which is carried by then; as it is where the host carries none.

    Raises NetworkError.
    """
    cable = None if ports.plane is None else ports.plane.cable(instance, card)
    return machine if cable is None else replace(machine, cable=cable, public_ip=None)


def _machine(ports: Ports, instance: Instance, attached: list[Disk], card: NetworkInterface) -> Machine:
    """What to start: the instance's type, and the disks that it has at this moment."""
    kind = ports.deployment.instance_type(instance.instance_type)
    if kind is None:
        raise ServiceUnavailableNoMachine(reason=f"there is no instance type {instance.instance_type} any more")
    ordered = sorted((disk for disk in attached if disk.volume is not None), key=lambda disk: disk.device)
    return Machine(
        instance=instance.id,
        cpus=kind.cpus,
        memory_mib=kind.memory_mib,
        architecture=instance.system.architecture,
        boot_mode="BIOS" if instance.system.boot_mode == "BIOS" else "UEFI",
        drives=[drive_of(ports, disk, disk.volume) for disk in ordered if disk.volume is not None],
        mac=card.mac,
        public_ip=instance.public_ip or None,
        serial=serial_number(instance),
    )
