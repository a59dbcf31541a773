"""From a machine to QEMU's command line. Starts nothing and touches no file.

Slots: every disk has a PCIe root port by its letter, ``/dev/xvda`` the first.
So the guest finds its disks in that order, and a disk that is plugged in later
never has to look for a place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kiln.declare.devices import LETTERS, find_device, letter_of
from kiln.ground.values import dataclass
from kiln.machines.errors import MachineRefused
from kiln.machines.platforms import Firmware, Platform
from kiln.machines.port import Drive, Machine
from kiln.machines.runfolder import RunFolder

DISK_DRIVER = "virtio-blk-pci"
AGENT = "agent"  #: The character device that leads to the guest agent.
_LOG_SET = 1
_AGENT_PORT = "org.qemu.guest_agent.0"
_FIRST_PORT_SLOT = 0x10  #: Above what QEMU gives to the devices without a place of their own.
# spawn: no other program is ever run; elevateprivileges: no way back to root; resourcecontrol: no nicer scheduling.
_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a command line needs to know beside the machine."""

    folder: RunFolder
    platform: Platform
    firmware: Firmware | None  #: None: BIOS.
    kvm: bool
    ports: Sequence[tuple[int, int]]  #: Of its public address, each with the port of the guest that it leads to.
    qmp: int  #: Descriptors of listening sockets.
    console: int
    agent: int
    is_open: bool  #: Whether the guest may begin connections.
    log: int  #: Of the pipe to which goes what the console prints.
    objects: Sequence[str] = ()  #: Arguments that tell the passphrases of its disks.
    waits: bool = False  #: Whether its guest is to come from another machine, and then stands still.
    cable: tuple[int, int] | None = None  #: Descriptors of its folder and of QEMU's own in it.


def command_line(machine: Machine, about: Surroundings) -> list[str]:
    """The program and its arguments. Raises MachineRefused for a device name without a slot."""
    return [
        about.platform.require_program(),
        *["-name", f"guest={machine.instance}"],
        # It stands still until it is told to go on, which it is once its disks are known to be nobody else's.
        *["-nodefaults", "-no-user-config", "-display", "none", "-S"],
        *["-pidfile", str(about.folder.pid_file)],
        *["-sandbox", _SANDBOX],
        *_board(machine, about),
        *_sockets(about),
        *_network(machine, about),
        *["-device", "virtio-rng-pci,bus=pcie.0"],
        *_slots(),
        *about.objects,
        *(["-incoming", "defer"] if about.waits else []),
        *_drives(machine.drives),
    ]


def device_id(drive: Drive) -> str:
    """The name of a drive's device in QEMU; it stays the same while layers come and go. Raises MachineRefused."""
    return f"disk-{_letter(drive)}"


def device_arguments(drive: Drive) -> dict[str, Any]:
    """A drive's ``-device``, as ``device_add`` takes it too. Raises MachineRefused."""
    letter = _letter(drive)
    arguments = {
        "driver": DISK_DRIVER,
        "id": device_id(drive),
        "bus": f"slot-{letter}",
        "drive": drive.node,
        "serial": drive.serial,
    }
    return arguments | ({"bootindex": 1} if letter == "a" else {})


def _board(machine: Machine, about: Surroundings) -> list[str]:
    board = about.platform.board
    flash: list[str] = []
    if about.firmware is not None:
        board += ",pflash0=uefi-code,pflash1=uefi-variables"
        code = {"driver": "file", "node-name": "uefi-code", "filename": str(about.firmware.code), "read-only": True}
        own = {"driver": "file", "node-name": "uefi-variables", "filename": str(about.folder.firmware_variables)}
        flash = ["-blockdev", json.dumps(code), "-blockdev", json.dumps(own)]
    engine = ["-accel", "kvm", "-cpu", "host"]
    if not about.kvm:
        # A thread for each processor gives nothing where there is one, and has brought QEMU 7.2 down when several
        # machines started at once.
        threads = "single" if machine.cpus == 1 else "multi"
        engine = ["-accel", f"tcg,thread={threads}", "-cpu", about.platform.tcg_cpu]
    size = ["-smp", str(machine.cpus), "-m", str(machine.memory_mib)]
    return [*flash, "-machine", board, *engine, *size, "-rtc", "base=utc"]


