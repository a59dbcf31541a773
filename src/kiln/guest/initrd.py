"""The guest's initial RAM file system: a cpio archive (``newc``) written here, so that device nodes need no root.

Format: Documentation/driver-api/early-userspace/buffer-format.rst of Linux.
"""

from __future__ import annotations

import gzip
import stat
import subprocess
from dataclasses import field
from pathlib import Path

from kiln.ground.values import dataclass
from kiln.guest.errors import GuestUnbuildable

_INIT = Path(__file__).with_name("init.sh")

_FOLDERS = (
    "bin", "dev", "etc", "etc/acpi", "etc/acpi/PWRF", "lib", "lib/x86_64-linux-gnu", "lib64", "modules", "proc", "run",
    "sys", "tmp", "var", "var/run",
)  # fmt: skip
_PROGRAMS = {"bin/busybox": "bin/busybox", "bin/qemu-ga": "usr/sbin/qemu-ga", "bin/mke2fs": "sbin/mke2fs"}
_LIBRARIES = (
    "libblkid.so.1", "libc.so.6", "libcom_err.so.2", "libe2p.so.2", "libext2fs.so.2", "libglib-2.0.so.0",
    "libgmodule-2.0.so.0", "libm.so.6", "libnuma.so.1", "libpcre2-8.so.0", "libudev.so.1", "liburing.so.2",
    "libuuid.so.1",
)  # fmt: skip
_LOADER = "ld-linux-x86-64.so.2"
_MODULES = (
    "button", "evdev", "failover", "net_failover", "virtio", "virtio_blk", "virtio_console", "virtio_net",
    "virtio_pci", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_ring",
)  # fmt: skip
_OWN_FILES = {
    # ACPI event numbers are those that busybox acpid has built in for the power key.
    "etc/acpi/PWRF/00000080": "#!/bin/sh\nexec /init --power-button\n",
    "bin/lease": (
        '#!/bin/sh\n[ "$1" = bound ] || exit 0\n'
        "ip addr flush dev $interface\nip addr add $ip/$mask dev $interface\n"
        "for gateway in $router; do ip route add default via $gateway; done\n"
    ),
    # The agent gives passwords by this program, which Debian's busybox has not. The users are in memory, as all here.
    "bin/chpasswd": (
        "#!/bin/sh\nIFS= read -r line\nuser=${line%%:*}\n"
        'grep -q "^$user:" /etc/passwd || { echo "no user $user" >&2; exit 1; }\n'
        "hash=$(printf '%s\\n' \"${line#*:}\" | mkpasswd -m sha512 -P 0) || exit\n"
        "umask 077\n"
        '{ grep -v "^$user:" /etc/shadow; echo "$user:$hash:::::::"; } >/etc/shadow.new\n'
        "mv /etc/shadow.new /etc/shadow\n"
    ),
    "etc/passwd": "root:x:0:0:root:/:/bin/sh\n",
    "etc/group": "root:x:0:\n",
}
_SECRET_FILES = {"etc/shadow": "root:*:::::::\n"}


@dataclass
class _Archive:
    """A cpio archive that grows by entries."""

    content: bytearray = field(default_factory=bytearray)
    entries: int = 0

    def add(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self.entries += 1
        path = name.encode() + b"\0"
        numbers = (self.entries, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        self.content += b"070701" + "".join(f"{n:08x}" for n in numbers).encode() + path
        self._pad()
        self.content += data
        self._pad()

    def program(self, name: str, data: bytes) -> None:
        self.add(name, stat.S_IFREG | 0o755, data)

    def _pad(self) -> None:
        self.content += bytes(-len(self.content) % 4)


def initrd(root: Path) -> bytes:
    """The compressed archive, made from the packages unpacked under *root*. Raises GuestUnbuildable."""
    archive = _Archive()
    for folder in _FOLDERS:
        archive.add(folder, stat.S_IFDIR | 0o755)
    # The kernel opens it for process 1 before that can mount devtmpfs.
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.program("init", _INIT.read_bytes())
    for name, text in _OWN_FILES.items():
        archive.program(name, text.encode())
    for name, text in _SECRET_FILES.items():
        archive.add(name, stat.S_IFREG | 0o600, text.encode())
    for name, source in _PROGRAMS.items():
        archive.program(name, _one(root, source).read_bytes())
    for applet in _applets(root / "bin/busybox"):
        if f"bin/{applet}" not in _PROGRAMS:
            archive.add(f"bin/{applet}", stat.S_IFLNK | 0o777, b"busybox")
    for library in _LIBRARIES:
        archive.program(f"lib/x86_64-linux-gnu/{library}", _one(root, f"**/{library}").read_bytes())
    archive.program(f"lib64/{_LOADER}", _one(root, f"**/x86_64-linux-gnu/{_LOADER}").read_bytes())
    for module in _MODULES:
        archive.add(f"modules/{module}.ko", stat.S_IFREG | 0o644, _module(root, module).read_bytes())
    archive.add("TRAILER!!!", 0)
    # Level 6 unpacks in 0.1 s under TCG; without compression the boot loader takes longer to read it than that.
    return gzip.compress(bytes(archive.content), 6, mtime=0)


def kernel(root: Path) -> Path:
    """The kernel among the unpacked packages."""
    return _one(root, "boot/vmlinuz-*")


def _applets(busybox: Path) -> list[str]:
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, timeout=10, check=False)
    if listed.returncode != 0:
        raise GuestUnbuildable("Debian's busybox does not run on this host.")
    return listed.stdout.split()


def _module(root: Path, name: str) -> Path:
    """A kernel module's file, whose name may have hyphens where the module's has underscores."""
    return _one(root, f"lib/modules/*/kernel/**/{name.replace('_', '[-_]')}.ko")


def _one(root: Path, pattern: str) -> Path:
    found = sorted(root.glob(pattern))
    if not found:
        raise GuestUnbuildable(f"its packages hold no {pattern}.")
    return found[-1]
