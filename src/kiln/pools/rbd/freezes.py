"""A freeze: snapshots of images at one instant, and other names for what these are written at from then on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from kiln.pools.errors import VolumeBusy
from kiln.pools.guests import Guest
from kiln.pools.port import Succession
from kiln.pools.rbd.cluster import Cluster
from kiln.pools.rbd.departures import Departures
from kiln.pools.rbd.directory import Change, Directory, Entry, Page, if_spared
from kiln.pools.rbd.images import Images
from kiln.pools.rbd.shots import aiming


class Freezes:
    """Those of one pool."""

    def __init__(self, cluster: Cluster, directory: Directory, images: Images, departures: Departures) -> None:
        self._cluster = cluster
        self._directory = directory
        self._images = images
        self._departures = departures

    def freeze(
        self,
        ends: Sequence[tuple[Succession, str]],
        guest: Guest | None,
        with_room: Callable[[Callable[[], None]], None],
    ) -> bool:
        """Make a snapshot of each image, all at one instant, and give their ends the heirs' names; whether quiesced.

        Where no *guest* waits, *with_room* may do it twice. What fails leaves nothing. Raises PoolFull, VolumeBusy
        where somebody else was quicker, VolumeMissing, ToolFailed.
        """
        with ExitStack() as held:
            made = {disk: held.enter_context(self._images.snapshot_draft(image, disk.head)) for disk, image in ends}
            is_quiesced = False
            try:
                with aiming(self._cluster, {image: made[disk] for disk, image in ends}) as shots:
                    if guest is None:
                        with_room(shots.take)
                    else:
                        is_quiesced = guest.hold(shots.take)
                    sizes = shots.sizes()
                self._name_heirs(ends, made, sizes)
            except BaseException:
                self._departures.forsake([(image, made[disk]) for disk, image in ends])
                raise
            return is_quiesced

    def _name_heirs(
        self, ends: Sequence[tuple[Succession, str]], made: Mapping[Succession, str], sizes: Mapping[str, int]
    ) -> None:
        def decide(page: Page) -> Change:
            put: dict[str, Entry] = {}
            for disk, image in ends:
                entry = page.entry(disk.head)
                if (entry.image, entry.snapshot) != (image, ""):
                    raise VolumeBusy(f"{disk.head} was frozen by somebody else meanwhile")
                put[disk.head] = replace(entry, snapshot=made[disk], size_bytes=sizes[image])
                put[disk.heir] = Entry(image, "", disk.head, sizes[image])
            return if_spared(page, put)

        self._directory.change(decide)
