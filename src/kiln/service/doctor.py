"""What a host has and lacks for serving: each with what it means, and what to do.

``kiln doctor`` looks at all of it. ``serve`` looks at what takes no time and
says what is not as it should be, so that nobody learns it at the first machine.
Nothing is changed; only the probe of KVM leaves its verdict in a data folder
that is there.
"""

from __future__ import annotations

import ctypes
import grp
import os
import resource
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

from kiln.ground.clock import system_clock, to_minutes_text
from kiln.ground.prose import fold
from kiln.ground.units import GiB, MiB
from kiln.guest.trial import probe_guest
from kiln.machines.confinement import closed_folder, kvm_groups
from kiln.machines.errors import MachineRefused
from kiln.machines.platforms import platform_of, why_no_cable
from kiln.machines.probe import find_verdict, kvm_works, why_not_tried
from kiln.machines.qemu import QemuMachines
from kiln.networks import trying
from kiln.networks.links import MTU
from kiln.networks.values import DNS_ADDRESSES, TUNNEL_PORTS
from kiln.networks.vxlan import inner_mtu
from kiln.networks.wayout import OFF, Resolvers, may_ping
from kiln.service.claim import is_held, require_shared
from kiln.service.errors import DataFolderRefused, DeploymentRefused, SharedFolderRefused
from kiln.service.findings import Finding, looked_at
from kiln.service.mounts import mount_of
from kiln.service.reached import reached
from kiln.service.rules import NO_TUNNEL
from kiln.service.settings import OF_ROOT, Settings
from kiln.service.sharing import require_fit
from kiln.service.volume_keys import NAME, is_missed
from kiln.wire.nonces import WINDOW_S

_TOOLS = (("qemu-img", "qemu-utils"), ("setpriv", "util-linux"), ("prlimit", "util-linux"), ("setsid", "util-linux"))
_ENOUGH_BYTES, _NEXT_TO_NOTHING = 20 * GiB, 64 * MiB
_ENOUGH_FILES = 4096
_TMPFS = "tmpfs"
_TRIAL_END = f"127.0.0.1:{TUNNEL_PORTS[-1]}"
_RELEASED = "2026"  #: The year of this program: no clock that goes right says less.
_TIME_ERROR = 5  #: What adjtimex(2) answers when nothing keeps the clock right.
_TIMEX_BYTES = 256  #: More than ``struct timex`` has on any 64-bit Linux.
_SSH = 22
_WINDOW = f"{WINDOW_S // 60} minutes"
_VERSION_TIMEOUT_S = 10
_NAMED_MOST = 5
#: What keeps a host from carrying networks: a kernel's or a container's policy for user namespaces, mostly.
_NAMESPACES = (
    "It takes user and network namespaces and nf_tables: sysctl kernel.unprivileged_userns_clone=1 or, on Ubuntu, "
    "kernel.apparmor_restrict_unprivileged_userns=0; user.max_user_namespaces above 0; modprobe nf_tables; in a "
    "container a seccomp profile that lets unshare(2) be called."
)
_GROUP_MAY_USE = stat.S_IRGRP | stat.S_IWGRP
_SOME_USER = 2**32 - 2  #: Owns nothing, as a machine's user owns no folder above its disks.


def examine(settings: Settings) -> list[Finding]:
    """All findings. Takes up to 20 s where KVM has to be tried, and so long for each server that does not answer."""
    looks: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
        ("tools", lambda: _tools(_version)),
        ("machines", lambda: _machines(settings, _version)),
        ("acceleration", lambda: _kvm(settings, tries=True)),
        ("address", lambda: _port(settings)),
        ("other parts", lambda: reached(settings)),
        ("confinement", lambda: _user(settings)),
        ("networks", lambda: _networks(settings)),
        ("room", lambda: _rooms(settings)),
        ("key of volumes", lambda: _key(settings)),
        ("clock", lambda: [_clock()]),
        ("open files", lambda: [_files()]),
    )
    return [one for subject, look in looks for one in looked_at(subject, look)]


def glance(settings: Settings) -> list[Finding]:
    """What is not as it should be, of all that can be looked at in no time; for a service that starts."""
    found = [*_tools(None), *_machines(settings, None), *_kvm(settings, tries=False), *_user(settings)]
    return [one for one in (*found, *_rooms(settings), _clock(), _files()) if one.state != "ok"]


