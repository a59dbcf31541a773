"""What can go wrong with machines.

MachineError
MachineMissing       no machine runs for that instance
MachineRefused       QEMU would not start, or refused a command; its words are in the message
  GuestStays         a guest cannot be sent to any other machine for now
MachineBusy          somebody else is changing it; nothing was done
MachineAstray        it knows a file by a name that leads elsewhere by now; nothing was done
MachineSilent        QEMU runs but does not answer
  MachineGarbled     it does, but what it says cannot be understood
  MachineUntold      ... and was not told yet what it was to be told
AgentSilent          the guest's agent does not answer, or not with what it was asked for
AgentRefused         it says that it does not do what it was asked to; its words are in the message
  AgentForbidden     ... as it is configured, or while the guest's file systems are frozen
"""

from __future__ import annotations

from kiln.pools.guests import GuestAstray, GuestBusy, GuestError, GuestUntold


class MachineError(GuestError):
    """Base of everything that machines raise on purpose."""


class MachineMissing(MachineError):
    """No machine runs for that instance."""


class MachineRefused(MachineError):
    """QEMU would not start, or refused a command."""


class GuestStays(MachineRefused):
    """A guest cannot be sent for now, whichever machine waits for it; it goes on where it is."""


class MachineBusy(GuestBusy, MachineError):
    """Somebody else is changing the machine; nothing was done."""


class MachineAstray(GuestAstray, MachineError):
    """It knows a file by a name that leads elsewhere by now; nothing was done."""


class MachineSilent(MachineError):
    """QEMU runs but does not answer in time."""


class MachineGarbled(MachineSilent):
    """What answers says what neither QEMU nor an agent says, or without end."""


class MachineUntold(GuestUntold, MachineSilent):
    """QEMU does not answer, and was not told yet to write anywhere else."""


class AgentSilent(MachineError):
    """The guest's agent does not answer, or not with what it was asked for."""


class AgentRefused(MachineError):
    """The guest's agent says that it does not do what it was asked to."""


class AgentForbidden(AgentRefused):
    """The agent is not to do that: as it is configured, or for as long as the guest's file systems are frozen."""
