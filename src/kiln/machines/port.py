"""The port behind which instances run.

A **machine** is what runs for an instance that is not Stopped. It outlives a
restart of Kiln and is found again by its run folder. Everything here is
idempotent, so a task may call it again after a crash.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol

from kiln.ground.units import KiB
from kiln.ground.values import dataclass
from kiln.pools.guests import Guest

#: The block nodes of one disk, as ``Drive.blockdevs``.
Chain = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Drive:
    """One disk of a machine.

    ``node`` is the top block node's name; ``blockdevs`` are the pool's
    ``-blockdev`` arguments, what lies lowest first; ``serial`` is what the guest
    sees as the disk's serial number (at most 20 characters); ``files`` are those
    that QEMU opens for it.
    """

    node: str
    blockdevs: tuple[dict[str, Any], ...]
    serial: str
    device: str  #: ``/dev/xvda`` for the system disk, which the machine boots from.
    files: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What to start."""

    instance: str
    cpus: int
    memory_mib: int
    architecture: str  #: ``x86_64`` or ``i386`` (both run as x86_64), or ``arm64``.
    boot_mode: str  #: ``BIOS`` or ``UEFI``.
    drives: Sequence[Drive]
    mac: str
    public_ip: str | None  #: An address of this host's to which ports are forwarded; None for none.
    ports: Sequence[int] = (22,)  #: Guest TCP ports that are forwarded from ``public_ip``.
    #: The folder of a cable to the instance's network, in place of user networking: its card is joined by the sockets
    #: ``qemu/end``, which QEMU makes there, and ``switch``. Nothing is forwarded then: the network does that.
    cable: Path | None = None
    #: What it is to find in its firmware, as a host's machines gave it; empty: what was there when it ended here.
    variables: str = ""
    #: Whether what was there when it ended here is newer than ``variables``, which are for where that is damaged.
    has_variables: bool = False
    serial: str = ""  #: The instance's serial number, a UUID, as the guest sees it where it has a cable.


@dataclass(frozen=True, kw_only=True)
class Run:
    """A command that is to run in a guest."""

    name: str  #: What it is known by there; letters, digits and hyphens.
    script: bytes  #: For the program that its first line names after ``#!``; else for ``/bin/sh``.
    timeout_s: int  #: Then it is killed.
    user: str = ""  #: Empty: root.
    directory: str = ""  #: Where it begins; empty: the user's home, or ``/``.


@dataclass(frozen=True, kw_only=True)
class SentFile:
    """A file that is to be put into a guest."""

    name: str  #: What the sending is known by there; letters, digits and hyphens.
    content: bytes
    folder: str  #: It is made where it is not there.
    file: str
    owner: str = "root"
    group: str = "root"
    mode: str = "0644"  #: As chmod takes it.
    overwrites: bool = False


@dataclass(frozen=True, kw_only=True)
class Make:
    """What a machine is made of: a running guest goes from one to another only where all of it is the same."""

    program: str  #: QEMU's version, with its packager's.
    board: str  #: The machine type, by no alias.
    engine: str  #: ``TCG``, or KVM and the host's processor, which the guest sees.
    is_cabled: bool = False  #: Whether a cable joins it to its network; else it has user networking.

    def __str__(self) -> str:
        return f"{self.program}, {self.board}, {self.engine}, {'a cable' if self.is_cabled else 'user networking'}"


class Begun(IntEnum):
    """What became of what was to begin in a guest."""

    WELL = 0
    NO_ROOM = 10  #: Where the guest keeps what runs, nothing can be written.
    NO_USER = 20
    NO_DIRECTORY = 21
    NO_GROUP = 22
    FILE_EXISTS = 23
    NO_FOLDER = 24
    NO_MODE = 25
    NO_FILE = 26  #: It cannot be written there.


