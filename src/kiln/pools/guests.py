"""A running machine, as a pool asks for it: what of its volumes the machine has open, and what it is to go over to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from kiln.ground.passphrases import Passphrase

#: Of a volume's file, locked by who may come to write it without asking, though QEMU has let go of its own locks just
#: now. QEMU looks at those of 100 to 163 and of 200 to 263.
KEPT_BYTE = 300
NO_KEYS: Mapping[str, Passphrase] = MappingProxyType({})


class GuestError(Exception):
    """A running machine did not do, or did not tell, what a pool asked of it."""


class GuestBusy(GuestError):
    """Somebody else is changing the machine; nothing was done."""


class GuestAstray(GuestError):
    """A running machine knows a file by a name that does not lead to it any more; nothing was done."""


class GuestUntold(GuestError):
    """A running machine does not answer, and was not told to go over to anything; it will not."""


class Guest(Protocol):
    """A running machine, as a pool needs it for volumes that it has open.

    Nodes are QEMU's block nodes, and the pool chooses their names: which of
    them belong to a volume nobody else needs to know. Each method but
    ``is_alive`` may raise GuestError.
    """

    def is_alive(self) -> bool:
        """Whether the machine runs still; known without its answering."""

    def switch(
        self,
        nodes: Sequence[tuple[str, dict[str, Any]]],
        settle: Callable[[], None],
        opened: Collection[str] = (),
        leads_home: Callable[[str, str], bool] | None = None,
    ) -> bool:
        """Put each overlay above its node, all in one QMP transaction; returns whether it was quiesced.

        The guest's file systems are held still for the transaction alone, not
        while what it needs is made ready; not at all where no agent answers within
        two seconds, or it fails. They are let go on every way out. *settle*, which
        may be called while the overlays are being opened, has returned before the
        guest writes to one of them; where it raises nothing is switched, and that is
        raised. *opened* are the overlays, by node, that ``open_ahead`` has opened as
        the files that they are; one that is not open any more is opened as the others
        are.

        *nodes* holds (node now on top, ``blockdev-add`` arguments of the
        overlay). Overlays that are already on top are left as they are, so the
        call may be made again after a crash; when none is left to be put there,
        nobody knows how it was, and the answer is False.

        A node below an overlay is opened once more, to be read only, by the file
        name that the machine was told when it opened it. *leads_home* says of such a
        node and that name whether it still leads to the node's file, and may see to it
        that it does. Where it does not, nothing is switched, and GuestAstray is raised.
        """

    def hold(self, act: Callable[[], None]) -> bool:
        """Have the guest stand still, with all that it wrote flushed, while *act* is done; whether it was quiesced.

        For a pool whose volumes change under what the machine has open. Its
        file systems are held still where its agent answers within two seconds; its
        processors always. It goes on on every way out; where this process is killed
        in between, whoever finds the machine has it go on. What *act* raises is raised.
        """

    def open_ahead(self, overlays: Sequence[dict[str, Any]], kept: Collection[str]) -> None:
        """Open overlays for a later ``switch``; nothing is put on them, or written to them, before.

        *overlays* are ``blockdev-add`` arguments. What an earlier call opened, and
        nothing stands on, is closed unless its node is one of *kept*.
        Raises GuestBusy while somebody else changes the machine; then nothing was opened.
        """

    def stream(
        self, node: str, base: str | None, backing_file: str | None, passphrases: Mapping[str, Passphrase] = NO_KEYS
    ) -> None:
        """Copy all between *node* and *base* up into *node* while the guest runs; returns when done.

        Afterwards *node* stands on *base* (on nothing when None) and its
        header names *backing_file*. What was copied must be flushed before the
        header changes, which QEMU does not do by itself: left alone it lets
        the header forget the parent while the copied bytes' places are still
        in its memory, and a kill then loses them. So the job is started with
        ``auto-finalize`` false, *node* is flushed once the job is pending
        (``human-monitor-command`` with ``qemu-io NODE flush``, or a pause),
        and only then is the job finalized. *passphrases* are those of the
        encrypted volumes in the chain, for tools that look where these hold something.
        """

    def follow(self, chains: Sequence[Sequence[dict[str, Any]]]) -> bool:
        """Let the machine read each layer's present file, and close the files of what was merged away.

        *chains* holds the block nodes of all disks of the machine; a chain
        whose head it does not have open is passed over. Returns whether it
        closed anything. What the guest reads does not change. May be made
        again after a crash at any line. Raises GuestBusy.
        """

    def require_home(self, volumes: Collection[str], leads_home: Callable[[str, str], bool]) -> None:
        """Raise GuestAstray where the machine knows a volume by a name that leads to another file, or to none.

        *leads_home* is as in ``switch``. Volumes that the machine does not have open are passed over.
        """

    def has_node(self, node: str) -> bool:
        """Whether the machine has that block node open, under either of its names.

        Also one that was opened for a ``switch`` which never came.
        """

    def stands_above(self, node: str) -> bool:
        """Whether the machine has that block node open, under either of its names, above another.

        So an overlay stands that a ``switch`` has put there; one that was only opened for it stands on nothing.
        """

    def resize(self, node: str, size_bytes: int) -> None:
        """Grow a disk by its node on top; the guest sees it at once."""
