"""QEMU processes: found by their run folder, never believed by their number alone, started so that they outlive us."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kiln.ground.values import dataclass
from kiln.machines.errors import MachineBusy, MachineRefused
from kiln.machines.runfolder import RunFolder

_PROC = Path("/proc")
_UNLINKED = " (deleted)"  #: What Linux adds to the name of an open file that has none any more.
_LONGEST_NUMBER = 20
_MOST_TOLD = 4096
#: Nothing of Kiln's own environment, in which there may be secrets.
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_NET_BIND_SERVICE = "net_bind_service"


@dataclass(frozen=True)
class Process:
    """A QEMU process that was verified to be the run folder's; the descriptor stays its own even when it has died."""

    pid: int
    descriptor: int

    def is_gone(self, within_s: float = 0.0) -> bool:
        """Whether it has ended; waits *within_s* for that."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(within_s * 1000))

    def terminate(self) -> None:
        """Have it end by itself: QEMU writes out what it has in memory, the guest's power is cut."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, signal.SIGTERM)

    def kill(self) -> None:
        """Cut its power. What it had not flushed is lost, as it would be in a real machine."""
        try:
            signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)
        except ProcessLookupError:
            return


def find(folder: RunFolder) -> int | None:
    """The number of the folder's living QEMU, by its pid file."""
    try:
        with folder.pid_file.open("rb") as file:
            pid = int(file.read(_LONGEST_NUMBER))  # QEMU owns the file, and whoever has taken it over may fill it.
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return pid if _is_of(folder, pid) else None


def search(folder: RunFolder) -> int | None:
    """As :func:`find`, and then among all processes: one that starts has written no pid file yet, one may be lost."""
    found = find(folder)
    if found is None:
        numbers = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
        found = next((number for number in numbers if _is_of(folder, number)), None)
    return found


def find_lost(run: Path, disks: Path | None) -> Iterator[RunFolder]:
    """Living machines that are not found by their run folder below *run*; each gets one again, with its pid file.

    Its sockets may be gone for good: such a machine can be ended, and nothing else.
    """
    for entry in _PROC.iterdir():
        arguments = _arguments(int(entry.name)) if entry.name.isdigit() else []
        instance = _named_in(arguments)
        if instance is None or b"-pidfile" not in arguments:
            continue
        folder = RunFolder(run / instance, disks)
        # Whoever holds the folder may be about to start it, and then knows of it.
        with contextlib.suppress(MachineBusy):
            if _is_of(folder, int(entry.name)) and _make_known(folder, int(entry.name)):
                yield folder


@contextmanager
def open_process(folder: RunFolder) -> Iterator[Process | None]:
    """The folder's living QEMU if there is one, held by a descriptor that never comes to stand for another process."""
    pid = search(folder)
    descriptor = None if pid is None else _descriptor(pid)
    if pid is None or descriptor is None:
        yield None
        return
    try:
        # Looked at again: the number might have gone to another process before the descriptor was taken.
        yield Process(pid, descriptor) if _is_of(folder, pid) else None
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Confinement:
    """The user that QEMU runs as. It never has more rights than that, from its first instruction on."""

    uid: int
    groups: Sequence[int] = ()  #: The group of /dev/kvm, if any.
    may_bind: bool = False  #: Whether it may listen on ports below 1024.

    def prefix(self) -> list[str]:
        """The command that gives up all rights and then becomes the one that follows.

        QEMU's own ``-runas`` cannot be had together with ``-sandbox
        elevateprivileges=deny``, nor ``-daemonize`` with ``spawn=deny``: 7.2
        installs its filter first and is then killed by SIGSYS.
        """
        groups = f"--groups={','.join(map(str, self.groups))}" if self.groups else "--clear-groups"
        user = [f"--reuid={self.uid}", f"--regid={self.uid}", groups, "--no-new-privs"]
        kept = [f"--inh-caps=-all,+{_NET_BIND_SERVICE}", f"--ambient-caps=-all,+{_NET_BIND_SERVICE}"]
        return ["setpriv", *user, *(kept if self.may_bind else ["--inh-caps=-all"])]


def kill(folder: RunFolder, within_s: float) -> None:
    """Kill the machine, if there is one, and wait for its end so long."""
    with open_process(folder) as qemu:
        if qemu is not None:
            qemu.kill()
            qemu.is_gone(within_s)


