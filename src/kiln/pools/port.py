"""The port behind which a pool keeps volumes.

A **volume** is a name and bytes. It is a *head* (writable, one owner) or a
*layer* (immutable, any number of children); the pool does not need to be told
which: whoever has children is never written again. Names are chosen by the
caller before anything exists, so that after a crash every call can simply be
made again: each is idempotent, and a volume is there whole or not at all.

Any number of processes may have a pool open, on any number of hosts that see it.
Each may do everything at any time but these, which one may do at a time, and the
caller sees to that: ``identify``, and ``Records.flush``. Two that would do what
cannot both be done are told VolumeBusy, and nobody's bytes are lost by it.

Sizes are virtual sizes in bytes, multiples of 512.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

from kiln.ground.values import dataclass
from kiln.pools.guests import Guest

SourceFormat = Literal["raw", "qcow2", "vpc", "vmdk"]  #: QEMU's words; ``vpc`` is VHD.
TargetFormat = Literal["raw", "qcow2", "vpc", "vmdk", "vdi"]

Progress = Callable[[float], None]  #: Called with 0.0 ... 100.0, at most a few times a second.
Cancel = Callable[[], bool]  #: Asked a few times a second; True ends the work with ``Cancelled``.


def never_cancelled() -> bool:
    """A ``Cancel`` of what nobody takes back."""
    return False


@dataclass(frozen=True)
class Succession:
    """One disk of a freeze: *head* becomes a layer, *heir* the fresh head above it."""

    head: str
    heir: str


@dataclass(frozen=True)
class Stamp:
    """One file at one time: what differs once it is another, or was written. Times are in nanoseconds."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int


@dataclass(frozen=True)
class Source:
    """What the inspection of bytes from outside found.

    ``virtual_size`` is in bytes and comes from the file, not from the caller.
    """

    format: SourceFormat
    virtual_size: int
    stamp: Stamp  #: Of the file, from before its first byte was looked at.


@dataclass(frozen=True)
class Stranger:
    """What lies in the pool under *name* and is no volume; *volume* is the one in whose place it lies, if any."""

    name: str
    volume: str | None


@dataclass(frozen=True, kw_only=True)
class Discarded:
    """What lies in a pool's trash under *name*; *volume* is the one that it is, or None where it is no volume."""

    name: str
    volume: str | None
    allocated_bytes: int


@dataclass(frozen=True, kw_only=True)
class Room:
    """How many bytes a pool has free for volumes, and has in all."""

    free_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class Generation:
    """One start of a deployment. The mark tells two of one number apart, after a copy went on by itself."""

    number: int
    mark: str


@dataclass(frozen=True)
class Identity:
    """The deployment whose volumes a pool holds, the generation that it is in, and the one that was being begun."""

    deployment: str
    generation: Generation
    next: Generation | None = None


class Records(Protocol):
    """Documents that a pool keeps beside its volumes and does not read: a second witness beside the database.

    What was ``put`` is seen at once, and is on the disk after ``flush``. All of it
    raises RecordsTooNew where a newer Kiln wrote them.
    """

    @property
    def batch(self) -> int:
        """The number of the last batch that was flushed; 0 before the first."""

    @property
    def damaged(self) -> int:
        """How many records cannot be read any more."""

    @property
    def doubtful(self) -> list[tuple[str, str]]:
        """Kind and ID of what such records were about and no later one tells of, where they still tell that much."""

    @property
    def deployment(self) -> str:
        """Whose records they are, or "" while that is not written."""

    def put(self, kind: str, name: str, document: Mapping[str, Any] | None, volumes: Collection[str] = ()) -> None:
        """Keep a document, which names *volumes*; None when the thing is gone. What is kept already is not again."""

    def differs(self, kind: str, name: str, document: Mapping[str, Any] | None, volumes: Collection[str] = ()) -> bool:
        """Whether to ``put`` it would change something."""

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The document of that name, or None."""

    def names(self, kind: str) -> list[str]:
        """The IDs of all documents of that kind, in order."""

    def all(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every document of that kind with its ID."""

    def naming(self, volume: str) -> list[tuple[str, str]]:
        """Kind and ID of everything whose document names *volume*."""

    def flush(self, batch: int, deployment: str) -> int:
        """Have everything that was put on the disk, under a number that grows; returns how many records that were.

        Raises PoolFull, OSError, and VolumeBusy where another process writes, or has written a later batch; then
        nothing was kept, and it may be tried again. Which one process writes is the caller's affair.
        """


