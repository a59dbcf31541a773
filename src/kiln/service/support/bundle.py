"""``kiln support``: a file with all that somebody needs who looks for a fault, and nothing that opens a door.

A part that cannot be told says why instead: it is when something is broken that
a bundle is asked for. What is never in it, masked or not: keys, rows, what
guests wrote to their consoles, objects, user data.
"""

from __future__ import annotations

import errno
import io
import json
import os
import platform
import socket
import subprocess
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import kiln
from kiln.declare.states import TaskStatus
from kiln.ground.clock import system_clock, to_seconds_text
from kiln.ground.short_files import NotShort, read_short_text
from kiln.ground.units import MiB
from kiln.ground.values import dataclass
from kiln.service import doctor
from kiln.service.assemble import look
from kiln.service.backups.errors import BackupRefused
from kiln.service.claim import hold_as_it_is, is_held
from kiln.service.databases import hold_database
from kiln.service.errors import DatabaseHeld
from kiln.service.pairing import see
from kiln.service.records import Records, open_records
from kiln.service.settings import Settings, described
from kiln.service.support.masking import MASK, Mask, of_files, of_rows, of_settings
from kiln.store import outline
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.upkeep.findings import is_well
from kiln.upkeep.fsck import fsck

_LOG_BYTES = MiB
_MACHINE_LOG_BYTES = 16 * 1024
_MACHINE_LOGS = 32
_FAILED_TASKS = 200
_JOURNAL_S = 20.0

