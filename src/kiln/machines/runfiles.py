"""Where things are in the run folder of a machine: names alone, for whoever only looks for one of them.

The command line looks for the console so; what the folder is held, tidied and
removed by (``runfolder``) takes as long to load as a word of it may take.
"""

from __future__ import annotations

from pathlib import Path

from kiln.ground.values import dataclass

CABLE, USER = "cable", "user"  #: How a machine's card may be joined.


@dataclass(frozen=True)
class RunFiles:
    """The files of one instance's run folder; none need exist."""

    path: Path

    @property
    def instance(self) -> str:
        return self.path.name

    @property
    def pid_file(self) -> Path:
        return self.path / "pid"  #: Written by QEMU.

    @property
    def qmp(self) -> Path:
        return self.path / "qmp"

    @property
    def agent(self) -> Path:
        return self.path / "agent"

    @property
    def console(self) -> Path:
        return self.path / "console"  #: The serial port; one connection at a time.

    @property
    def console_log(self) -> Path:
        return self.path / "console.log"

    @property
    def qemu_log(self) -> Path:
        return self.path / "qemu.log"  #: QEMU's own complaints.

    @property
    def firmware_variables(self) -> Path:
        return self.path / "uefi-variables"

    @property
    def uid_file(self) -> Path:
        return self.path / "uid"

    @property
    def ssh_file(self) -> Path:
        return self.path / "ssh"  #: HOST:PORT that leads to the guest's port 22; empty where none does.

    @property
    def network_file(self) -> Path:
        return self.path / "network"  #: How its card is joined: CABLE, or anything else for user networking.

    @property
    def boot_file(self) -> Path:
        return self.path / "boot"  #: In which boot of the host it was started.

    @property
    def thaw_owed(self) -> Path:
        return self.path / "thaw-owed"  #: There while the guest may be frozen: until its agent says that it thawed.

    @property
    def arrival(self) -> Path:
        return self.path / "arrival"  #: A folder of QEMU's own, in which it listens for a guest that is to come.

    @property
    def arriving(self) -> Path:
        return self.path / "arriving"  #: There while the machine waits for a guest, or has one that never ran in it.

    @property
    def leaving(self) -> Path:
        return self.path / "leaving"  #: There while the guest may be on its way to another machine, or be there.

    @property
    def restarting(self) -> Path:
        return self.path / "restarting"  #: There while the machine may stand still in place of ending with its guest.

    @property
    def resumption_owed(self) -> Path:
        return self.path / "resumption-owed"  #: There while its processors may stand still for a freeze.