#: How much of what a command prints is kept, half of it from the beginning and half from the end.
MOST_OUTPUT_BYTES = 24 * KiB


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A command in a guest: what it has printed, and how it ended if it has."""

    output: bytes  #: The beginning and the end of it, MOST_OUTPUT_BYTES at most.
    printed: int  #: How many bytes it has printed in all.
    why: str = (
        ""  #: ``ended``, ``timeout``, ``stopped``, or ``lost`` for one that is not there any more; empty: it runs.
    )
    exit_code: int | None = None  #: Of one that ended by itself.


@dataclass(frozen=True, kw_only=True)
class Agent:
    """The guest agent, as it describes itself."""

    version: str
    runs_commands: bool  #: Whether it may do all that commands need.


class Inside(Protocol):
    """What is done within the guest of a running machine, by its agent.

    The guest is whoever's it is: what it answers is bounded and believed of its
    own commands alone. Everything here takes some seconds at most, and may be
    called again after a crash. All raise AgentSilent and AgentRefused.
    """

    def is_there(self) -> bool:
        """Whether something in the guest listens on the agent's channel, by QEMU's word."""

    def about(self) -> Agent:
        """Ask the agent what it is."""

    def boot(self) -> str:
        """What names the guest's present boot."""

    def begin(self, run: Run) -> Begun:
        """Start a command; one of that name that was started in this boot before is not started again."""

    def look(self, name: str) -> Progress:
        """How a command that was begun goes on."""

    def stop(self, name: str) -> None:
        """Kill a command with all that it has started; ``look`` tells when it has ended."""

    def send(self, file: SentFile) -> Begun:
        """Put a file into the guest; what was sent under that name in this boot is not sent again."""

    def set_password(self, user: str, password: str) -> None:
        """Give a user in the guest a password."""

    def forget(self, name: str) -> None:
        """Remove what the guest keeps of a command that has ended, or of a file that was sent."""


def at_once() -> None:
    """Let a machine begin as soon as it can."""


Check = Callable[[], None]  #: Raises what keeps a guest from running.
Entrance = Callable[[], "socket.socket | None"]  #: The way to a machine that waits for a guest.
GoesOn = Callable[[float], bool]  #: Told how many per cent of a guest have been sent; False calls it off.


def to_the_end(percent: float) -> bool:  # noqa: ARG001 - of one who does not care how far it is.
    """Let a guest be sent until it is whole elsewhere."""
    return True


