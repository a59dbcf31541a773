"""A pool in a folder: every volume is one qcow2 file, ``<volume>.qcow2``.

A file names its parent relative to the folder, so that the folder may move.
Layers are read-only files (0400) with a list of the machines' users that may
read them (``readers``), heads belong to whoever runs on them (0600); the folder
can be entered but not listed (0711, or 0700 where all machines are Kiln's own
user), so that a confined QEMU opens what it was given and nothing else. Nothing is
ever written into a file that has a child. Knows no guests beyond ``Guest``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from kiln.ground.killpoints import reach
from kiln.pools import (
    absorb,
    aside,
    entries,
    inspection,
    lineage,
    locks,
    luks,
    moves,
    nodes,
    qemu_img,
    readers,
    soundness,
    switched,
    unpacking,
)
from kiln.pools.ahead import Ahead
from kiln.pools.claims import Claims
from kiln.pools.departures import Departures
from kiln.pools.errors import PoolFull, ToolFailed, VolumeBroken, VolumeBusy, VolumeMissing
from kiln.pools.family import NAME, SUFFIX, Family, parent_of
from kiln.pools.folder import Folder, is_direct, sync
from kiln.pools.guests import Guest, GuestBusy, GuestUntold
from kiln.pools.headers import Headers, key_of
from kiln.pools.identity import HIDDEN, IdentityFile
from kiln.pools.locked import Locked
from kiln.pools.port import (
    Cancel,
    Discarded,
    Identity,
    Progress,
    Room,
    Source,
    SourceFormat,
    Stranger,
    Succession,
    TargetFormat,
    never_cancelled,
)
from kiln.pools.ready import Birth, Ready
from kiln.pools.records import Records
from kiln.pools.trash import Trash

_FOLDER_MODE, _FOLDER_MODE_OF_ONE_USER = 0o711, 0o700


class Qcow2Pool(Locked):
    """The pool in the folder *path*, which is made when it is not there, unless it is only to be looked at.

    See ``port.Pool`` for the promises.
    """

    kind = "qcow2"
    encrypts = True

    def __init__(self, path: Path, *, is_kept_as_it_is: bool = False) -> None:
        path = path.absolute()  # QEMU's working folder is another.
        if not is_kept_as_it_is:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(_FOLDER_MODE if os.geteuid() == 0 else _FOLDER_MODE_OF_ONE_USER)
        claims = Claims(path / HIDDEN)
        self._hidden = Folder(path / HIDDEN, claims)
        self.records = Records(self._hidden)
        self._identity = IdentityFile(self._hidden)
        self._folder = Folder(path, claims)
        self._family = Family(path, claims)
        #: Tells the passphrase of an encrypted volume.
        self.keys: luks.Keys = luks.no_keys
        self._headers = Headers(self._path, self._ask_keys)
        self.overlays, self._ahead = Ready(self._folder, self._ask_keys), Ahead(path)
        self._departures = Departures(
            path_of=self._path,
            folder=self._folder,
            claims=claims,
            family=self._family,
            trash=Trash(path, claims),
            overlays=self.overlays,
            ahead=self._ahead,
        )
        #: Gives back what waits in the trash, so that there are so many bytes more (None: some), and tells whether
        #: it did; for what found no room.
        self.make_room: Callable[[int | None], bool] = lambda _: False
        self.lineage: lineage.Lineage = lambda _: None
        self._direct = is_direct(path)
        if not is_kept_as_it_is:
            readers.close_to_all(path, {volume: self._path(volume) for volume in self.volumes()}, self._chain)
            # A volume that a killed run had renamed but not yet made sure of is as good as any from here on.
            sync(path)

    def identity(self) -> Identity | None:
        """See ``port.Pool``."""
        return self._identity.read()

    def identify(self, identity: Identity) -> None:
        """See ``port.Pool``."""
        self._identity.write(identity)

    def create(self, volume: str, size_bytes: int, key: str = "") -> None:
        """See ``port.Pool``."""
        if not self.exists(volume):
            self._make([Birth(volume, size_bytes, key=key)])

    def clone(self, layer: str, volume: str, size_bytes: int) -> None:
        """See ``port.Pool``."""
        if self.exists(volume):
            return
        with self._family.expecting(layer):
            self._chain(layer)
            header = self._headers.read(layer)
            if size_bytes < header.size_bytes:
                raise ValueError(f"a clone of {layer} cannot be smaller than it")
            self._make([Birth(volume, size_bytes, layer, key=key_of(header))])

    def freeze(self, disks: Sequence[Succession], guest: Guest | None) -> bool:
        """See ``port.Pool``. Raises VolumeMissing, VolumeBusy when there is no *guest* but a head is written, PoolFull.

        When the guest refuses, the heirs are there but unused; the call may be
        made again, or they may be dropped.
        """
        with contextlib.ExitStack() as held:
            for disk in disks:
                held.enter_context(self._family.expecting(disk.head))
                lineage.require_files(disk.head, self.lineage, self.length)
                if guest is None and locks.is_written(self._path(disk.head)):
                    raise VolumeBusy(f"{disk.head} is being written")
                self._clear_heir(disk)
            heirs = [self._headers.heir(disk) for disk in disks if not self.exists(disk.heir)]
            opened: set[str] = set()
            self._with_room(lambda: opened.update(self._give_birth(heirs)))
            reach("pool.freeze.heirs_made")
            is_quiesced = False
            if guest is None:
                self._folder.settle()
            else:
                # A machine may open what has its name in memory alone; nobody writes to it until that is on the disk.
                above = [(disk.head, self._headers.node(disk.heir, None, is_head=True)) for disk in disks]
                asks = not all(self._ahead.is_known_to_lead_home(disk.head, self._path(disk.head)) for disk in disks)
                leads_home = partial(self._leads_home, {disk.head for disk in disks}) if asks else None
                try:
                    is_quiesced = guest.switch(above, self._folder.settle, opened, leads_home)
                except GuestUntold:
                    with self._family.departing([one.volume for one in heirs]) as free:
                        self.overlays.take_back(free)
                    raise
                for one in heirs:
                    path = self._ahead.path if one.volume in opened else self._path
                    self._ahead.note(one.volume, path(one.volume))
                reach("pool.freeze.switched")
            for disk in disks:
                # Not before the switch, in which QEMU opens the old head once more.
                readers.seal(self._path(disk.head))
                reach("pool.freeze.sealed")
        self.overlays.want([disk.heir for disk in disks])
        return is_quiesced

    def prepare(self) -> int:
        """See ``port.Pool``. A head that was granted, or that a freeze has made, is one in use."""
        return self.overlays.make(self._headers.about)

    def put_away(self) -> None:
        """See ``port.Pool``."""
        self.overlays.clear()
        self._departures.claims.close()

    def has_frozen(self, disks: Sequence[Succession], guest: Guest | None) -> bool:
        """See ``port.Pool``."""
        return switched.may_have_switched(self, [disk.heir for disk in disks], guest)

    def resize(self, volume: str, size_bytes: int, guest: Guest | None = None) -> None:
        """See ``port.Pool``. Raises VolumeMissing, VolumeBusy while somebody writes it or stands on it, PoolFull."""
        if guest is not None and guest.has_node(volume):
            self.require_home([volume], guest)
            guest.resize(volume, size_bytes)
            self.overlays.want([volume])
            return
        size_now = self.size(volume)
        if size_bytes == size_now:
            return
        if size_bytes < size_now or size_bytes % 512:
            raise ValueError(f"{volume} has {size_now} bytes and cannot have {size_bytes}")
        self._family.require_childless(volume)
        self._path(volume).chmod(readers.HEAD_MODE)  # It may have been taken back while something stood on it.
        reach("pool.resize.before")
        qemu_img.resize(nodes.stacked(self.blockdevs(volume)), size_bytes)
        reach("pool.resize.done")
        sync(self._path(volume))

    def drop(self, volume: str) -> None:
        """See ``port.Pool``."""
        self._departures.drop(volume)

    def discard(self, volumes: Sequence[str]) -> list[str]:
        """See ``port.Pool``."""
        return self._departures.discard(volumes)

    def retrieve(self, volume: str) -> None:
        """See ``port.Pool``."""
        self._departures.retrieve(volume)

    def purge(self, volumes: Sequence[str]) -> list[str]:
        """See ``port.Pool``."""
        return self._departures.purge(volumes)

    def discarded(self) -> Iterator[Discarded]:
        """See ``port.Pool``."""
        return self._departures.trash.contents()

    def room(self) -> Room:
        """See ``port.Pool``."""
        found = os.statvfs(self._folder.path)
        free = found.f_bfree if os.geteuid() == 0 else found.f_bavail
        return Room(free_bytes=free * found.f_frsize, total_bytes=found.f_blocks * found.f_frsize)

    def is_used(self, volume: str, guest: Guest) -> bool:
        """See ``port.Pool``."""
        return guest.has_node(volume)

    def require_home(self, heads: Collection[str], guest: Guest) -> None:
        """See ``port.Pool``. Raises VolumeMissing, VolumeBroken too."""
        chains = dict.fromkeys(volume for head in heads for volume in self._chain(head))
        guest.require_home(list(chains), partial(self._leads_home, set(heads)))

    def let_go(self, held: Sequence[str], heads: Sequence[str], guest: Guest) -> bool:
        """See ``port.Pool``. Raises VolumeBroken too."""
        return any(guest.has_node(volume) for volume in held) and self._follow(heads, guest)

    def absorb(
        self, child: str, guest: Guest | None, beside: Sequence[str] = (), cancelled: Cancel = never_cancelled
    ) -> None:
        """See ``port.Pool``. Nothing happens when *child* stands on nothing.

        Raises VolumeMissing, VolumeBusy when there is no *guest* but somebody writes *child*, PoolFull.
        """
        parent = self.parent(child)
        if parent is None:
            return
        with contextlib.ExitStack() as held:
            held.enter_context(self._departures.claims.alone(f"merge {child}", f"{child} is being merged"))
            held.enter_context(self._family.staying(child))
            held.enter_context(self._family.expecting(parent))
            base = self.parent(parent)
            if base is not None:
                held.enter_context(self._family.expecting(base))
            if guest is not None and guest.has_node(child):
                # What QEMU copies it finds by the chain that it knows. Busy it is only with what an earlier run of this
                # merge began, which followed before that, or with another disk's, and then this one fails rather than
                # errs.
                with contextlib.suppress(GuestBusy):
                    self._follow([child, *beside], guest)
                absorb.under_guest(guest, self._path(child), base, self._headers.passphrases_under(child))
            else:
                path, kin, direct = self._path(child), self._require_whole, self._direct
                self._with_room(
                    lambda: absorb.in_copy(self._folder, path, base, kin, self.keys, direct=direct, cancelled=cancelled)
                )
            self._family.note(child)

    def exists(self, volume: str) -> bool:
        """See ``port.Pool``."""
        return self._path(volume).is_file()

    def is_open(self, volume: str) -> bool:
        """See ``port.Pool``."""
        return locks.is_open(self._path(volume))

    def size(self, volume: str) -> int:
        """See ``port.Pool``."""
        return self._headers.read(volume).size_bytes

    def length(self, volume: str) -> int:
        """See ``port.Pool``."""
        try:
            # By a text: it is asked of each layer of an image that is made of snapshots, and a Path takes four times as
            # long as the look itself.
            return os.stat(self._text_of(volume)).st_size  # noqa: PTH116
        except FileNotFoundError:
            raise VolumeMissing(volume) from None

    def parent(self, volume: str) -> str | None:
        """See ``port.Pool``."""
        found = parent_of(self._path(volume))
        if found is not None:
            lineage.require_kin(volume, [found], self.lineage)
        return found

    def volumes(self) -> Iterator[str]:
        """See ``port.Pool``."""
        return (name.removesuffix(SUFFIX) for name, is_ours in entries.of(self._folder.path) if is_ours)

    def taken(self) -> Iterator[tuple[str | None, int]]:
        """See ``port.Pool``."""
        yield from entries.taken(self._folder.path)
        yield from entries.taken(self._hidden.path)

    def strangers(self) -> list[Stranger]:
        """See ``port.Pool``. Hidden entries are none: drafts are, and what a network file system keeps for itself."""
        return entries.strangers(self._folder.path)

    def set_aside(self, what: str | Stranger) -> str:
        """See ``port.Pool``. It goes to ``lost+found`` in the pool's folder, and keeps its name if that is free there.

        A volume that stands on another finds it there when that one is set aside too.
        """
        path = self._folder.path / what.name if isinstance(what, Stranger) else self._path(what)
        if path.is_file() and locks.is_written(path):
            raise VolumeBusy(f"{path.name} is being written")
        return str(aside.move(path))

    def leftovers(self) -> list[str]:
        """See ``port.Pool``."""
        return self._folder.leftovers() + self._hidden.leftovers()

    def sweep(self) -> list[str]:
        """See ``port.Pool``."""
        swept = self._folder.sweep() + self._hidden.sweep()
        self._ahead.sweep()
        return swept

    def verify(self, volume: str) -> list[str]:
        """See ``port.Pool``. Raises VolumeMissing.

        That the layers below are there is looked at too; of a volume that a
        guest writes only that, since its structure changes under the reader.
        """
        try:
            lineage.require_kin(volume, self._headers.chain(volume)[1:], self.lineage)
            if locks.is_written(self._path(volume)) or soundness.is_plainly_sound(self._path(volume)):
                return []
            return qemu_img.check(self._headers.node(volume, None, is_head=False))
        except VolumeMissing as error:
            if str(error) == volume:
                raise
            return [f"The layer {error} below it is missing."]
        except (VolumeBroken, ToolFailed) as error:
            return [f"It cannot be read: {error}."]

    def blockdevs(self, volume: str) -> list[dict[str, Any]]:
        """See ``port.Pool``. Raises VolumeMissing, VolumeBroken."""
        chain = self._chain(volume)
        below = [None, *chain[:-1]]
        return [
            self._headers.node(name, under, is_head=name == volume) for name, under in zip(chain, below, strict=True)
        ]

    def node(self, volume: str) -> str:
        """See ``port.Pool``."""
        return volume

    def files(self, volume: str) -> tuple[Path, ...]:
        """See ``port.Pool``. Raises VolumeMissing, VolumeBroken."""
        return tuple(self._path(name) for name in self._chain(volume))

    def require_sole(self, volumes: Collection[str]) -> None:
        """See ``port.Pool``. What another QEMU had locked would not have been opened. Raises VolumeMissing too."""
        for volume in volumes:
            locks.require_not_kept(self._path(volume))

    def grant(self, volume: str, uid: int | None) -> None:
        """See ``port.Pool``. Raises VolumeMissing, VolumeBroken, ToolFailed when Kiln may not give files away.

        Whoever asks, and whatever the database says: what stands on a file would be changed with it.
        """
        *layers, head = (self._path(name) for name in self._chain(volume))
        self._family.require_childless(volume)
        readers.grant(head, layers, uid, lambda: (self._path(each).lstat().st_uid for each in self.volumes()))
        self.overlays.want([volume])

    def take_back(self, volume: str) -> None:
        """See ``port.Pool``."""
        try:
            self._family.require_childless(volume)
        except VolumeBusy:
            readers.seal(self._path(volume))
        else:
            readers.hand_over(self._path(volume), os.geteuid())

    def unpacked(self, file: BinaryIO, cancelled: Cancel) -> AbstractContextManager[BinaryIO]:
        """See ``port.Pool``."""
        return unpacking.unpacked(self._folder, file, cancelled)

    def inspect(self, file: BinaryIO, stated: SourceFormat | None) -> Source:
        """See ``port.Pool``."""
        return inspection.inspect(file, stated)

    def bring_in(self, file: BinaryIO, source: Source, volume: str, progress: Progress, cancelled: Cancel) -> None:
        """See ``port.Pool``."""
        name = self._path(volume).name
        if not self.exists(volume):
            self._with_room(
                lambda: moves.bring_in(
                    self._folder, name, file, source, direct=self._direct, progress=progress, cancelled=cancelled
                )
            )
            self._family.note(volume)

    def encrypt(self, layer: str, volume: str, key: str, progress: Progress, cancelled: Cancel) -> None:
        """See ``port.Pool``. Raises VolumeMissing, VolumeBroken too."""
        if self.exists(volume):
            return
        name, source, how = self._path(volume).name, self._path(layer), self._copying(progress, cancelled)
        with self._family.expecting(layer):
            self._with_room(lambda: moves.encrypt(self._folder, name, source, key, how))
            self._family.note(volume)

    def send_out(self, layer: str, path: Path, target: TargetFormat, progress: Progress, cancelled: Cancel) -> None:
        """See ``port.Pool``. Raises VolumeMissing too."""
        with self._family.expecting(layer):
            moves.send_out(self._path(layer), path, target, self._copying(progress, cancelled))

    def _copying(self, progress: Progress, cancelled: Cancel) -> moves.Copying:
        kin, keys, direct = self._require_whole, self.keys, self._direct
        return moves.Copying(kin=kin, keys=keys, direct=direct, progress=progress, cancelled=cancelled)

    def _follow(self, heads: Sequence[str], guest: Guest) -> bool:
        there = [head for head in heads if self.exists(head)]
        self.require_home(there, guest)
        return guest.follow([self.blockdevs(head) for head in there])

    def _make(self, births: Sequence[Birth]) -> None:
        """Make heads that are on the disk when this returns."""

        def work() -> None:
            self._give_birth(births)
            self._folder.settle()

        self._with_room(work)

    def _with_room(self, work: Callable[[], None]) -> None:
        """Do it, and when there is no room do it once more with what the trash gave back. Raises PoolFull."""
        try:
            work()
        except PoolFull as error:
            if not self.make_room(error.missing_bytes):
                raise
            work()

    def _leads_home(self, heads: Collection[str], volume: str, name: str) -> bool:
        return self._ahead.leads_home(volume, self._path(volume), name, is_head=volume in heads)

    def _ask_keys(self, key: str, nonce: bytes, volume: str) -> str | None:
        return self.keys(key, nonce, volume)

    def _path(self, volume: str) -> Path:
        return Path(self._text_of(volume))

    def _text_of(self, volume: str) -> str:
        if not NAME.fullmatch(volume):
            raise ValueError(f"{volume!r} cannot name a volume")
        return f"{self._folder.path}/{volume}{SUFFIX}"

    def _give_birth(self, births: Sequence[Birth]) -> set[str]:
        """As ``Ready.give_birth``, and in the family's books."""
        opened = self.overlays.give_birth(births)
        for birth in births:
            self._family.note(birth.volume)
        return opened

    def _clear_heir(self, disk: Succession) -> None:
        """Take away an heir that cannot be one any more.

        A head grows no more once it has been frozen. An heir smaller than it comes from an attempt that the guest
        refused, was never used, and would cut the disk's end off.
        """
        if self.exists(disk.heir) and self.size(disk.heir) < self.size(disk.head):
            if locks.is_written(self._path(disk.heir)):
                raise VolumeBusy(f"{disk.heir} is being written, and smaller than {disk.head}")
            self._folder.remove(disk.heir + SUFFIX)

    def _chain(self, volume: str) -> list[str]:
        """The volumes from the lowest layer to *volume*, all whole. Raises VolumeMissing, VolumeBroken."""
        chain = self._headers.chain(volume)
        self._require_whole(volume, chain[1:])
        return chain[::-1]

    def _require_whole(self, volume: str, below: Sequence[str]) -> None:
        lineage.require_whole(volume, below, self.lineage, self.length)
