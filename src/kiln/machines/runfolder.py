"""What is kept of one machine on disk: ``<run>/<instance>/``.

The folder and the sockets in it belong to Kiln's user. A confined QEMU may pass
through it to the few files that are made for it, and neither list nor replace
anything: whoever breaks out of a guest cannot have Kiln follow a link.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path

from kiln.ground.durable import sync
from kiln.ground.units import KiB, MiB
from kiln.ground.values import dataclass
from kiln.machines.errors import MachineBusy
from kiln.machines.hearing import words
from kiln.machines.runfiles import RunFiles

CONSOLE_TAIL_BYTES = 64 * KiB
_LAST_WORDS = 1000  #: Characters.
_LOG_LIMIT_BYTES = 1 * MiB  #: A log longer than this is cut down to its tail.


@dataclass(frozen=True)
class RunFolder(RunFiles):
    """The run folder of one instance; it need not exist."""

    disks: Path | None = None  #: The folder in which its machine's disks lie, by which one is known whose own was lost.
    told_by: dict[Path, Path] = field(default_factory=dict, compare=False, repr=False)
    """By a pid file, the open file by which its process was told last: a hint, which all folders of one host share."""

    def owe_thaw(self) -> None:
        """Remember, past the end of this process, that the guest's agent is to thaw it.

        It need not be on the disk: what takes it from memory takes the guest too.
        """
        self.thaw_owed.touch()

    def pay_thaw(self) -> None:
        """The guest's agent has said that it thawed."""
        self.thaw_owed.unlink(missing_ok=True)

    def owe_resumption(self) -> None:
        """Remember, past the end of this process, that the machine is to go on."""
        self.resumption_owed.touch()

    def pay_resumption(self) -> None:
        """The machine goes on."""
        self.resumption_owed.unlink(missing_ok=True)

    def mark_restarting(self) -> None:
        """Remember, past the end of this process, that a guest that powers off stays in its machine."""
        self.restarting.touch()

    def forget_restart(self) -> None:
        """A guest that powers off ends its machine."""
        self.restarting.unlink(missing_ok=True)

    def mark_waiting(self, uid: int | None) -> None:
        """Remember that the machine that is about to be started waits for a guest, and make the folder for it."""
        self.mark_arriving()
        shutil.rmtree(self.arrival, ignore_errors=True)
        self.arrival.mkdir(mode=0o700)
        if uid is not None:
            os.chown(self.arrival, uid, uid)

    def mark_arriving(self) -> None:
        """Remember that no guest has run in the machine."""
        self.arriving.touch()

    def mark_leaving(self) -> None:
        """Remember that the guest may be on its way to another machine."""
        self.leaving.touch()

    def mark_arrived(self) -> None:
        """Remember, on the disk, that the guest that came may run here from now on."""
        self.arriving.unlink(missing_ok=True)
        sync(self.path)

    def forget_moves(self) -> None:
        """A machine that is about to be started has nothing to do with guests that came or went before."""
        self.arriving.unlink(missing_ok=True)
        self.leaving.unlink(missing_ok=True)
        shutil.rmtree(self.arrival, ignore_errors=True)

    @property
    def is_between(self) -> bool:
        """Whether the folder's machine, if there is one, has a guest that must not be let run without a decision."""
        return self.arriving.exists() or self.leaving.exists()

    @contextmanager
    def held(self, *, waits: bool = True) -> Iterator[None]:
        """Make the folder if need be, and keep everybody else from changing the machine, in any process.

        Raises MachineBusy when somebody else does and this one *waits* not.
        """
        while True:
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o711)
            self.path.parent.chmod(0o711)
            try:
                lock = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # Forgotten between the two lines.
            try:
                self._lock(lock, waits=waits)
                if not self._is_lock(lock):
                    continue  # Forgotten while we waited: the lock that we got guards nothing.
                yield
                return
            finally:
                os.close(lock)

    def make_file(self, path: Path, uid: int | None) -> None:
        """An empty file for QEMU to write to, in place of what was there."""
        path.unlink(missing_ok=True)
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            if uid is not None:
                os.fchown(file, uid, uid)
        finally:
            os.close(file)

    def note(self, sentence: str) -> None:
        """Say something to whoever reads the console, before the guest does: QEMU appends to its log."""
        with self.console_log.open("a", newline="") as console:
            console.write(f"Kiln: {sentence}\r\n")

    def keep_ssh(self, address: str) -> None:
        """Remember where the guest's port 22 is reached."""
        self.ssh_file.write_text(address)

    def keep_network(self, joined: str) -> None:
        """Remember how the machine's card is joined."""
        self.network_file.write_text(joined)

    def keep_boot(self, boot: str) -> None:
        """Remember in which boot of the host the machine was started."""
        self.boot_file.write_text(boot)

    def tidy(self) -> None:
        """Cut logs that have grown long down to their tails: those of machines that an earlier Kiln started.

        There QEMU writes them itself, and appends, so it goes on at the new end. Now ``logkeeper`` keeps them short.
        """
        for log in (self.console_log, self.qemu_log):
            try:
                if log.stat().st_size > _LOG_LIMIT_BYTES:
                    rest = _tail(log, CONSOLE_TAIL_BYTES)
                    # What QEMU writes between the two lines is lost: a log's, not a disk's.
                    log.with_suffix(".earlier").write_bytes(rest)
                    os.truncate(log, 0)
            except FileNotFoundError:
                continue

    def console_tail(self) -> bytes:
        """The last that the guest printed, 64 KiB at most."""
        self.tidy()
        earlier = _tail(self.console_log.with_suffix(".earlier"), CONSOLE_TAIL_BYTES)
        return (earlier + _tail(self.console_log, CONSOLE_TAIL_BYTES))[-CONSOLE_TAIL_BYTES:]

    def last_words(self) -> str:
        """What QEMU complained about, for a person."""
        return words(_tail(self.qemu_log, 4 * KiB).decode(errors="replace").strip()[-_LAST_WORDS:])

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def _lock(self, lock: int, *, waits: bool) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MachineBusy(f"The machine of {self.instance} is being changed.") from None

    def _is_lock(self, lock: int) -> bool:
        try:
            return os.path.samestat(os.fstat(lock), (self.path / "lock").stat())
        except FileNotFoundError:
            return False


def _tail(path: Path, length: int) -> bytes:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # Whoever keeps it may be about to cut it.
            file.seek(max(0, os.fstat(file.fileno()).st_size - length))
            return file.read(length)
    except FileNotFoundError:
        return b""