class Machines(Protocol):
    """The machines of this host."""

    kind: str  #: ``qemu`` or ``none``.

    def start(self, machine: Machine, may_run: Callable[[], None] = at_once) -> None:
        """Start a machine; nothing happens when it runs.

        It has its disks open and stands still when *may_run* is called, and runs when that returns. What that raises
        is raised, and then the machine is gone: so who starts it says last of all whether its disks are its own.
        Raises MachineRefused with QEMU's own words, and MachineBusy when a
        volume of it was merged since its chain was read; then it does not run.
        """

    def stop(self, instance: str, force: bool) -> None:
        """Ask the guest to power off, and cut the power after a while; at once with *force*. Returns when it is off."""

    def reboot(self, instance: str, force: bool) -> None:
        """Restart the guest within its machine."""

    def make(self, instance: str) -> Make:
        """What a running machine is made of. Raises MachineMissing, MachineSilent."""

    def receive(self, machine: Machine, make: Make) -> None:
        """Start a machine that waits for the guest of another, of that *make*, which goes on to run meanwhile.

        It has the same disks open and writes to none. One that waited already is ended first, and whatever was sent
        to it is lost. Raises MachineRefused where the two differ, and as ``start`` does, MachineBusy too; then none
        waits.
        """

    def entrance(self, instance: str) -> socket.socket | None:
        """A connection by which a guest comes to a machine that waits, the only one it takes; None where it needs none.

        Raises MachineMissing.
        """

    def migrate(
        self, instance: str, entrance: Entrance, goes_on: GoesOn = to_the_end, chains: Sequence[Chain] = ()
    ) -> None:
        """Send a running guest to a machine that waits, whose *entrance* it is; returns when it is whole there.

        Then it stands still in both, and nobody writes to its disks, until one of ``take_over`` there and ``recall``
        here. Never both: once it has run in one, the memory of the other does not fit the disks any more. What was
        sent before is not sent again, and *entrance* not called. Takes as long as the memory takes; *goes_on* is told
        how many per cent of it are sent, again and again until the guest stands still, and calls it off. *chains* are
        its disks', of which those that are encrypted would be lost here without a passphrase. Raises MachineRefused
        when it could not be sent, GuestStays where no other machine would do either, MachineBusy while layers are
        merged under it, and then it runs on here; MachineMissing, MachineSilent.
        """

    def recall(self, instance: str, may_run: Callable[[], None] = at_once) -> None:
        """Have a guest that was sent, or was about to be, run on here. Raises MachineMissing, MachineRefused.

        Nobody can send it from when *may_run* is called until it runs; what that raises is raised, and nothing is done.
        It is called once more when the disks are this machine's, so that no other can run with them from then on.
        """

    def take_over(
        self, instance: str, may_run: Check = at_once, chains: Sequence[Chain] = (), keep_out: Check | None = None
    ) -> None:
        """Have a guest that has come run here, with the disks of which *chains* are; nothing happens when it does.

        *may_run* is called when the disks are this machine's, and no other can run with them. Where machines do not
        lock their disks *keep_out* is what keeps the others from it: it is called once it is written down that the
        guest cannot go back, and before it runs. What either raises is raised, and the guest stands still.

        Raises MachineRefused where it never ran here and never will, so that it may be recalled where it came from;
        MachineMissing where it may have run and does not any more; MachineSilent, also where it may have run and QEMU
        does not let it go on, or QEMU does not though the others are kept out by now.
        """

    def is_between(self, instance: str) -> bool:
        """Whether a guest may be on its way to the instance's machine here, or from it; also where that was killed."""

    def has_come(self, instance: str) -> bool:
        """Whether the machine here was started for a guest that has not run in it, and is to be taken over."""

    def is_running(self, instance: str) -> bool:
        """Whether a machine runs for the instance. A machine that died is not running."""

    def went_with_host(self, instance: str) -> bool:
        """Whether a machine that does not run had been started before this host was, and so lost its power with it."""

    def is_cabled(self, instance: str) -> bool:
        """Whether a machine runs that a cable joins to its network; False too where it has user networking."""

    def why_no_cable(self, architecture: str) -> str:
        """Why machines of the architecture cannot be joined to a network by a cable, in a sentence; empty: they can."""

    def adopt(self) -> list[str]:
        """Take up living machines whose run folder was lost; returns their instances. They can only be stopped."""

    def variables_at(self) -> dict[str, int]:
        """The instances whose UEFI variables are here, of machines that run or ran, and when each were written last.

        Times are in nanoseconds of the file system's, to be compared with each other alone.
        """

    def variables(self, instance: str) -> str:
        """What a machine's firmware keeps here, as a text that says nothing.

        Empty where it keeps nothing, or too much, or what it would throw away itself: that is damaged.

        Of a machine that runs it may be of two moments: then it is written again.
        """

    def reach(self, instance: str) -> str:
        """HOST:PORT on this host that leads to port 22 of the instance's running guest; empty where none does."""

    def running(self) -> Iterator[str]:
        """The instances for which a machine runs."""

    def wake(self, instance: str) -> bool:
        """Let a running machine go on that stands still; whether it had stood still.

        QEMU stopped it because a disk had no room: if there is still none, it is stopped again at once, and the guest
        sees no error, it waits. Or what holds a guest still for a while (a capture, a restart) was cut short. A machine
        whose guest never began, because its start was cut short, is ended. Raises MachineMissing, MachineSilent.
        """

    def why_still(self, instance: str) -> str:
        """Why the guest of a machine that runs does not go on, in sentences; empty where it does.

        It is as the last two that asked the machine to ``wake`` found it, since this asks nobody.
        """

    def guest(self, instance: str) -> Guest | None:
        """The guest of a running machine; None when none runs, or when machines are only states."""

    def inside(self, instance: str) -> Inside | None:
        """The inside of a running machine; None when none runs, or when machines are only states."""

    def attach(self, instance: str, drive: Drive, may_use: Callable[[], None] = at_once) -> None:
        """Plug a disk into a running machine; nothing happens when it is in already. Raises as ``start`` does.

        The machine has it open, and its guest does not see it yet, when *may_use* is called; what that raises is
        raised, and then the machine has closed it.
        """

    def detach(self, instance: str, node: str) -> None:
        """Unplug the disk whose top node is *node* and close it; no error when it is out already."""

    def uid(self, instance: str) -> int | None:
        """The unprivileged user that the machine runs as, or None when Kiln itself is not root."""

    def console(self, instance: str) -> bytes:
        """What the serial console has printed, the last 64 KiB of it at most; empty before the first start."""

    def terminal(self, instance: str) -> socket.socket | None:
        """A connection to the serial port of a running machine, which has one at a time; None where no guest runs.

        What the guest prints while nobody reads it holds the guest up. Raises MachineMissing, and MachineBusy where
        somebody else on this host is connected.
        """

    def last_words(self, instance: str) -> str:
        """What a machine's program complained about last, for a person; empty when it said nothing."""

    def forget(self, instance: str) -> None:
        """Remove what is kept of a machine that does not run."""