def lines(findings: list[Finding], room: int = 0) -> Iterator[str]:
    """The findings as people read them; on a terminal, which has *room* columns, folded below where the text begins."""
    width = max((len(one.subject) for one in findings), default=0)
    for one in findings:
        indent = len(f"{one.state:6}  {'':{width}}  ")
        yield from fold(f"{one.state:6}  {one.subject:{width}}  {one.text}", room, indent)
        if one.advice:
            yield from fold(" " * indent + one.advice, room, indent)


def _tools(version: Callable[[str], str] | None) -> Iterator[Finding]:
    for tool, package in _TOOLS:
        place = shutil.which(tool)
        if place is None:
            text = f"{tool} is not installed: no disk can be made or read."
            yield Finding(tool, "cannot", text, f"Debian, Ubuntu: apt-get install {package}")
        else:
            yield Finding(tool, "ok", version(place) if version else place)


def _machines(settings: Settings, version: Callable[[str], str] | None) -> Iterator[Finding]:
    if settings.machines == "none":
        yield Finding("machines", "ok", "Instances are states alone, as the setting machines=none has it.")
        return
    for architecture in ("x86_64", "arm64"):
        platform = platform_of(architecture)
        is_needed = architecture == "x86_64" or platform.is_native
        try:
            program = platform.require_program()
            yield Finding(platform.program, "ok", version(program) if version else program)
        except MachineRefused as error:
            if is_needed:
                meaning = f"{error} No instance of {architecture} can start."
                yield Finding(platform.program, "cannot", meaning, _install(platform.package))
            elif version is not None:
                yield Finding(platform.program, "ok", f"Not installed: images of {architecture} cannot be started.")
            continue
        try:
            platform.require_firmware()
        except MachineRefused as error:
            yield Finding(f"UEFI {architecture}", "warns", str(error), _install(platform.firmware.package))


def _install(package: str) -> str:
    return f"Debian, Ubuntu: apt-get install {package}; or serve with --machines none."


def _kvm(settings: Settings, *, tries: bool) -> Iterator[Finding]:
    if settings.machines == "none":
        return
    if settings.accel != "auto":
        yield Finding("acceleration", "ok", f"{settings.accel.upper()}, as the setting accel has it.")
        return
    if why := why_not_tried():
        text = f"TCG: {why} Machines run, some ten times slower than with KVM."
        yield Finding("acceleration", "warns", text, kvm_advice(Path("/dev/kvm"), os.geteuid()))
        return
    works, reason = _verdict(settings, tries=tries)
    if works is None:
        text = f"TCG: {reason} Machines run, some ten times slower than with KVM."
        yield Finding("acceleration", "warns", text, "`kiln demo` makes the small guest; --accel kvm tries nothing.")
    elif not works:
        text = f"TCG: a probe guest did not boot under KVM. {reason}"
        yield Finding("acceleration", "warns", text, "Where this host is itself a guest, its host must allow nesting.")
    elif os.geteuid() == 0 and kvm_groups() is None:
        text = "TCG: users other than root may not use /dev/kvm, and machines run as such."
        yield Finding("acceleration", "warns", text, "Give /dev/kvm to a group: chgrp kvm /dev/kvm; chmod 660 /dev/kvm")
    else:
        yield Finding("acceleration", "ok", "KVM: a probe guest has booted under it on this kernel and processor.")


def _verdict(settings: Settings, *, tries: bool) -> tuple[bool | None, str]:
    """Whether KVM works, and the reason why not; None where nobody knows."""
    record = settings.folder.run / "kvm-probe.json"
    kept = find_verdict(record)
    if kept is not None:
        return kept.works, kept.reason
    guest = probe_guest(settings.guest_cache)
    if guest is None:
        return None, "KVM was never tried here, since there is no small guest to try it with."
    if not tries:
        return None, "KVM is tried when the first machine starts."
    with tempfile.TemporaryDirectory(prefix="kiln-doctor-") as beside:
        place = record if record.parent.is_dir() and os.access(record.parent, os.W_OK) else Path(beside) / "probe"
        works = kvm_works(place, guest)
        kept = find_verdict(place)
    return works, kept.reason if kept else ""


def kvm_advice(device: Path, user: int) -> str:
    """What has *user* open the *device*, which it cannot: to join its group, where that may, and is none of root's."""
    if user != 0 and device.exists():
        about = device.stat()
        joins = "usermod --append --groups {} USER, and log in anew."
        if about.st_gid != 0 and about.st_mode & _GROUP_MAY_USE == _GROUP_MAY_USE:
            return f"Join the group that may use it: {joins.format(_group(about.st_gid))}"
        gives = f"chgrp kvm {device}; chmod 660 {device}; {joins.format('kvm')}"
        return f"No group may use it that anybody should join. As root, give it to one, and join that: {gives}"
    return "Load the module (modprobe kvm_intel or kvm_amd); a host that is itself a guest needs nesting."


