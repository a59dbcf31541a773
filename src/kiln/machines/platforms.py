"""The kinds of computers that machines can be: which QEMU runs them, on which board, with which firmware."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from kiln.ground.values import dataclass
from kiln.machines.errors import MachineRefused

_PROGRAMS = "/usr/local/bin:/usr/bin:/bin"
_VERSION = re.compile(r"version (\d+)\.(\d+)")
_VERSION_TIMEOUT_S = 30.0
_CABLES_SINCE = (7, 2)  #: The first QEMU with ``-netdev dgram``.


@dataclass(frozen=True)
class Firmware:
    """UEFI: code that all machines share, and the variables that each begins with."""

    code: Path
    variables: Path
    package: str  #: Debian's, for the sentence that asks for it.


@dataclass(frozen=True)
class Platform:
    """One architecture."""

    program: str
    package: str
    board: str
    tcg_cpu: str
    hosts: tuple[str, ...]  #: What ``uname -m`` says on hosts whose KVM can run it.
    has_bios: bool
    firmware: Firmware

    def require_program(self) -> str:
        """QEMU's path. Raises MachineRefused."""
        found = shutil.which(self.program, path=_PROGRAMS)
        if found is None:
            raise MachineRefused(f"{self.program} is not installed (Debian: {self.package}).")
        return found

    def require_firmware(self) -> Firmware:
        """UEFI's files. Raises MachineRefused."""
        for file in (self.firmware.code, self.firmware.variables):
            if not file.exists():
                raise MachineRefused(f"UEFI needs {file}, which is not installed (Debian: {self.firmware.package}).")
        return self.firmware

    @property
    def is_native(self) -> bool:
        """Whether this host's processor is of the kind, so that KVM comes into question."""
        return platform.machine() in self.hosts


_X86 = Platform(
    program="qemu-system-x86_64",
    package="qemu-system-x86",
    # The second half leaves out old devices that a guest would only spend time on.
    board="q35,vmport=off,hpet=off",
    # All that TCG can do, since some distributions want x86-64-v2; but page tables of five levels are slow in it.
    tcg_cpu="max,la57=off",
    hosts=("x86_64",),
    has_bios=True,
    firmware=Firmware(Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd"), "ovmf"),
)
_ARM = Platform(
    program="qemu-system-aarch64",
    package="qemu-system-arm",
    board="virt,gic-version=max",
    tcg_cpu="max",
    hosts=("aarch64",),
    has_bios=False,
    firmware=Firmware(
        Path("/usr/share/AAVMF/AAVMF_CODE.fd"), Path("/usr/share/AAVMF/AAVMF_VARS.fd"), "qemu-efi-aarch64"
    ),
)
_BY_ARCHITECTURE = {"x86_64": _X86, "i386": _X86, "arm64": _ARM}


def platform_of(architecture: str) -> Platform:
    """The platform of an ECS architecture. Raises MachineRefused."""
    found = _BY_ARCHITECTURE.get(architecture)
    if found is None:
        raise MachineRefused(f"There is no machine of architecture {architecture}.")
    return found


def why_no_cable(program: str) -> str:
    """Why the QEMU at that path cannot join a card to a network by a cable, in a sentence; empty when it can."""
    try:
        found = _version_of(program)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return f"{program} does not say which version it is: {error}"
    if found < _CABLES_SINCE:
        return f"{program} is of version {_dotted(found)}, and instances' networks need {_dotted(_CABLES_SINCE)}."
    return ""


@cache
def _version_of(program: str) -> tuple[int, int]:
    """Asked once: a QEMU that is put in its place while Kiln runs is no older one."""
    said = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S, check=True
    ).stdout
    found = _VERSION.search(said)
    if found is None:
        raise ValueError(said[:80])
    return int(found[1]), int(found[2])


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
