"""Whether KVM works here: only if a guest has really booted under it, once for this kernel and processor.

That /dev/kvm can be opened proves nothing: nested and restricted hosts have one
under which stock kernels hang.
"""

from __future__ import annotations

import json
import os
import platform
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from kiln.ground.short_files import read_short
from kiln.ground.values import dataclass
from kiln.machines.errors import MachineRefused
from kiln.machines.hearing import words
from kiln.machines.platforms import platform_of

LIMIT_S = 20.0
_DEVICE = Path("/dev/kvm")
_LAST_LINES = 2  #: Of what QEMU printed before it ended.


@dataclass(frozen=True)
class ProbeGuest:
    """What is booted: *ready* is what it prints on its first serial port when it is up."""

    kernel: Path
    initrd: Path
    command_line: str
    ready: str


@dataclass(frozen=True)
class Verdict:
    """What a probe found, and on what."""

    kernel: str
    processor: str
    works: bool
    reason: str


def kvm_works(record: Path, guest: ProbeGuest | None, limit_s: float = LIMIT_S) -> bool:
    """Whether KVM is to be used. The verdict is kept in *record* and holds while kernel and processor are the same.

    Without a *guest* to try, only a verdict that is there counts. Takes up to
    *limit_s* the first time.
    """
    kept = find_verdict(record)
    if kept is not None:
        return kept.works
    if guest is None:
        return False
    return _keep(record, guest, limit_s).works


def find_verdict(record: Path) -> Verdict | None:
    """What an earlier probe found, if kernel and processor are still those."""
    kept = _read(record)
    if kept is None or (kept.kernel, kept.processor) != (platform.release(), processor()):
        return None
    return kept


def why_not_tried() -> str:
    """Why KVM cannot even be tried on this host, in a sentence; empty when it can."""
    if not platform_of("x86_64").is_native:
        return "The small guest is for another processor."
    if not _DEVICE.exists():
        return f"There is no {_DEVICE}."
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"{_DEVICE} cannot be opened."
    return ""


def _keep(record: Path, guest: ProbeGuest, limit_s: float) -> Verdict:
    reason = _try(guest, limit_s)
    verdict = Verdict(platform.release(), processor(), reason == "", reason or "A guest booted.")
    record.parent.mkdir(parents=True, exist_ok=True)
    draft = record.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(asdict(verdict), indent=1) + "\n")
    draft.replace(record)
    return verdict


def _read(record: Path) -> Verdict | None:
    try:
        return Verdict(**json.loads(read_short(record)))
    except (FileNotFoundError, TypeError, ValueError, RecursionError):
        return None


def processor() -> str:
    """What this host's processor calls itself."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _try(guest: ProbeGuest, limit_s: float) -> str:
    """Boot the guest under KVM; an empty string when it came up, else a sentence that says why not."""
    computer = platform_of("x86_64")
    if why := why_not_tried():
        return why
    try:
        program = computer.require_program()
    except MachineRefused as error:
        return str(error)
    command = [program, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    command += ["-machine", computer.board, "-accel", "kvm", "-cpu", "host", "-m", "256", "-serial", "stdio"]
    command += ["-kernel", str(guest.kernel), "-initrd", str(guest.initrd), "-append", guest.command_line]
    with _process(command) as qemu:
        return _watch(qemu, guest.ready.encode(), limit_s)


@contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _watch(qemu: subprocess.Popen[bytes], ready: bytes, limit_s: float) -> str:
    assert qemu.stdout is not None
    deadline = time.monotonic() + limit_s
    printed = b""
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([qemu.stdout], [], [], left)[0]:
            break
        received = os.read(qemu.stdout.fileno(), 65536)
        if not received:
            return f"QEMU ended: {_last_lines(printed)}"
        printed += received
        if ready in printed:
            return ""
    return f"No guest came up under KVM within {limit_s:.0f} s."


def _last_lines(printed: bytes) -> str:
    """Whole lines, in one: what QEMU says last is often what it asserts, and the line before says why."""
    return words("; ".join(printed.decode(errors="replace").strip().splitlines()[-_LAST_LINES:]))
