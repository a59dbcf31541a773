"""The Debian packages that the small guest is made from, unpacked without being installed.

They are fetched with ``apt-get download``, which needs no privilege, once: what
is unpacked in the cache is used for good, without the network. They are those
of Debian 12 on every host, so that the guest is the same everywhere.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from kiln.guest.errors import GuestUnbuildable

_KERNEL = "linux-image-cloud-amd64"  #: Depends on the package of the kernel proper, whose name has its version.
_CONTENTS = (
    "busybox-static",
    "qemu-guest-agent",
    "e2fsprogs",
    "systemd-boot-efi",
    # Libraries of qemu-ga and mke2fs.
    "libblkid1",
    "libc6",
    "libcom-err2",
    "libext2fs2",
    "libglib2.0-0",
    "libnuma1",
    "libpcre2-8-0",
    "libudev1",
    "liburing2",
    "libuuid1",
)
#: Programs that a build runs on this host, and the package each comes from. One that the host has not is unpacked too.
_TOOLS = {"mtools": "mtools", "syslinux": "syslinux"}
_MBR = Path("usr/lib/syslinux/mbr/mbr.bin")
_MBR_PACKAGE = "syslinux-common"

_RELEASE = "bookworm"
_HOST_RELEASE = Path("/etc/os-release")
_MIRROR = "http://deb.debian.org/debian"
_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: Downloads are the caller's own; without this apt, as root, warns that its sandbox user cannot write to them.
_NO_SANDBOX = ("-o", "APT::Sandbox::User=")

_PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DOWNLOAD_TIMEOUT_S = 300.0


def program(name: str, root: Path | None = None) -> Path:
    """A program of this host, or else of the packages unpacked under *root*. Raises GuestUnbuildable."""
    found = shutil.which(name, path=_PROGRAMS)
    if found is None and root is not None:
        found = shutil.which(name, path=f"{root}/usr/bin:{root}/usr/sbin:{root}/sbin")
    if found is None:
        raise GuestUnbuildable(f"the program {name} is not installed.")
    return Path(found)


def boot_sector(root: Path) -> bytes:
    """The first 440 bytes of a disk: syslinux's code that starts the active partition."""
    for folder in (Path("/"), root):
        if (folder / _MBR).exists():
            return (folder / _MBR).read_bytes()[:440]
    raise GuestUnbuildable(f"{_MBR} of {_MBR_PACKAGE} is missing.")


def unpacked(cache: Path) -> Path:
    """The folder under *cache* with the unpacked packages; they are fetched when it is not there yet.

    The folder is there whole or not at all. The caller keeps two from building
    at once. Raises GuestUnbuildable.
    """
    root = cache / "root"
    if root.is_dir():
        return root
    packages, begun = cache / "packages", cache / "root.begun"
    for folder in (packages, begun):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    _fetch(packages)
    for package in sorted(packages.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(begun)])
    shutil.rmtree(packages)
    begun.rename(root)
    return root


def _wanted() -> list[str]:
    tools = {package for name, package in _TOOLS.items() if shutil.which(name, path=_PROGRAMS) is None}
    if not (Path("/") / _MBR).exists():
        tools.add(_MBR_PACKAGE)
    return [*_CONTENTS, *sorted(tools)]


def _fetch(folder: Path) -> None:
    """Download all packages into *folder*.

    On Debian 12 from where the host has its own. Its package lists may be
    missing or older than what the mirrors still have; then lists of our own are
    fetched, with the host's sources and keys. On other hosts Debian's sources
    are used beside the host's, which stay as they are.
    """
    if _RELEASE in _HOST_RELEASE.read_text():
        try:
            _download(folder, [])
        except GuestUnbuildable:
            apart = _apart(folder)
        else:
            return
    else:
        apart = [*_apart(folder), *_debian_sources(folder)]
    _run(["apt-get", *apart, "-q", "update"])
    _download(folder, apart)


def _apart(folder: Path) -> list[str]:
    """Options that let apt keep its state in *folder* and look at nothing that the host has installed."""
    lists, archives, installed = folder / "lists", folder / "archives", folder / "installed"
    for made in (lists / "partial", archives / "partial"):
        made.mkdir(parents=True, exist_ok=True)
    installed.touch()
    places = {"Dir::State::lists": lists, "Dir::Cache": archives, "Dir::State::status": installed}
    return [*_NO_SANDBOX, *(word for name, place in places.items() for word in ("-o", f"{name}={place}"))]


def _debian_sources(folder: Path) -> list[str]:
    """Options that let apt see Debian 12 alone, trusted by the keys that the host's distribution has packaged."""
    keys = _KEYS
    if not keys.exists():
        _run(["apt-get", *_NO_SANDBOX, "-q", "download", "debian-archive-keyring"], folder)
        for package in folder.glob("debian-archive-keyring_*.deb"):
            _run(["dpkg-deb", "-x", str(package), str(folder / "keys")])
        keys = folder / "keys" / _KEYS.relative_to("/")
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={keys}] {_MIRROR} {_RELEASE} main\n")
    return ["-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=/dev/null"]


def _download(folder: Path, options: list[str]) -> None:
    kernel = _kernel_package(options)
    _run(["apt-get", *options, *_NO_SANDBOX, "-q", "download", kernel, *_wanted()], folder)


def _kernel_package(options: list[str]) -> str:
    for line in _run(["apt-cache", *options, "depends", "--important", _KERNEL]).splitlines():
        word, _, name = line.strip().partition(": ")
        if word == "Depends" and name.startswith("linux-image-"):
            return name
    raise GuestUnbuildable(f"apt knows no kernel behind {_KERNEL}.")


def _run(command: list[str], folder: Path | None = None) -> str:
    """Run a tool and return what it printed. Raises GuestUnbuildable with its last words."""
    program(command[0])
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_DOWNLOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise GuestUnbuildable(f"{command[0]} took more than {error.timeout:.0f} s.") from error
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise GuestUnbuildable(f"its Debian packages cannot be had: {command[0]} said: {words[-1]}")
    return done.stdout
