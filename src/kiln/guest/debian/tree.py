"""Debian's packages installed into a tree, and the tree made a file system, by mmdebstrap in namespaces of its own.

As root the mounts that packages' scripts need are made in a mount namespace
that ends with the build; whoever is not root has a user namespace with
subordinate numbers (``/etc/subuid``), in which owners and modes come out right.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from kiln.ground.units import MiB
from kiln.ground.values import dataclass
from kiln.guest.errors import GuestUnbuildable
from kiln.guest.packages import program

RELEASE = "bookworm"
_PACKAGES = (
    "linux-image-cloud-amd64", "systemd-sysv", "dbus", "udev", "openssh-server", "cloud-init", "qemu-guest-agent",
    "sudo", "iproute2", "ifupdown", "isc-dhcp-client", "ca-certificates", "netbase", "cloud-guest-utils", "e2fsprogs",
    "zstd", "grub-pc-bin", "grub-efi-amd64-bin", "grub2-common",
)  # fmt: skip
#: Documentation and translations, which nobody reads in a guest.
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
#: Both consoles, and without what only delays a guest: checks of the timer, watchdogs, side channel defences.
COMMAND_LINE = "console=tty0 console=ttyS0,115200 no_timer_check nowatchdog mitigations=off quiet"

_CONFIGURE = Path(__file__).with_name("configure.sh")
_SUBORDINATE = (Path("/etc/subuid"), Path("/etc/subgid"))
_HOST_RELEASE = Path("/etc/os-release")
_HOST_SOURCES = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d"))
_TIMEOUT_S = 3600.0
_OPEN_TO_ALL = 0o1777
#: What mmdebstrap says as it begins each stage, and what that means to whoever waits.
_STAGES = {
    "running apt-get update": "fetching the lists of packages",
    "downloading packages": "fetching packages",
    "extracting archives": "unpacking the first of them",
    "installing essential packages": "installing those that all others need",
    "installing remaining packages": "installing the others",
    "running --customize-hook": "configuring the guest, and making its file system",
}
_WORDS_KEPT = 20


@dataclass(frozen=True)
class Tree:
    """What a build leaves: the root's file system, and what starts it by BIOS and by UEFI."""

    root: Path
    identity: str  #: The file system's UUID.
    boot_sector: Path
    core: Path
    efi: Path


def build_tree(folder: Path, size_bytes: int, say: Callable[[str], None], proxies: Mapping[str, str]) -> Tree:
    """Install the tree and make its file system of *size_bytes* in *folder*, which is a :func:`workshop`.

    *say* is told each stage as it begins; *proxies* are variables such as ``http_proxy``. Raises GuestUnbuildable.
    """
    identity = str(uuid.uuid4())
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C",
        "TMPDIR": str(folder),
        "KILN_OUT": str(folder),
        "KILN_UUID": identity,
        "KILN_SIZE": f"{size_bytes // MiB}M",
        "KILN_CMDLINE": COMMAND_LINE,
        **proxies,
    }
    _follow(_command(), environment, say)
    made = folder / "made"
    return Tree(
        root=made / "root.ext4",
        identity=identity,
        boot_sector=made / "boot.img",
        core=made / "core.img",
        efi=made / "grubx64.efi",
    )


@contextmanager
def workshop(below: Path) -> Iterator[Path]:
    """A new folder for :func:`build_tree`, gone with all that is in it when the block ends.

    Who is not root builds as users who have no other name here: they can write to it, and have what they leave removed
    by themselves. Raises OSError.
    """
    folder = Path(tempfile.mkdtemp(dir=below, prefix="kiln-debian-"))
    try:
        if os.geteuid() != 0:
            folder.chmod(_OPEN_TO_ALL)
        yield folder
    finally:
        if os.geteuid() != 0:
            inside = ["unshare", "--map-auto", "--map-root-user", "find", str(folder), "-mindepth", "1", "-delete"]
            subprocess.run(inside, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _command() -> list[str]:
    mmdebstrap = str(program("mmdebstrap"))
    for needed in ("mke2fs", "apt-get"):
        program(needed)
    if os.geteuid() == 0:
        way = [str(program("unshare")), "--mount", mmdebstrap, "--mode=root"]
    else:
        _require_subordinates()
        way = [mmdebstrap, "--mode=unshare"]
    excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
    return [
        *way,
        "--variant=minbase",
        "--format=null",
        '--aptopt=Acquire::Languages "none"',
        *excluded,
        f"--include={','.join(_PACKAGES)}",
        f'--customize-hook=sh {_CONFIGURE} "$1"',
        RELEASE,
        "-",
        *_sources(),
    ]


def _sources() -> Sequence[str]:
    """Where the host has its own packages from, if it is of that release; else mmdebstrap asks Debian's own servers."""
    if f"={RELEASE}" not in _HOST_RELEASE.read_text():
        return ()
    main, more = _HOST_SOURCES
    found = [main, *sorted([*more.glob("*.list"), *more.glob("*.sources")])]
    return [str(path) for path in found if path.is_file() and path.stat().st_size > 0]


def _require_subordinates() -> None:
    name = program("id") and subprocess.check_output(["id", "-un"], text=True).strip()
    for path in _SUBORDINATE:
        lines = path.read_text().splitlines() if path.exists() else []
        if not any(line.split(":")[0] in (name, str(os.getuid())) for line in lines):
            raise GuestUnbuildable(
                f"{name} has no subordinate numbers in {path}. As root: "
                f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"
            )
    program("newuidmap")


def _follow(command: Sequence[str], environment: dict[str, str], say: Callable[[str], None]) -> None:
    """Run mmdebstrap to its end, and hand on its stages. Raises GuestUnbuildable with its last words."""
    words: list[str] = []
    failure = ""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                words = [*words, line.rstrip()][-_WORDS_KEPT:]
                if not failure and line.startswith("E: "):
                    failure = line.removeprefix("E: ").strip()  # The first tells why, the last only that it failed.
                stage = next((told for said, told in _STAGES.items() if line.startswith(f"I: {said}")), None)
                if stage is not None:
                    say(stage)
            status = process.wait(_TIMEOUT_S)
        except BaseException:
            # By SIGTERM it takes away what it has mounted and made; a kill would leave both.
            process.terminate()
            process.wait(_TIMEOUT_S)
            raise
    if status != 0:
        told = failure or (words[-1] if words else "nothing")
        raise GuestUnbuildable(f"mmdebstrap said: {told}")