_README = """What `kiln support` has collected, for a report of a fault.

about.json     Kiln, Python, the kernel and the host
settings.json  the settings, without secrets
doctor.txt     what this machine lacks for serving
pair.json      whether database and pool belong together
fsck.txt       what `kiln fsck --no-repair` says, where the service was stopped
counts.json    rows by table and state; how deep chains are
tasks.json     tasks that have failed, and what is still to be done
log.txt        the end of the service's log
machines/      the end of what QEMU complained of, by instance

Secrets that Kiln knows, and whatever stands where secrets do, are {mask}. {names}
Look through it before you give it away: what guests and people write into messages nobody can know.
"""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is wanted of a bundle."""

    is_anonymous: bool = False
    log: Path | None = None  #: Where the service's log is; None: in the journal of systemd's unit ``kiln``.


def collect(settings: Settings, to: Path, wanted: Wanted, say: Callable[[str], None]) -> list[str]:
    """Write the bundle, which is not there yet; returns the names of its parts. Raises BackupRefused, OSError."""
    _require_place(to)
    with ExitStack() as stack:
        records: Records | str
        try:
            records = stack.enter_context(open_records(settings, is_quick=True))
        except Exception as error:  # noqa: BLE001 - whatever keeps the database closed, the rest is wanted all the more.
            records = f"{type(error).__name__}: {error}"
        mask = _mask(settings, wanted, records)
        parts: dict[str, str] = {}
        for name, tell in _parts(settings, wanted, records):
            say(name)
            try:
                parts[name] = tell()
            except Exception as error:  # noqa: BLE001 - see the module's docstring.
                parts[name] = f"cannot be told: {type(error).__name__}: {error}\n"
        parts |= _machine_logs(settings)
    readme = _README.format(mask=MASK, names=_said_of_names(wanted, records))
    told = {"README.txt": readme, **{mask(name): mask(text) for name, text in parts.items()}}
    _write(to, told)
    return list(told)


def _mask(settings: Settings, wanted: Wanted, records: Records | str) -> Mask:
    secrets, names = of_settings(settings) | of_files(settings.folder.shared), {socket.gethostname(), settings.host}
    if not isinstance(records, str):
        with records.database.read() as tx:
            secrets |= of_rows(tx, records.sealer)
            names |= set(outline.names(tx)) if wanted.is_anonymous else set()
    return Mask(secrets, names - {"local", "localhost"} if wanted.is_anonymous else None)


def _said_of_names(wanted: Wanted, records: Records | str) -> str:
    if not wanted.is_anonymous:
        return "Names of things are as they are."
    if isinstance(records, str):
        return "The database could not be read, so names that people gave could not be taken out of the log."
    return "Names that people gave, and addresses, are taken out."


def _parts(settings: Settings, wanted: Wanted, records: Records | str) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "about.json", lambda: _json(_about(settings))
    yield "settings.json", lambda: _json(_settings(settings))
    yield "doctor.txt", lambda: "\n".join(doctor.lines(doctor.examine(settings))) + "\n"
    yield "pair.json", lambda: _json(_pair(settings))
    yield "fsck.txt", lambda: "\n".join(_fsck(settings)) + "\n"
    yield "counts.json", lambda: _json(_counts(_require(records)))
    yield "tasks.json", lambda: _json(_tasks(_require(records)))
    yield "log.txt", lambda: _log(wanted)


def _require(records: Records | str) -> Records:
    if isinstance(records, str):
        raise BackupRefused(f"the database is closed: {records}")
    return records


def _about(settings: Settings) -> dict[str, Any]:
    data = settings.data
    free = os.statvfs(data)
    return {
        "kiln": kiln.__version__,
        "at": to_seconds_text(system_clock()),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "system": _release(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "is_root": os.geteuid() == 0,
        "has_kvm": os.access("/dev/kvm", os.R_OK | os.W_OK),
        "is_served": is_held(data),
        "data_free_bytes": free.f_frsize * free.f_bavail,
        "data_total_bytes": free.f_frsize * free.f_blocks,
        "files": {one.name: one.stat().st_size for one in sorted(data.iterdir()) if one.is_file()},
    }


def _release() -> str:
    try:
        lines = read_short_text(Path("/etc/os-release")).splitlines()
    except (OSError, NotShort, ValueError):
        return ""
    return next((line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")), "")


def _settings(settings: Settings) -> dict[str, str]:
    given = {one.name: getattr(settings, one.name) for one in fields(settings)}
    told = {name: "" if value is None else str(value) for name, value in given.items()}
    return told | {one.name: MASK for one in described().values() if one.is_secret and told[one.name]}


def _pair(settings: Settings) -> dict[str, Any]:
    pair = see(settings)
    pool, database = pair.pool, pair.database
    return {
        "pool": None if pool.identity is None else asdict(pool.identity),
        "pool_volumes": len(pool.volumes),
        "records": None if pool.records is None else pool.records.batch,
        "database": None if database is None or database.deployment is None else asdict(database.deployment),
        "database_volumes": None if database is None else len(database.volumes),
        "batch": None if database is None else database.batch,
        "strays": pair.strays[:100],
    }


def _fsck(settings: Settings) -> Iterator[str]:
    if is_held(settings.data):
        yield "not looked at: the service runs. Stop it, and have another bundle made."
        return
    try:
        with hold_as_it_is(settings.data), hold_database(settings), look(settings) as ports:
            findings = fsck(ports, repair=False, say=lambda _: None)
    except DatabaseHeld:
        yield "not looked at: others serve with the database. Stop all of them, and have another bundle made."
        return
    for one in findings:
        yield f"{one.sort:10}  {one.subject}  {one.text}"
    yield "all is well" if is_well(findings) else "not all is well"


def _counts(records: Records) -> dict[str, Any]:
    with records.database.read() as tx:
        told: dict[str, Any] = {"rows": outline.counts(tx)}
        parents = {row.id: row.parent for row in volumes.all(tx)}
    depths = Counter(_depth(parents, volume) for volume in parents.keys() - set(parents.values()))
    return told | {"chains_by_depth": {str(depth): depths[depth] for depth in sorted(depths)}}


def _depth(parents: dict[str, str | None], volume: str) -> int:
    depth, at = 0, volume
    while at in parents and depth <= len(parents):
        depth, at = depth + 1, parents[at] or ""
    return depth


def _tasks(records: Records) -> list[dict[str, Any]]:
    """What has failed last, and what is open: without what a task remembers."""
    with records.database.read() as tx:
        failed = tasks.all(tx, status=TaskStatus.FAILED)
        found = tasks.all(tx, status=TaskStatus.PROCESSING)
    found += sorted(failed, key=lambda one: -one.seq)[:_FAILED_TASKS]
    shown = ("id", "action", "resource", "lane", "status", "progress", "attempts", "error_code", "error_message")
    return [
        {name: getattr(one, name) for name in shown}
        | {"created_at": to_seconds_text(one.created_at)}
        | {"finished_at": None if one.finished_at is None else to_seconds_text(one.finished_at)}
        for one in found
    ]


def _log(wanted: Wanted) -> str:
    if wanted.log is not None:
        return _end_of(wanted.log, _LOG_BYTES)
    command = ["journalctl", "--unit", "kiln", "--output", "cat", "--no-pager", "--lines", "20000"]
    done = subprocess.run(command, capture_output=True, timeout=_JOURNAL_S, check=False)
    return done.stdout[-_LOG_BYTES:].decode(errors="replace") or done.stderr.decode(errors="replace")


def _machine_logs(settings: Settings) -> dict[str, str]:
    found = sorted(settings.folder.run.glob("*/qemu.log"), key=lambda path: path.stat().st_mtime)
    return {
        f"machines/{path.parent.name}.txt": _end_of(path, _MACHINE_LOG_BYTES)
        for path in found[-_MACHINE_LOGS:]
        if path.is_file() and not path.is_symlink()
    }


def _end_of(path: Path, most: int) -> str:
    """The last bytes of a file, from the beginning of a line on."""
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - most))
        text = file.read(most).decode(errors="replace")
    return text if length <= most else text.partition("\n")[2]


def _json(told: object) -> str:
    return json.dumps(told, indent=1, ensure_ascii=False, default=str) + "\n"


def _require_place(to: Path) -> None:
    """Raise BackupRefused or OSError where a file can't be written: before minutes are spent on what it is to hold."""
    if os.path.lexists(to):
        raise _taken(to)
    try:
        os.stat(os.path.join(to.parent, "."))  # noqa: PTH116, PTH118 - of a Path the dot is lost, which wants a folder.
    except OSError as error:
        error.filename = str(to.parent)
        raise
    if not os.access(to.parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "no file can be made there", str(to.parent))


def _taken(to: Path) -> BackupRefused:
    return BackupRefused(f"{to} is there already", "Name another file with -o.")


def _write(to: Path, parts: dict[str, str]) -> None:
    """A file that nobody else can read, and that is not there where it could not be written whole."""
    try:
        descriptor = os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise _taken(to) from None
    try:
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
            for name, text in parts.items():
                raw = text.encode(errors="replace")
                about = tarfile.TarInfo(f"kiln-support/{name}")
                about.size, about.mode, about.mtime = len(raw), 0o600, int(system_clock())
                tar.addfile(about, io.BytesIO(raw))
    except BaseException:
        to.unlink()
        raise
