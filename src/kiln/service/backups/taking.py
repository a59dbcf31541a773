"""``kiln backup create``: one moment of database and pool as a folder, while everything runs.

In turns, until one fits: have the service keep a moment of each instance that
runs, note the stamps of heads at rest, copy the database, hold open every volume
that the copy names, and make the rows of the copy agree with what is held
(``fitting``). Then the bytes are copied, while nobody waits: a layer cannot
change, and where a head at rest was written meanwhile there is another turn. When
the time for that is over the last turn takes what there is, and says what it missed.

The folder is drafted under a hidden name beside the backups before it, whose
files it shares where nothing changed, synced, and renamed last.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

import kiln
from kiln.buckets.facts import ATTRIBUTE
from kiln.ground.durable import sync
from kiln.ground.killpoints import reach
from kiln.ground.units import counted
from kiln.ground.values import dataclass
from kiln.pools import luks
from kiln.pools.errors import PoolError
from kiln.pools.family import SUFFIX
from kiln.pools.identity import HIDDEN, look
from kiln.pools.records import NAME as RECORDS_FILE
from kiln.service.backups import finding, manifest
from kiln.service.backups.copying import copy, digest_of, make_empty, opened_below, sync_below
from kiln.service.backups.errors import BackupBroken, BackupRefused, NotKept
from kiln.service.backups.examining import is_of_time
from kiln.service.backups.fitting import Fit, Fresh, Seen, fit, heads_at_rest
from kiln.service.backups.holding import Held, Holder, make_room_for, stamp, stamp_of
from kiln.service.backups.kinds import require_folder
from kiln.service.backups.manifest import TIME, Entry, Manifest
from kiln.service.backups.moments import Moments
from kiln.service.backups.thinning import thin
from kiln.service.errors import DatabaseUnusable
from kiln.service.records import Records, open_records
from kiln.service.settings import Settings
from kiln.service.volume_keys import passphrases
from kiln.store import deployment, schema
from kiln.store.copies import copy_rows
from kiln.store.database import open_sqlite
from kiln.store.errors import DatabaseDown
from kiln.store.glance import copy_of_sqlite, damage_of_sqlite
from kiln.store.instances import instances
from kiln.store.volumes import volumes

_NO_OBJECT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)
_UNSHARED = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOENT, errno.EOPNOTSUPP, errno.EACCES)

Say = Callable[[str], None]
Progress = Callable[[int, int], None]  #: Bytes that were done, and of how many.


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is wanted of a backup."""

    with_secrets: bool = True
    with_buckets: bool = False
    timeout_s: float = 600.0  #: To wait for a moment of everything; what is copied meanwhile takes none of it.
    without: tuple[str, ...] = ()  #: Instances that are not captured.
    keep: int | None = None  #: Of the backups in the folder the newest so many are kept; None: all.


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A backup that was made."""

    path: Path
    manifest: Manifest
    copied_bytes: int  #: Read and written now; the rest is shared with an earlier backup.
    removed: tuple[str, ...]  #: Names of older ones.


def take(settings: Settings, to: Path, wish: Wish, say: Say, progress: Progress) -> Taken:
    """Make a backup in the folder *to*, beside the earlier ones. Where it fails nothing is left of it.

    Raises BackupRefused, NotKept, DatabaseUnusable, OSError.
    """
    require_folder(settings)
    with open_records(settings) as records, _home(settings, to) as draft:
        with records.database.read() as tx:
            make_room_for(volumes.count(tx))
        earlier = finding.latest(to)
        taking = _Taking(settings, records, wish, say, progress)
        with Holder(settings.folder.pool) as holder:
            try:
                made = taking.make(holder, draft, earlier)
            except PoolError as error:
                raise NotKept(str(error), "`kiln fsck --no-repair` says more.") from error
            except DatabaseDown as error:
                raise DatabaseUnusable(f"the database cannot be copied: {error}") from error
        manifest.write(draft, made)
        sync_below(draft)
        reach("backup.made")
        path = to / finding.name_for(to, made.made_at)
        draft.rename(path)
        reach("backup.named")
        sync(to)
        # One that missed something takes no place of one that did not.
        removed = thin(to, wish.keep, made.deployment) if wish.keep is not None and made.is_whole else []
    return Taken(path=path, manifest=made, copied_bytes=taking.copied_bytes, removed=tuple(removed))


@contextlib.contextmanager
def _home(settings: Settings, to: Path) -> Iterator[Path]:
    """An empty draft in the folder of the backups, which is held; it is gone afterwards, unless it was renamed."""
    for inside, what in ((settings.data, "data folder"), (settings.folder.shared, "shared folder")):
        if to.resolve() == inside.resolve() or inside.resolve() in to.resolve().parents:
            raise BackupRefused(f"{to} lies in the {what} itself", "Name a folder of another disk.")
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    finding.require_home(to)
    descriptor = os.open(to, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupRefused(f"another backup is being made in {to}") from None
        draft = to / finding.DRAFT
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    finally:
        os.close(descriptor)


class _Taking:
    """The making of one backup."""

    def __init__(self, settings: Settings, records: Records, wish: Wish, say: Say, progress: Progress) -> None:
        self._settings, self._database, self._clock = settings, records.database, records.clock
        self._wish, self._say, self._progress = wish, say, progress
        self._pool = settings.folder.pool
        self._done: dict[str, tuple[tuple[int, ...], Entry]] = {}  # Volumes that are in the draft, by their stamps.
        self._fresh: set[str] = set()  # Heads in the draft that were made for it.
        self._moved = self._total = 0
        self.copied_bytes = 0

    def make(self, holder: Holder, draft: Path, earlier: tuple[Path, Manifest] | None) -> Manifest:
        """Fill the draft. Raises NotKept, BackupRefused."""
        (draft / manifest.VOLUMES).mkdir(mode=0o700)
        self._require_known(self._wish.without)
        asking = Moments(self._settings, self._database, self._clock, self._wish.timeout_s, without=self._wish.without)
        with asking as moments:
            while True:
                is_last = not moments.has_time()
                silent = moments.silent()
                wanted = moments.wanted(silent)
                if wanted and not is_last:
                    self._say(f"keeping a moment of what runs: {counted(len(wanted), 'instance')}")
                    moments.keep(wanted, holder)
                found, made = self._look(holder, draft, moments, silent, is_last=is_last)
                for instance in found.again:
                    moments.kept.pop(instance, None)
                moments.note_stirred(found.stirred)
                if found.again or found.unsettled or made is None:
                    moments.pause(found.unsettled or sorted(found.again))
                    continue
                with moments.uncounted():
                    files = self._copy_volumes(holder, found, draft, earlier, is_last=is_last)
                if files is None:
                    moments.note_stirred(found.stirred)
                    moments.pause(["a disk was written while it was copied"])
                    continue
                self._require_sound(draft / manifest.DATABASE)
                files |= self._rest(draft, earlier)
                missed = {one: moments.missed.get(one, why) for one, why in sorted(found.missed.items())}
                told = {one: facts.consistency or "at rest" for one, facts in moments.kept.items() if one not in missed}
                return replace(made, files=files, moments=told, missed=missed, broken=found.broken)

    def _require_known(self, wanted: Collection[str]) -> None:
        with self._database.read() as tx:
            unknown = [one for one in wanted if instances.find(tx, id=one) is None]
        if unknown:
            raise BackupRefused(f"there is no instance {', '.join(unknown)}")

    def _look(
        self, holder: Holder, draft: Path, moments: Moments, silent: set[str], *, is_last: bool
    ) -> tuple[Fit, Manifest | None]:
        """One look at everything: the copy of the database, made to fit what is held. No manifest: look again."""
        with self._database.read() as tx:
            at_rest = heads_at_rest(tx, silent)
        holder.forget_each(at_rest)
        stamps = {head: stamp_of(self._pool, head) for head in at_rest}
        seen = Seen(moments=moments.kept, stamps=stamps, silent=silent, missed=moments.missed.keys(), is_last=is_last)
        self._take_down(draft)
        database = draft / manifest.DATABASE
        self._copy_database(database)
        reach("backup.database.copied")
        identity = look(self._pool).identity
        copied = open_sqlite(database)
        try:
            schema.require_present(copied)
            with copied.read() as tx:
                known = deployment.find(tx)
            borne = None if identity is None else (identity.deployment, identity.generation.number)
            if identity is not None and (identity.next or known is None or borne != (known.id, known.generation)):
                return Fit(unsettled=["Kiln was being started"]), None
            found = copied.write(lambda tx: fit(tx, holder, seen))
        finally:
            copied.close()
        made = Manifest(
            made_at=finding.moment_text(self._clock()),
            kiln=kiln.__version__,
            schema=schema.NEWEST,
            deployment=known.id if known else "",
            generation=known.generation if known else 0,
            files={},
            left_out=tuple(self._left_out()),
            without=tuple(sorted(self._wish.without)),
        )
        return found, made

    def _take_down(self, draft: Path) -> None:
        """Copy what the pool says of itself; the database, which is to know at least as much, comes after it."""
        for path in draft.glob(manifest.DATABASE + "*"):
            path.unlink()
        hidden = self._pool / HIDDEN
        for name, source in ((manifest.IDENTITY, "identity"), (manifest.RECORDS, RECORDS_FILE)):
            (draft / name).unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError), opened_below(hidden, source) as file:
                copy(file, draft / name, 0o600, lambda _: None)

    def _copy_database(self, to: Path) -> None:
        before = os.umask(0o077)
        try:
            if not self._settings.database:
                copy_of_sqlite(self._settings.folder.database, to)
                return
            target = open_sqlite(to)
            try:
                copy_rows(self._database, target)
            finally:
                target.close()
        finally:
            os.umask(before)

    def _require_sound(self, copied: Path) -> None:
        """Raise BackupBroken where the copy of the database is damaged. Not before it fits: meanwhile much changes."""
        damage = damage_of_sqlite(copied)
        if damage is not None:
            raise BackupBroken(f"the copy of the database is damaged: {damage}")

    def _copy_volumes(
        self, holder: Holder, found: Fit, draft: Path, earlier: tuple[Path, Manifest] | None, *, is_last: bool
    ) -> dict[str, Entry] | None:
        """Have each volume in the draft; None where a head was written meanwhile, and this is not the last turn."""
        folder = draft / manifest.VOLUMES
        for volume in (self._done.keys() - found.kept.keys()) | self._fresh:
            (folder / (volume + SUFFIX)).unlink(missing_ok=True)
            self._done.pop(volume, None)
        self._fresh.clear()
        held = [one for volume in sorted(found.kept) if (one := holder.get(volume)) is not None]
        new = [one for one in held if not self._is_there(one, draft, earlier)]
        self._require_room(draft, new, len(held))
        for one in new:
            path = folder / (one.volume + SUFFIX)
            length, digest = copy(one.descriptor, path, 0o400, self._count, one.source[TIME])
            self._note(one, Entry(bytes=length, sha256=digest, source=one.source))
            self.copied_bytes += one.allocated_bytes
        changed = [head for name in found.heads if (head := holder.get(name)) is not None and head.has_changed()]
        if changed and not is_last:
            found.stirred |= {disk.instance for one in changed if (disk := found.heads[one.volume]).instance}
            return None
        for head in changed:
            self._pass_over(head, found, folder)
        modes = {"head": 0o600, "layer": 0o400}
        copied = {volume: replace(self._done[volume][1], mode=modes[kind]) for volume, kind in found.kept.items()}
        made = {volume: self._make_fresh(folder, volume, how) for volume, how in found.fresh.items()}
        return {f"{manifest.VOLUMES}/{volume}{SUFFIX}": entry for volume, entry in (copied | made).items()}

    def _pass_over(self, head: Held, found: Fit, folder: Path) -> None:
        """Keep of a head that was written while it was copied what it stands on, as the copy of its row says."""
        disk = found.heads[head.volume]
        (folder / (head.volume + SUFFIX)).unlink()
        del self._done[head.volume], found.kept[head.volume]
        found.fresh[head.volume] = Fresh(base=head.parent, size_bytes=head.size_bytes, key=disk.kms_key)
        found.missed[disk.instance or disk.id] = "it was written all the time"

    def _make_fresh(self, folder: Path, volume: str, how: Fresh) -> Entry:
        """Make a head that reads as what it stands on. Raises VolumeLocked where its key is missing, OSError."""
        path = folder / (volume + SUFFIX)
        self._fresh.add(volume)
        lock = luks.forge(how.key, passphrases(self._settings.folder.shared, lambda _: ())) if how.key else b""
        make_empty(path, how.size_bytes, None if how.base is None else how.base + SUFFIX, lock)
        with opened_below(folder, path.name) as file:
            return _entry_of(file)

    def _is_there(self, held: Held, draft: Path, earlier: tuple[Path, Manifest] | None) -> bool:
        """Whether the draft has it already, or takes it over from the earlier backup."""
        name = f"{manifest.VOLUMES}/{held.volume}{SUFFIX}"
        known = self._done.pop(held.volume, None)
        if known is not None and known[0] == held.source:
            self._done[held.volume] = known
            return True
        if known is not None:
            (draft / name).unlink(missing_ok=True)
        before = None if earlier is None else earlier[1].files.get(name)
        if before is None or before.source != held.source or not _link(earlier, name, draft, before):
            return False
        self._note(held, before)
        return True

    def _note(self, held: Held, entry: Entry) -> None:
        self._done[held.volume] = (held.source, entry)

    def _require_room(self, draft: Path, new: list[Held], count: int) -> None:
        needed = sum(one.allocated_bytes for one in new)
        self._moved, self._total = 0, sum(one.source[1] for one in new)
        about = os.statvfs(draft)
        free = about.f_frsize * about.f_bavail
        shared = counted(count - len(new), "volume")
        self._say(f"{counted(len(new), 'volume')} to copy, {needed} bytes; {shared} as in the backup before")
        if needed > free and draft.stat().st_dev != self._pool.stat().st_dev:
            raise BackupRefused(
                f"{draft.parent} has {free} bytes free, and {needed} are to be copied", "Make room there."
            )

    def _count(self, length: int) -> None:
        self._moved += length
        self._progress(self._moved, self._total)

    def _rest(self, draft: Path, earlier: tuple[Path, Manifest] | None) -> dict[str, Entry]:
        """What is no volume: the database with what the pool says of itself, keys, and buckets."""
        files = {}
        for name in (manifest.DATABASE, manifest.IDENTITY, manifest.RECORDS):
            with contextlib.suppress(FileNotFoundError), opened_below(draft, name) as file:
                files[name] = _entry_of(file)
        if self._wish.with_secrets:
            (draft / manifest.KEYS).mkdir(mode=0o700)
            for name in manifest.SECRETS:
                # By a link, where the operator has put a key on another file system.
                with contextlib.suppress(FileNotFoundError), (self._settings.folder.shared / name).open("rb") as file:
                    mode = 0o644 if name == "ca.pem" else 0o600
                    length, digest = copy(file.fileno(), draft / manifest.KEYS / name, mode, self._count)
                    files[f"{manifest.KEYS}/{name}"] = Entry(bytes=length, sha256=digest, mode=mode)
        if self._wish.with_buckets:
            files |= self._objects(draft, earlier)
        return files

    def _objects(self, draft: Path, earlier: tuple[Path, Manifest] | None) -> dict[str, Entry]:
        files = {}
        root = self._settings.folder.buckets
        for path in sorted(root.rglob("*")):
            name = f"{manifest.BUCKETS}/{path.relative_to(root)}"
            if "/.tmp-" in name or not manifest.is_known(name):
                continue
            with _object_at(root, str(path.relative_to(root))) as file:
                if file is None:
                    continue
                source, attribute = stamp(os.fstat(file)), _attribute(file)
                (draft / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                before = None if earlier is None else earlier[1].files.get(name)
                if before is not None and before.source == source and _link(earlier, name, draft, before):
                    files[name] = replace(before, attribute=attribute)
                    continue
                length, digest = copy(file, draft / name, 0o600, self._count, source[TIME])
                self.copied_bytes += length
                files[name] = Entry(bytes=length, sha256=digest, source=source, attribute=attribute)
        return files

    def _left_out(self) -> Iterator[str]:
        if not self._wish.with_secrets:
            yield "the keys: without master.key and volumes.key nothing sealed or encrypted can be read"
        else:
            for name in manifest.SECRETS:
                if not (self._settings.folder.shared / name).is_file():
                    yield f"{name}, which is not there"
        if not self._wish.with_buckets:
            yield "the objects of buckets"
        yield "what waits in the trash"


@contextlib.contextmanager
def _object_at(root: Path, name: str) -> Iterator[int | None]:
    """The object, open; None of a folder or a link, and of what was deleted meanwhile. Raises OSError."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(opened_below(root, name))
        except OSError as error:
            if error.errno not in _NO_OBJECT:
                raise
            yield None
            return
        yield file if stat.S_ISREG(os.fstat(file).st_mode) else None


def _link(earlier: tuple[Path, Manifest] | None, name: str, draft: Path, entry: Entry) -> bool:
    """Share a file with the earlier backup; False where that cannot be."""
    if earlier is None:
        return False
    path = earlier[0] / name
    try:
        about = path.lstat()
        if about.st_size != entry.bytes or not is_of_time(about, entry):
            return False  # Somebody has written it since, or found it broken.
        os.link(path, draft / name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _UNSHARED:
            raise
        return False
    return True


def _entry_of(file: int) -> Entry:
    length, digest = digest_of(file, lambda _: None)
    return Entry(bytes=length, sha256=digest)


def _attribute(file: int) -> str:
    try:
        return os.getxattr(file, ATTRIBUTE).hex()
    except OSError:
        return ""
