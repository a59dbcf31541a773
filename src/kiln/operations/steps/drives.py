"""How a disk becomes a drive of an instance's machine: device names, serial numbers, plugging in and out.

Used by whatever starts a machine or changes its disks. Knows rows and ports;
decides nothing about who may attach what.
"""

from __future__ import annotations

from collections.abc import Collection

from kiln.calls.call import Call, NotYet, Ports
from kiln.declare.devices import DATA_DEVICES, HINT, SYSTEM_DEVICE, find_device
from kiln.declare.errors import ApiError, InternalError
from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.machines.errors import MachineBusy, MachineMissing, MachineRefused
from kiln.machines.port import Drive
from kiln.pools.errors import VolumeBusy
from kiln.store.disks import Disk, disks
from kiln.store.volumes import volumes

AFTER_MERGE_S = 0.2  #: Until a chain is read again that was merged between being read and being opened.
_AFTER_SWEEP_S = 0.5  #: Until the sweeper may have taken away what a disk must not have above it.

log = Journal("kiln.operations")


class InvalidDeviceMalformedOfDisk(ApiError):
    """A device name that is no such name, or not one for that type of disk."""

    code = "InvalidDevice.Malformed"
    message = "The specified device is not valid."
    hint = HINT


class InvalidDeviceInUseOfDisk(ApiError):
    """Another disk of the instance has that device name."""

    code = "InvalidDevice.InUse"
    status = 403
    message = "The specified device has been occupied."


class InstanceDiskLimitExceeded(ApiError):
    """The instance has as many disks as it may."""

    code = "InstanceDiskLimitExceeded"
    status = 403
    message = "The amount of the disk on instance in question reach its limits."


def serial_of(disk_id: str) -> str:
    """The serial number that a guest sees: the disk's ID without its prefix, which is just the 20 that virtio takes."""
    return disk_id.removeprefix("d-")


def choose_device(taken: Collection[str], wanted: str | None = None, kind: str = "data") -> str:
    """The device name of one more disk, as answers spell it; without a wish the first that is free, ascending.

    Raises InvalidDeviceMalformedOfDisk, InvalidDeviceInUseOfDisk; and
    InstanceDiskLimitExceeded when the alphabet is used up.
    """
    allowed = (SYSTEM_DEVICE,) if kind == "system" else DATA_DEVICES
    if wanted is not None:
        device = find_device(wanted)
        if device is None or device not in allowed:
            raise InvalidDeviceMalformedOfDisk(device=wanted)
        free = [device] if device not in taken else []
    else:
        free = [device for device in allowed if device not in taken]
    if free:
        return free[0]
    if wanted is None and kind == "data":
        raise InstanceDiskLimitExceeded
    raise InvalidDeviceInUseOfDisk(device=wanted or SYSTEM_DEVICE)


def place_for(call: Call, instance_id: str, wanted: str | None = None, kind: str = "data") -> str:
    """The device name at which the instance can take one more disk.

    Disks on their way in or out count. Raises what ``choose_device`` raises.
    """
    attached = disks.all(call.tx, instance=instance_id)
    limit = call.deployment.quotas.disks_per_instance
    if len(attached) >= limit:
        raise InstanceDiskLimitExceeded(limit=limit)
    return choose_device([disk.device for disk in attached], wanted, kind)


def drive_of(ports: Ports, disk: Disk, volume: str) -> Drive:
    """The drive that *disk*, standing on *volume*, is for the machine of the instance that it is attached to.

    The machine's user may open the volume's files once this has returned.
    Idempotent. Raises VolumeMissing and VolumeBroken of the pool, and what
    ``_refuse`` raises when something stands on the volume.
    """
    assert disk.instance is not None  # A drive is a drive of some machine.
    try:
        ports.pool.grant(volume, ports.machines.uid(disk.instance))
    except VolumeBusy as error:
        raise _refuse(ports, disk, volume) from error
    return Drive(
        node=ports.pool.node(volume),
        blockdevs=tuple(ports.pool.blockdevs(volume)),
        serial=serial_of(disk.id),
        device=disk.device,
        files=ports.pool.files(volume),
    )


def _refuse(ports: Ports, disk: Disk, volume: str) -> Exception:
    """What to raise for a volume that must not be written, because something stands on it.

    NotYet while that is what a freeze left that did not happen: the sweeper takes
    it away. Else the database is wrong about the disk, and trying again helps nobody.
    """
    with ports.database.read() as tx:
        children = volumes.all(tx, parent=volume)
    if children and all(child.state == "doomed" for child in children):
        return NotYet(_AFTER_SWEEP_S, "What an interrupted capture left on the disk is being taken away.")
    log.error("disk_stands_on_a_layer", disk=disk.id, volume=volume)
    return InternalError()


def plug_in(ports: Ports, disk: Disk, volume: str) -> None:
    """Give the disk to its instance's machine if one runs; else the next start takes it along. Idempotent.

    Raises NotYet when a layer was merged this moment, and GuestAstray when the machine has other files open.
    """
    assert disk.instance is not None  # Whoever plugs a disk in has written down where.
    if not ports.machines.is_running(disk.instance):
        return
    drive = drive_of(ports, disk, volume)
    reach("drives.granted")
    guest = ports.machines.guest(disk.instance)
    try:
        if guest is not None:
            # It may have layers open that the disk stands on, and would put the disk on those.
            ports.pool.require_home(_heads_in(ports, disk.instance), guest)
            if not ports.pool.is_used(volume, guest):
                # The machine that it was in before may be on a host of which nobody hears.
                ports.pool.cut_off([volume])
        ports.machines.attach(disk.instance, drive, lambda: ports.pool.require_sole([volume]))
    except VolumeBusy as e:
        raise MachineRefused(str(e)) from e
    except MachineBusy as e:
        raise NotYet(AFTER_MERGE_S, "A layer of the disk was merged this moment.") from e
    except MachineMissing:
        if ports.machines.is_running(disk.instance):
            raise
        return  # It died this moment, and a machine that starts takes the disk along.
    reach("drives.plugged_in")


def _heads_in(ports: Ports, instance: str) -> list[str]:
    """What the instance's disks stand on, and one that is being attached among them."""
    with ports.database.read() as tx:
        return [disk.volume for disk in disks.all(tx, instance=instance) if disk.volume is not None]


def pull_out(ports: Ports, disk: Disk, volume: str) -> None:
    """Take the disk out of its instance's machine if one runs, and its files back from the machine's user. Idempotent.

    Raises what ``Machines.detach`` raises when the guest does not let go.
    """
    assert disk.instance is not None  # Whoever pulls a disk out has not yet written down that it is out.
    if ports.machines.is_running(disk.instance):
        try:
            ports.machines.detach(disk.instance, ports.pool.node(volume))
        except MachineMissing:
            if ports.machines.is_running(disk.instance):
                raise  # It hung up, but it lives and may hold the disk.
        reach("drives.pulled_out")
    ports.pool.take_back(volume)


ERRORS: tuple[type[ApiError], ...] = (
    InvalidDeviceMalformedOfDisk,
    InvalidDeviceInUseOfDisk,
    InstanceDiskLimitExceeded,
)