class Overlays(Protocol):
    """What ``Pool.prepare`` has made ready above heads, as far as machines may open it before a freeze needs it."""

    def want(self, heads: Collection[str]) -> None:
        """Have ``prepare`` make something ready above each of these heads in use, anew where there is some."""

    def due_to_open(self) -> list[str]:
        """Heads above which something is ready that no machine has open, now that it is time to look for one.

        A head is told some times, ever less often, and then no more.
        """

    def open(self, volumes: Mapping[str, str], guest: Guest) -> None:
        """Have the machine that runs on some heads open what is ready above them; *volumes* names the heirs by head.

        Raises GuestBusy, and then it may be tried again; GuestError, OSError. Nothing is lost by them but time.
        """

    def name_of(self, head: str) -> str | None:
        """How the heir of a head has to be called so that a freeze finds it open; None: as one likes."""


class Pool(Protocol):
    """See the module's docstring; one contract suite holds every pool to it."""

    kind: str  #: ``qcow2`` or ``rbd``.
    encrypts: bool  #: Whether it can keep volumes encrypted; else what has a key raises EncryptionUnsupported.

    @property
    def records(self) -> Records:
        """What the pool keeps beside its volumes, of what they belong to."""

    @property
    def overlays(self) -> Overlays:
        """What was made ready above heads."""

    def identity(self) -> Identity | None:
        """Whose pool it is; None before that is said. Raises IdentityBroken, IdentityTooNew, OSError."""

    def identify(self, identity: Identity) -> None:
        """Say whose pool it is; on the disk when this returns. Raises PoolFull, OSError."""

    def create(self, volume: str, size_bytes: int, key: str = "") -> None:
        """Make a blank head that reads as zeros, encrypted with the key of that ID if there is one. Idempotent.

        So is then whatever comes to stand on it. Raises PoolFull, VolumeLocked when there is no such key.
        """

    def clone(self, layer: str, volume: str, size_bytes: int) -> None:
        """Make a head that reads as *layer*, then zeros up to *size_bytes*. Copies nothing. Idempotent.

        It is encrypted with the key of *layer*, if that is. Raises VolumeMissing, VolumeLocked, PoolFull.
        *size_bytes* is at least the layer's.
        """

    def freeze(self, disks: Sequence[Succession], guest: Guest | None) -> bool:
        """Turn every head into a layer and give each disk a fresh head, for all disks at one instant.

        With a *guest* the heads are its disks and it goes on running on the
        heirs; its file systems are held still at that instant where its agent
        answers, which the answer tells. May be made again after a crash at any
        line: when it returns, all heirs exist and the heads are no longer
        written by anyone. How the guest comes to write to the heirs is the pool's
        affair: to new files that it is switched to, or on to what it has open,
        of which the heads are snapshots from then on.
        """

    def prepare(self) -> int:
        """Make ready, while nothing else is to be done, what the next freezes of heads in use will need.

        Returns how much was made. It is no volume, takes next to no room, and need
        never be called: a freeze does without. Raises PoolFull.
        """

    def put_away(self) -> None:
        """Take away what was made ready, before the pool is used no more."""

    def has_frozen(self, disks: Sequence[Succession], guest: Guest | None) -> bool:
        """Whether a freeze that was begun has happened, or may have, so that it must be made again and not given up.

        *guest* is the machine whose disks they are, or None when it does not
        run. After False the heirs hold nothing of anybody's and never will: they
        may be dropped, and the heads be written. Raises VolumeBusy while nobody
        can tell, because the machine may be at it and does not answer.
        """

    def resize(self, volume: str, size_bytes: int, guest: Guest | None = None) -> None:
        """Grow a head. Growing to the present size does nothing.

        *guest* is the machine that may have it open. Raises what the guest raises.
        """

    def is_used(self, volume: str, guest: Guest) -> bool:
        """Whether the machine has the volume open. Raises GuestError."""

    def require_home(self, heads: Collection[str], guest: Guest) -> None:
        """Raise GuestAstray where the machine has another file open in place of a head, or of what one stands on.

        So it is when the pool was moved, or an old copy put in its place, while the
        machine ran. It is looked at before the machine is told to do anything with
        what it has open. What it has not open is passed over. Raises GuestError.
        """

    def let_go(self, held: Sequence[str], heads: Sequence[str], guest: Guest) -> bool:
        """Have a machine that has one of *held* open read what those were merged into, and close them.

        *heads* are the volumes of all its disks. Returns whether it closed
        anything. What the guest reads does not change. Raises GuestError.
        """

    def drop(self, volume: str) -> None:
        """Give a volume's space back; it is no error when it is gone already.

        Raises VolumeBusy under a child, in the trash too, and while a machine or a tool has it
        open: its space would not come back, and the machine could not be
        helped to let it go, once nobody can open it any more.
        """

    def discard(self, volumes: Sequence[str]) -> list[str]:
        """Move volumes into the pool's trash, out of everybody's sight but with all their bytes.

        Returns those that lie there now. The others stay as they are: something
        stands on them, or a machine or a tool has them open, or there are none. What
        lies there goes on being read as before once it is back, whatever merges
        happen meanwhile: nothing that it stands on is removed. Idempotent; may be
        made again after a crash at any line. Raises ToolFailed where the trash
        cannot be used, or has a volume of that name, and PoolFull.
        """

    def retrieve(self, volume: str) -> None:
        """Take a volume back from the trash into the pool. Idempotent.

        What it stands on must be in the pool. Raises VolumeMissing (which of the
        two is missing is said), ToolFailed when the pool has another of its name.
        """

    def purge(self, volumes: Sequence[str]) -> list[str]:
        """Give back the space of volumes in the trash for good; returns those that are not there any more.

        The others are left: something stands on them, there or in the pool, or
        somebody has them open. Of volumes that stand on each other all may be named.
        """

    def discarded(self) -> Iterator[Discarded]:
        """What lies in the trash."""

    def room(self) -> Room | None:
        """What the pool has free; None while nobody can tell."""

    def absorb(
        self, child: str, guest: Guest | None, beside: Sequence[str] = (), cancelled: Cancel = never_cancelled
    ) -> None:
        """Copy the parent's bytes up into *child*, which then stands on its grandparent (or on nothing).

        What *child* reads as does not change. The parent stays; dropping it is
        the caller's business. *guest* is the machine that may have *child* open
        as a writable head, if any, and *beside* are the heads of its other disks.
        *cancelled* is asked last before another file takes the place of *child*.
        Raises GuestError, Cancelled, VolumeBusy while another process merges *child*.
        """

    def exists(self, volume: str) -> bool:
        """Whether the volume is there."""

    def is_open(self, volume: str) -> bool:
        """Whether a machine or a tool has the volume open, if only to read it. Raises VolumeMissing."""

    def size(self, volume: str) -> int:
        """Virtual size in bytes. Raises VolumeMissing, VolumeBroken."""

    def length(self, volume: str) -> int:
        """Bytes from the first to the last that is kept of this volume alone, holes included.

        Of a layer it never changes but by ``absorb``: what has another length was
        cut, or written to. Raises VolumeMissing.
        """

    def parent(self, volume: str) -> str | None:
        """The layer that the volume stands on. Raises VolumeMissing, VolumeBroken."""

    def volumes(self) -> Iterator[str]:
        """Every volume there is, finished ones only."""

    def taken(self) -> Iterator[tuple[str | None, int]]:
        """What each file of the pool takes on the disk, in bytes, with the name of its volume, if it is one's.

        What was discarded is told by ``discarded``, and not here.
        """

    def strangers(self) -> list[Stranger]:
        """What lies in the pool and is neither a volume, nor a half-made one, nor was set aside."""

    def set_aside(self, what: str | Stranger) -> str:
        """Take a volume (by its name) or a stranger out of the pool without losing a byte of it.

        Returns where it lies now, in words for the operator. What stands on it is
        the caller's business. Raises VolumeBusy while somebody writes it, ToolFailed.
        """

    def leftovers(self) -> list[str]:
        """Names of the half-made volumes that a crash left; what a process makes that lives is none, wherever."""

    def sweep(self) -> list[str]:
        """Remove ``leftovers``; returns what was removed, for the log. Any process may, at any time."""

    def verify(self, volume: str) -> list[str]:
        """Complaints about one volume's own structure, as sentences; empty when it is sound."""

    def blockdevs(self, volume: str) -> list[dict[str, Any]]:
        """``-blockdev`` arguments for QEMU, from what lies lowest to *volume*, whose node is ``node(volume)``."""

    def node(self, volume: str) -> str:
        """The name of the block node on top of the disk in a machine that has the volume open as a head."""

    def files(self, volume: str) -> tuple[Path, ...]:
        """The files that a machine opens for the volume, which its user must be able to come to; none is an answer."""

    def grant(self, volume: str, uid: int | None) -> None:
        """Let the user *uid* (None: Kiln itself) read the whole chain and write *volume*, for a confined QEMU.

        Raises VolumeBusy when something stands on *volume*: nobody writes that any more. Then nothing changes.
        """

    def cut_off(self, volumes: Collection[str]) -> None:
        """Let nobody write *volumes* who has them open now, before a machine is started on them that did not run.

        That may be one on another host which does not know yet that it is over, or of which a pool does not know
        yet that it is dead. A pool whose files a machine locks, for as long as it lives and no longer, need do nothing.
        """

    def writers(self, volumes: Collection[str]) -> Mapping[str, frozenset[str]]:
        """What names the machines that have each of *volumes* open to write; of no volume where a machine locks it.

        A name is the pool's own, no other machine's ever, and stays for as long as the machine has the disk.
        """

    def shut_out(self, writers: Collection[str]) -> None:
        """Let nobody that ``writers`` named write anything any more, also who stands still, or is not seen just now.

        A pool whose files a machine locks need do nothing.
        """

    def require_sole(self, volumes: Collection[str]) -> None:
        """Raise VolumeBusy where another machine has *volumes* open too, beside one that has just opened them.

        That one stands still until this has returned: so of two that are started at one time, by hosts that do not
        know of each other, no more than one goes on. A pool whose files a machine locks need do nothing.
        """

    def take_back(self, volume: str) -> None:
        """Take *volume* back from the user that it was granted to; what something stands on nobody writes after it.

        Raises VolumeMissing, ToolFailed.
        """

    def unpacked(self, file: BinaryIO, cancelled: Cancel) -> AbstractContextManager[BinaryIO]:
        """The disk that is packed in an open file from outside, open; the file itself when nothing is.

        Raises SourceRefused, PoolFull, PoolClosed, Cancelled.
        """

    def inspect(self, file: BinaryIO, stated: SourceFormat | None) -> Source:
        """Judge an open file from outside without letting QEMU's tools near it. Raises SourceRefused."""

    def bring_in(self, file: BinaryIO, source: Source, volume: str, progress: Progress, cancelled: Cancel) -> None:
        """Make a layer of an inspected file's bytes. Whole or not at all.

        Only the open *file* is read, whatever its name leads to by now.
        Raises SourceRefused, also when it is not what was inspected any more,
        SourceTouched when it may be and both may be tried again, PoolFull,
        Cancelled.
        """

    def encrypt(self, layer: str, volume: str, key: str, progress: Progress, cancelled: Cancel) -> None:
        """Make a layer that reads as *layer*, stands on nothing and is encrypted with the key of that ID.

        Whole or not at all; idempotent. Raises VolumeMissing, VolumeLocked, PoolFull, Cancelled.
        """

    def send_out(self, layer: str, path: Path, target: TargetFormat, progress: Progress, cancelled: Cancel) -> None:
        """Write what *layer* reads as, flattened, to a file that stands alone; whole or not at all.

        Raises PoolFull, Cancelled.
        """