def _group(number: int) -> str:
    """The name of a group, or its number where it has none."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _port(settings: Settings) -> Iterator[Finding]:
    host, port = settings.address
    try:
        _try_port(host, port)
    except OSError as error:
        if settings.data.is_dir() and is_held(settings.data):
            yield Finding("address", "ok", f"A Kiln serves this data folder; {settings.listen} may be its own.")
        else:
            text = f"{settings.listen} cannot be listened on: {error.strerror}."
            yield Finding("address", "cannot", text, "Serve elsewhere: --listen 127.0.0.1:0 takes a free port.")
    else:
        yield Finding("address", "ok", f"{settings.listen} can be listened on.")


def _try_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        attempt.bind((host, port))
        # Two may be bound to one port with that option; only one can listen.
        attempt.listen(1)


def _user(settings: Settings) -> Iterator[Finding]:
    if settings.machines != "none":
        if os.geteuid() == 0:
            yield _reach(settings)
        else:
            text = (
                "Kiln is not root, so machines run as its own user: whoever breaks out of one has what that user has, "
                "the other disks and the database among it."
            )
            yield Finding("confinement", "warns", text, "Run guests that you trust, or Kiln as root or as a service.")
        try:
            _try_port(str(ip_network(settings.public_network)[1]), _SSH)
        except OSError as error:
            text = f"Port {_SSH} of guests' addresses cannot be had ({error.strerror}): another is forwarded to it."
            yield Finding("guests' ports", "warns", text, "`kiln instance show INSTANCE` says which.")
        else:
            yield Finding(
                "guests' ports", "ok", f"Port {_SSH} of guests' addresses, {settings.public_network}, can be forwarded."
            )
    place = _existing(settings.data)
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding(
            "data folder", "cannot", f"{place} cannot be written by this user.", "Choose another with --data."
        )
    if settings.shared is not None:
        yield _shared(settings)


def _shared(settings: Settings) -> Finding:
    try:
        require_shared(settings.folder)
        require_fit(settings.folder)
    except DeploymentRefused as error:
        return Finding("shared folder", "cannot", str(error), "docs/howto/back-up-and-put-back.md says more.")
    except (SharedFolderRefused, DataFolderRefused) as error:
        return Finding("shared folder", "cannot", f"{error}.", "docs/howto/shared-folder.md says how to mount one.")
    text = f"{settings.shared} can be written, and has locks. That other hosts see them only another host can tell."
    return Finding("shared folder", "ok", text)


def _networks(settings: Settings) -> Iterator[Finding]:
    """Whether instances have networks here, found out by carrying one."""
    if settings.machines == "none":
        return
    try:
        why = why_no_cable(platform_of("x86_64").require_program())
    except MachineRefused:
        return  # It is told above.
    if settings.guest_network == "open":
        text = "Guests have QEMU's user networking, open, as the setting guest_network has it: no VPC, no metadata."
        yield Finding("networks", "ok", text)
    elif why := why or trying.why_not():
        text = f"Instances have no networks here, but QEMU's user networking, closed: no VPC, no metadata. {why}"
        yield Finding("networks", "warns", text, _NAMESPACES)
    else:
        yield Finding("networks", "ok", f"The networks of instances can be carried here.{_left_out(settings)}")
        yield _way_out(settings)
        if settings.database:
            yield _joined(settings)


def _way_out(settings: Settings) -> Finding:
    """Whether instances have a way out here, and what it leads to."""
    way_out = settings.guests_way_out
    if way_out.to == OFF:
        return Finding("way out", "ok", "Instances reach nothing beyond their VPC, as the setting way_out has it.")
    if why := trying.why_not(replace(way_out, is_for_all=True)):
        return Finding("way out", "warns", f"Instances reach nothing beyond their VPC: {why}", _NAMESPACES)
    whose = "Every instance" if way_out.is_for_all else "An instance with a public address"
    if Resolvers(way_out.resolver).behind(DNS_ADDRESSES[0]) is None:
        text = f"{whose} has a way out ({way_out.to}), but this host names no resolver in {way_out.resolver}."
        return Finding("way out", "warns", text, "Guests then have addresses and no names.")
    pings = "" if may_ping() else " Nobody answers their pings: net.ipv4.ping_group_range has no place for Kiln."
    return Finding("way out", "ok", f"{whose} has a way out ({way_out.to}).{pings}")


def _joined(settings: Settings) -> Finding:
    """Whether VPCs can be joined to what other hosts carry of them."""
    if settings.tunnel_address == NO_TUNNEL:
        return Finding("other hosts", "ok", "VPCs are of this host alone, as the setting tunnel_address has it.")
    if why := trying.why_not_joined(_TRIAL_END, inner_mtu(MTU)):
        text = f"VPCs are of this host alone: instances do not reach those of other hosts. {why}"
        return Finding("other hosts", "warns", text, "Kiln as root, or with CAP_NET_ADMIN; modprobe vxlan.")
    return Finding("other hosts", "ok", "VPCs can be joined to what other hosts carry of them.")


def _left_out(settings: Settings) -> str:
    """Which machines run without a network of their own all the same."""
    machines = QemuMachines(settings.folder.run)
    names = [one for one in machines.running() if not machines.is_cabled(one)]
    if not names:
        return ""
    most = f"{', '.join(names[:_NAMED_MOST])}{' and more' if len(names) > _NAMED_MOST else ''}"
    return f" Started with user networking, which they have until they are stopped and started: {most}."


def _reach(settings: Settings) -> Finding:
    """Whether machines' users come to their disks: what Kiln makes lets them pass, what is above it may not."""
    pool = settings.folder.pool.absolute()
    closed = closed_folder((one for one in (settings.data.absolute(), *pool.parents) if one.exists()), _SOME_USER)
    if closed is None:
        text = "Each machine runs as a user of its own, which reaches its own disks alone."
        return Finding("confinement", "ok", text)
    text = f"Machines run as users of their own, who cannot pass through {closed} to their disks: none can start."
    return Finding(
        "confinement", "cannot", text, f"Keep the data elsewhere (--data {OF_ROOT}), or `chmod o+x {closed}`."
    )


