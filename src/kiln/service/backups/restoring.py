"""``kiln restore``: a data folder made of a backup, where there is none yet.

Everything is copied into a hidden folder of the new one first, each file
compared with its digest while it is copied; then it is moved to its place, the
database last, without which no Kiln begins there. A kill leaves the hidden
folder, by which the next try knows that the rest is its own and begins anew. Where
the deployment shares a folder that has one too, for what goes there.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from kiln.buckets.facts import ATTRIBUTE
from kiln.ground.clock import system_clock
from kiln.ground.durable import sync
from kiln.ground.killpoints import reach
from kiln.pools.identity import HIDDEN
from kiln.pools.records import FOLDER_MODE
from kiln.pools.records import NAME as RECORDS_FILE
from kiln.service.assemble import assemble
from kiln.service.backups import finding, manifest
from kiln.service.backups.copying import copy, opened_below, sync_below
from kiln.service.backups.errors import BackupBroken, BackupRefused
from kiln.service.backups.examining import differs
from kiln.service.backups.kinds import require_folder
from kiln.service.backups.manifest import Entry, Manifest
from kiln.service.claim import hold_as_it_is, hold_data_folder, is_half_restored, require_mounted
from kiln.service.databases import hold_database
from kiln.service.datafolder import REPLACED, RESTORING, DataFolder
from kiln.service.pools import hold_pool
from kiln.service.settings import Settings
from kiln.service.upgrading import Say
from kiln.service.verdict import keep
from kiln.store import deployment, schema
from kiln.store.conninfo import Server
from kiln.store.copies import NotEmpty, copy_rows
from kiln.store.database import open_postgresql, open_sqlite
from kiln.store.errors import DatabaseDown
from kiln.store.glance import refuse_newer_sqlite
from kiln.store.schema import SchemaTooNew
from kiln.upkeep.findings import Finding
from kiln.upkeep.fsck import fsck
from kiln.upkeep.recorder import Recorder

_MAY_BE_THERE = frozenset({"lost+found", "lock", REPLACED})
_POOL_MODE = 0o711

Progress = Callable[[int, int], None]


def restore(settings: Settings, source: Path, progress: Progress) -> Manifest:
    """Make the data folder of the settings out of a backup. Where it fails the folder is as empty as it was.

    Raises BackupRefused, BackupBroken, DataFolderBusy, DatabaseHeld, OSError.
    """
    require_folder(settings)
    chosen = finding.chosen(source)
    said = manifest.read(chosen)
    _refuse_newer(chosen)
    data, at = settings.data, settings.folder
    require_mounted(at)
    _require_empty(at)
    data.mkdir(mode=0o711, parents=True, exist_ok=True)
    with hold_as_it_is(data), hold_database(settings):
        _clear(at)
        for draft in _homes(_drafts(at)):
            draft.mkdir(mode=0o700)
        try:
            with _room_told(at.shared):
                _fetch(chosen, said, _drafts(at), progress)
            reach("restore_backup.fetched")
            _place(settings)
        except BaseException:
            _clear(at)
            raise
    return said


def _homes(at: DataFolder) -> list[Path]:
    """The folders that are filled, the one of the database last."""
    return list(dict.fromkeys((at.shared, at.path)))


def _drafts(at: DataFolder) -> DataFolder:
    """Where in them everything is fetched to first.

    In a shared folder the name tells of which data folder that is: what lies beside one of another is not this try's.
    """
    if at.elsewhere is None:
        return DataFolder(at.path / RESTORING)
    digest = blake2b(os.fsencode(at.path.resolve()), digest_size=8).hexdigest()
    return DataFolder(at.path / RESTORING, at.elsewhere / f"{RESTORING}-{digest}")


def examine_restored(settings: Settings, say: Say) -> list[Finding]:
    """What fsck finds in the data folder, and mends; *say* is told of an upgrade. Raises as ``assemble`` does.

    The pool's records are as old as the backup, and some moments older than its database: they are brought up to date
    first, as a start does, or what was deleted in these moments would seem to be named still.
    """
    with (
        hold_data_folder(settings.data),
        hold_database(settings),
        hold_pool(settings),
        assemble(settings, say=say) as assembly,
    ):
        with assembly.database.read() as tx:
            known = deployment.find(tx)
        if known is not None:
            recorder = Recorder(assembly.database, assembly.pool.records, known.id)
            recorder.compare()
            recorder.flush()
        findings = fsck(assembly.ports, repair=True, say=lambda _: None)
        keep(settings.folder.verdict, findings, system_clock())
        return findings


def _refuse_newer(folder: Path) -> None:
    try:
        with opened_below(folder, manifest.DATABASE):
            refuse_newer_sqlite(folder / manifest.DATABASE)
    except SchemaTooNew as error:
        raise BackupRefused(f"the backup is of a newer Kiln: {error}") from error
    except FileNotFoundError:
        raise BackupBroken(f"{manifest.DATABASE} is missing") from None
    except DatabaseDown as error:
        raise BackupBroken(f"{manifest.DATABASE} cannot be read: {error}") from error
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise BackupBroken(f"{manifest.DATABASE} is a link") from error


def _require_empty(at: DataFolder) -> None:
    drafts = _homes(_drafts(at))
    is_unfinished = is_half_restored(at, drafts)  # What lies beside such a draft is an earlier try's.
    for draft in drafts:
        home = draft.parent
        there = home.iterdir() if home.exists() else ()
        others = sorted(path.name for path in there if path.name not in (*_MAY_BE_THERE, draft.name))
        if others and not (is_unfinished and draft.is_dir()):
            hint = "Name a folder that is empty or not there yet, or move what is there aside."
            raise BackupRefused(f"{home} is not empty: it holds {', '.join(others[:3])}", hint)


def _clear(at: DataFolder) -> None:
    """Take away what an earlier try, or this one, has made. The drafts, by which that is known, go last."""
    drafts = [draft for draft in _homes(_drafts(at)) if draft.is_dir()]
    for path in (path for draft in drafts for path in draft.parent.iterdir()):
        if path.name in (*manifest.SECRETS, "kiln.sqlite"):
            path.unlink()
        elif path.name in ("pool", "buckets"):
            shutil.rmtree(path)
    for draft in drafts:
        shutil.rmtree(draft)


def _fetch(source: Path, said: Manifest, drafts: DataFolder, progress: Progress) -> None:
    """Copy each file to where it is called for in a data folder. Raises BackupBroken, OSError."""
    done, total = 0, said.bytes

    def count(length: int) -> None:
        nonlocal done
        done += length
        progress(done, total)

    pool = drafts.pool
    pool.mkdir(mode=_POOL_MODE if os.geteuid() == 0 else 0o700)
    (pool / HIDDEN).mkdir(mode=FOLDER_MODE)
    for name, entry in sorted(said.files.items()):
        to = _place_of(drafts, name)
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with opened_below(source, name) as file:
                fault = differs(entry, *copy(file, to, entry.mode, count))
        except FileNotFoundError:
            raise BackupBroken(f"{name} is missing") from None
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR):
                raise
            raise BackupBroken(f"{name} is not a regular file, or a link leads to it") from error
        if fault:
            raise BackupBroken(f"{name} {fault}")
        _describe(to, name, entry)
    for draft in _homes(drafts):
        sync_below(draft)


def _place_of(at: DataFolder, name: str) -> Path:
    folder, _, rest = name.partition("/")
    if folder == manifest.VOLUMES:
        return at.pool / rest
    if folder == manifest.KEYS:
        return at.shared / rest
    if folder == manifest.BUCKETS:
        return at.buckets / rest
    hidden = at.pool / HIDDEN
    places = {manifest.DATABASE: at.database, manifest.IDENTITY: hidden / "identity"}
    return places.get(name, hidden / RECORDS_FILE)


def _describe(to: Path, name: str, entry: Entry) -> None:
    """Give an object back its time, and what is known of it."""
    if not name.startswith(f"{manifest.BUCKETS}/") or len(entry.source) <= manifest.TIME:
        return
    os.utime(to, ns=(entry.source[manifest.TIME], entry.source[manifest.TIME]))
    if entry.attribute:
        try:
            os.setxattr(to, ATTRIBUTE, bytes.fromhex(entry.attribute))
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.E2BIG, errno.ERANGE):
                raise


def _place(settings: Settings) -> None:
    """Move everything to its place, the database last; with PostgreSQL its rows are written there first."""
    database = _drafts(settings.folder).database
    if settings.database:
        _fill(settings.server, database)
        for path in database.parent.glob(database.name + "*"):
            path.unlink()
    drafts = _homes(_drafts(settings.folder))
    for draft in drafts:
        for path in sorted(draft.iterdir(), key=lambda path: (path == database, path.name)):
            path.rename(draft.parent / path.name)
            reach("restore_backup.placed")
        sync(draft.parent)
    for draft in drafts:
        draft.rmdir()
    reach("restore_backup.done")


def _fill(server: Server, rows: Path) -> None:
    source, target = open_sqlite(rows), open_postgresql(server)
    try:
        schema.create(source)
        copy_rows(source, target)
    except NotEmpty as error:
        raise BackupRefused(f"the database of --database is not empty: {error}", "Make a new one for it.") from error
    finally:
        source.close()
        target.close()


@contextmanager
def _room_told(data: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise BackupRefused(f"{data}: {error.strerror}", "Make room there; nothing is left of the try.") from error