def _sockets(about: Surroundings) -> list[str]:
    def listener(name: str, descriptor: int) -> str:
        return f"socket,id={name},fd={descriptor},server=on,wait=off"

    # QEMU takes a descriptor for a file only out of a set of them.
    log = f"/dev/fdset/{_LOG_SET}"
    return [
        *["-add-fd", f"fd={about.log},set={_LOG_SET}"],
        *["-chardev", listener("qmp", about.qmp), "-mon", "chardev=qmp,mode=control"],
        *["-chardev", f"{listener('console', about.console)},logfile={log},logappend=on"],
        *["-serial", "chardev:console"],
        *["-chardev", listener(AGENT, about.agent), "-device", "virtio-serial-pci,bus=pcie.0"],
        *["-device", f"virtserialport,chardev={AGENT},name={_AGENT_PORT}"],
    ]


def _network(machine: Machine, about: Surroundings) -> list[str]:
    """QEMU's user networking: the guest has an address by DHCP, and the forwarded ports lead to it.

    Whatever it may reach, it reaches as the host does: by the gateway's address
    also what listens on the host's 127.0.0.1, which no option takes away but
    the one that takes away all.
    """
    if about.cable is not None:
        card = f"virtio-net-pci,netdev=net,mac={machine.mac},bus=pcie.0"
        return [*_cable(*about.cable), "-device", card, *_identity(machine)]
    restrict = "off" if about.is_open else "on"
    forwards = "".join(f",hostfwd=tcp:{machine.public_ip}:{host}-:{guest}" for host, guest in about.ports)
    card = f"virtio-net-pci,netdev=net,mac={machine.mac},bus=pcie.0"
    return ["-netdev", f"user,id=net,restrict={restrict}{forwards}", "-device", card]


def _cable(folder: int, own: int) -> list[str]:
    """A frame is a datagram. Both ends have names, and short ones, so that either may be started anew."""
    own_end = f"local.type=unix,local.path=/proc/self/fd/{own}/end"
    return ["-netdev", f"dgram,id=net,{own_end},remote.type=unix,remote.path=/proc/self/fd/{folder}/switch"]


def _identity(machine: Machine) -> list[str]:
    """The names by which cloud-init knows that there is ECS's metadata service, as there is for who has a cable.

    Without it cloud-init would look for the service for minutes. Source: ``ds-identify`` and the data source AliYun of
    cloud-init.
    """
    serial = f",serial={machine.serial},uuid={machine.serial}" if machine.serial else ""
    return ["-smbios", f"type=1,manufacturer=Alibaba Cloud,product=Alibaba Cloud ECS{serial}"]


def _slots() -> list[str]:
    arguments = []
    for number, letter in enumerate(LETTERS):
        place = f"{_FIRST_PORT_SLOT + number // 8:x}.{number % 8}"
        together = ",multifunction=on" if number % 8 == 0 else ""
        port = f"pcie-root-port,id=slot-{letter},bus=pcie.0,chassis={number + 1},addr={place}{together}"
        arguments += ["-device", port]
    return arguments


def _drives(drives: Sequence[Drive]) -> list[str]:
    arguments: list[str] = []
    opened = set()
    for drive in drives:
        for node in drive.blockdevs:
            # Two disks of one image stand on the same layers.
            if node["node-name"] not in opened:
                arguments += ["-blockdev", json.dumps(node)]
                opened.add(node["node-name"])
        arguments += ["-device", json.dumps(device_arguments(drive))]
    return arguments


def _letter(drive: Drive) -> str:
    device = find_device(drive.device)
    if device is None:
        raise MachineRefused(f"{drive.device} is not the name of a disk.")
    return letter_of(device)