def _rooms(settings: Settings) -> Iterator[Finding]:
    seen: set[int] = set()
    for path in (settings.folder.pool, settings.data):
        place = _existing(path)
        device = place.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        usage = shutil.disk_usage(place)
        text = f"{usage.free / GiB:.1f} of {usage.total / GiB:.1f} GiB are free at {place}"
        if usage.free < _NEXT_TO_NOTHING:
            yield Finding("room", "cannot", f"{text}: nothing can be made.", "Make room, or choose another --data.")
        elif usage.free < _ENOUGH_BYTES or usage.free < usage.total / 20:
            text += ": what was deleted is given up early, and machines stand still when a disk finds no room."
            yield Finding("room", "warns", text, "Make room, or choose another --data.")
        elif (mount := mount_of(place)) is not None and mount.kind == _TMPFS:
            yield Finding(
                "room", "warns", f"{text}, in memory: all of it is gone when the host is off.", "Choose another --data."
            )
        else:
            yield Finding("room", "ok", f"{text}.")


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there and can be seen."""
    return next(place for place in (path, *path.parents) if os.path.isdir(place))  # noqa: PTH112 - denied is not there.


def _key(settings: Settings) -> Iterator[Finding]:
    """Nothing where all is well: most have nothing encrypted."""
    at = settings.folder
    if is_missed(at.shared, at.pool):
        text = f"{NAME} is not in {at.shared}: what is encrypted in its pool cannot be read, and is left as it is."
        yield Finding("key of volumes", "warns", text, f"Put {NAME} back, from a copy of the data folder.")


def _clock() -> Finding:
    now = system_clock()
    said = to_minutes_text(now)
    if said < _RELEASED:
        text = f"It is {said} here: clients are refused whose clocks go right, since theirs are {_WINDOW} off."
        return Finding("clock", "cannot", text, "Set the clock.")
    libc = ctypes.CDLL(None)
    if libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) == _TIME_ERROR:
        text = f"It is {said} here, and nothing keeps it right: clients that are {_WINDOW} off are refused."
        return Finding("clock", "warns", text, "Run an NTP client, such as systemd-timesyncd or chrony.")
    return Finding("clock", "ok", f"It is {said} here, and kept right.")


def _files() -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _ENOUGH_FILES:
        text = f"{hard} files may be open at most: fewer clients are answered at once."
        return Finding("open files", "warns", text, "Raise it: ulimit -Hn 65536, or LimitNOFILE= in a unit.")
    return Finding("open files", "ok", f"{'Any number' if hard == resource.RLIM_INFINITY else hard} may be open.")


def _version(program: str) -> str:
    """The first line of ``program --version``, or what came instead of it."""
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{program} does not run: {error}"
    return (done.stdout or done.stderr).partition("\n")[0].strip() or program