def start(
    command: list[str], confinement: Confinement | None, descriptors: Sequence[int], complaints: int, *, umask: int = -1
) -> None:
    """Start QEMU in a session of its own, as nobody's child, with *descriptors* open and *complaints* to write to.

    *umask* -1: Kiln's own. Returns before it is known whether it can run at all.
    """
    prefix = [] if confinement is None else confinement.prefix()
    try:
        subprocess.run(
            ["setsid", "--fork", *prefix, *command],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=complaints,
            stderr=complaints,
            pass_fds=descriptors,
            cwd="/",
            env=_ENVIRONMENT,
            umask=umask,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise MachineRefused(f"QEMU could not be started: {error}") from error


def _is_of(folder: RunFolder, pid: int) -> bool:
    """Whether a process is the folder's machine: it has that very pid file open, or a disk of the folder's Kiln.

    Names tell where nothing is open yet or can be seen: the folder's pid file as an
    argument. They do not where it has disks that are none of these: an old copy of
    all was put under the name under which the machine was started. Nor do disks where
    its pid file stands in another's data folder: several on one computer share a pool.
    """
    arguments = _arguments(pid)
    is_named = os.fsencode(folder.pid_file) in arguments
    if not is_named and os.fsencode(f"guest={folder.instance}") not in arguments:
        return False
    if _is_still_by(folder, pid):
        return True
    has_disks = False
    opened = list(_opened(pid, folder))
    if any(_is_anothers(entry, folder) for entry, _ in opened):
        return False
    for entry, paths in opened:
        if any(_is_same(entry, path) for path in paths):
            _remember(folder, entry)
            return True
        has_disks = has_disks or any(_is_a_disk(path) for path in paths)
    return is_named and not has_disks


def _is_anothers(entry: Path, folder: RunFolder) -> bool:
    """Whether an open file is the pid file of a machine of the instance that another Kiln on this computer started."""
    with contextlib.suppress(OSError):
        path = entry.readlink()
        is_a_pid_file = path.parts[-2:] == folder.pid_file.parts[-2:] and not _is_same(entry, folder.pid_file)
        # One that was moved aside in the data folder, or has no name any more, may be the folder's of before.
        return is_a_pid_file and not path.is_relative_to(folder.path.parent.parent) and _is_same(entry, path)
    return False


def _is_still_by(folder: RunFolder, pid: int) -> bool:
    """Whether what told it the last time does so still: one look instead of one at each file that it has open."""
    entry = folder.told_by.get(folder.pid_file)
    if entry is None or entry.parent != _descriptors(pid):
        return False
    return any(_is_same(entry, path) for entry, paths in _told([entry], folder) for path in paths)


def _remember(folder: RunFolder, entry: Path) -> None:
    if len(folder.told_by) >= _MOST_TOLD:
        folder.told_by.clear()
    folder.told_by[folder.pid_file] = entry


def _is_a_disk(path: Path) -> bool:
    return path.name.removesuffix(_UNLINKED).endswith(".qcow2")


def _make_known(folder: RunFolder, pid: int) -> bool:
    """Write the folder's pid file where it leads to no living QEMU. Raises MachineBusy."""
    if find(folder) is not None:
        return False
    with folder.held(waits=False):
        if find(folder) is not None or not _is_of(folder, pid):
            return False
        if not folder.pid_file.exists():  # QEMU may have it open, and is known by that.
            folder.make_file(folder.pid_file, None)
        folder.pid_file.write_text(str(pid))
        return True


def _named_in(arguments: Sequence[bytes]) -> str | None:
    """The instance whose QEMU was started so. What is no plain name of a folder is nobody's."""
    names = [os.fsdecode(one.removeprefix(b"guest=")) for one in arguments if one.startswith(b"guest=")]
    return names[0] if len(names) == 1 and names[0] not in ("", ".", "..") and "/" not in names[0] else None


def _arguments(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _opened(pid: int, folder: RunFolder) -> Iterator[tuple[Path, list[Path]]]:
    """What a process has open, and of each what it is if the process is the folder's machine.

    A disk is looked for by its own name alone, since the folders above it may be mounted, or named, otherwise by now.
    """
    try:
        entries = list(_descriptors(pid).iterdir())
    except OSError:
        return
    yield from _told(entries, folder)


def _descriptors(pid: int) -> Path:
    return _PROC / str(pid) / "fd"


def _told(entries: Iterable[Path], folder: RunFolder) -> Iterator[tuple[Path, list[Path]]]:
    for entry in entries:
        with contextlib.suppress(OSError):
            name = entry.readlink().name
            yield entry, [folder.pid_file] if folder.disks is None else [folder.pid_file, folder.disks / name]


def _is_same(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.stat(), other.stat())
    except OSError:
        return False


def _descriptor(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None
