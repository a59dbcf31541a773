"""Images and their disks.

An image names snapshots, and blank disks that are made when an instance is; it
holds no bytes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Executable, Index, Select, bindparam, exists, func, literal_column, select, text

from kiln.declare.ids import is_of
from kiln.declare.states import ImageStatus
from kiln.declare.system import System
from kiln.ground.values import dataclass
from kiln.store import counting, tags
from kiln.store.changes import Told
from kiln.store.conditions import Condition, fits
from kiln.store.database import Transaction
from kiln.store.instances import instances
from kiln.store.order import Order, newest_first
from kiln.store.rows import Recorded, Rows
from kiln.store.shares import image_shares
from kiln.store.tags import Tag


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image. Empty text means: not given."""

    id: str
    account: str
    region: str
    name: str
    family: str
    version: str
    description: str
    status: str
    progress: int  #: Percent.
    created_at: float
    system: System
    size_gib: int  #: Of the system disk.
    resource_group: str
    consistency: str  #: ``quiesced``, ``crash-consistent``, or ``""`` where no running guest was captured.
    source: str  #: The instance, snapshot, object or, of a copy, the image that it was made from.
    task: str  #: The task that made it.
    error_code: str  #: Of a CreateFailed image.
    error_message: str

    @property
    def is_copy(self) -> bool:
        """Whether CopyImage made it."""
        # A bucket may be called as images are, but an object has its bucket before it.
        return is_of("image", self.source) and "/" not in self.source


@dataclass(frozen=True, kw_only=True)
class ImageDisk:
    """One disk of an image; the system disk is at position 0."""

    image: str
    position: int
    type: str  #: ``system`` or ``data``.
    device: str
    size_gib: int
    category: str
    snapshot: str  #: Empty for a blank disk, and until an import is done.
    format: str  #: Of the object that it was imported from, as answers spell it (``QCOW2``), or "".
    bucket: str  #: Of that object.
    object: str
    kms_key: str = ""  #: The ID of the key that it is encrypted with, or "".


@dataclass(frozen=True, kw_only=True)
class Album:
    """Some images with all that hangs on them."""

    images: Sequence[Image]
    disks: Mapping[str, Sequence[ImageDisk]]  #: Of each image, in order.
    tags: Mapping[str, Sequence[Tag]]  #: Of each image, by key.
    used: frozenset[str]  #: Those that some instance was made of.
    shared: frozenset[str]  #: Those that their owner shares with somebody.

    def with_(self, other: Album) -> Album:
        """This and others, the newest first."""
        if not other.images:
            return self
        return Album(
            images=sorted([*self.images, *other.images], key=lambda one: (one.created_at, one.id), reverse=True),
            disks={**self.disks, **other.disks},
            tags={**self.tags, **other.tags},
            used=self.used | other.used,
            shared=self.shared | other.shared,
        )


NO_ALBUM = Album(images=(), disks={}, tags={}, used=frozenset(), shared=frozenset())


images: Rows[Image] = Rows(
    "images",
    Image,
    recorded=Recorded("image"),
    told=Told("image", frozenset({"progress"})),
    indexes=[
        # The status stands last so that counting the Available ones among many reads the index alone.
        Index("images_list", "account", "region", "created_at", "id", "status"),
        Index(
            "images_name",
            "account",
            "region",
            "name",
            unique=True,
            # Not for PostgreSQL alone: migrations/env.py says it there too.
            sqlite_where=text("name <> ''"),
        ),
        Index("images_family", "account", "region", "family"),
    ],
)

image_disks: Rows[ImageDisk] = Rows(
    "image_disks",
    ImageDisk,
    key=("image", "position"),
    recorded=Recorded("image", "image"),
    indexes=[Index("image_disks_snapshot", "snapshot")],
)

_DONE = 100  #: The progress, in per cent, of an image that is Available.

#: Whether some instance was made of the image.
#: By an instance of the owner's: those of whom it is shared with are nobody else's business, and bind nobody.
is_used: Condition = exists(
    select(instances.c.id)
    .where(instances.c.image == images.c.id, instances.c.account == images.c.account)
    .correlate(images.table)
)

_is_shared: Condition = exists(
    select(image_shares.c.image).where(image_shares.c.image == images.c.id).correlate(images.table)
)

#: Whether it has tags: most have none, and a statement that finds none takes a tenth of a request.
_is_tagged: Condition = exists(
    select(tags.tags.c.resource)
    .where(tags.tags.c.resource_type == literal_column("'image'"), tags.tags.c.resource == images.c.id)
    .correlate(images.table)
)

#: The index on names leaves out empty ones, and serves only a statement that says that it does so too.
_has_name = images.c.name != literal_column("''")

NEWEST: Order = newest_first(images.c)

# Statements are put together once where they can be: that takes longer than running them.
_seen = select(images.table, is_used, _is_shared).order_by(*(key.sorted for key in NEWEST))
_with_name = select(images.c.id).where(
    *(images.c[column] == bindparam(column) for column in ("account", "region", "name")), _has_name
)


def disks_of(tx: Transaction, ids: Sequence[str]) -> dict[str, list[ImageDisk]]:
    """The disks of each image, in order."""
    found: dict[str, list[ImageDisk]] = {image: [] for image in ids}
    for disk in image_disks.among(tx, "image", ids):
        found[disk.image].append(disk)
    return found


def find(tx: Transaction, account: str, region: str, ids: Iterable[str]) -> Album:
    """Those of these images that there are, the newest first. Raises DatabaseMalformed."""
    looked = [_look_up(tx, "id", {"account": account, "region": region, "id": one}) for one in dict.fromkeys(ids)]
    return _album(tx, [one for found in looked for one in found])


def of_name(tx: Transaction, account: str, region: str, name: str) -> Album:
    """The one image of that name, which is not empty, or none. Raises DatabaseMalformed."""
    return _album(tx, _look_up(tx, "name", {"account": account, "region": region, "name": name}))


@dataclass(frozen=True)
class _Found:
    """An image that was looked up, before its tags are."""

    image: Image
    disks: list[ImageDisk]
    is_used: bool
    has_tags: bool
    is_shared: bool


def _look_up(tx: Transaction, by: str, equal: dict[str, str]) -> list[_Found]:
    """The image whose columns equal these, by an index of them, with its disks; or none."""
    rows = images.kept(tx, f"look up by {by}", _LOOKS[by], equal).fetchall()
    if not rows:
        return []
    image = images.verified(images.read(rows[0][:_WIDTH]), equal)
    disks = [
        image_disks.verified(image_disks.read(row[_WIDTH + 3 : -1]), {"image": image.id}) for row in rows if row[-1]
    ]
    return [_Found(image, disks, *map(bool, rows[0][_WIDTH : _WIDTH + 3]))]


def _looking(by: str) -> Executable:
    """One statement for an image and its disks: a statement takes longer to be sent than to be carried out."""
    where = [images.c[name] == bindparam(name) for name in ("account", "region", by)]
    if by == "name":
        where.append(_has_name)
    joined = images.table.outerjoin(image_disks.table, image_disks.c.image == images.c.id)
    disk = (column for column in image_disks.table.columns)
    has_disk = image_disks.c.image.is_not(None)
    return (
        select(images.table, is_used, _is_tagged, _is_shared, *disk, has_disk)
        .select_from(joined)
        .where(*where)
        .order_by(images.c.id, image_disks.c.position)
    )


_LOOKS: Mapping[str, Callable[[], Executable]] = {by: partial(_looking, by) for by in ("id", "name")}

_WIDTH = len(images.table.columns)


def _album(tx: Transaction, found: Sequence[_Found]) -> Album:
    ordered = sorted(found, key=lambda one: (one.image.created_at, one.image.id), reverse=True)
    return Album(
        images=[one.image for one in ordered],
        disks={one.image.id: one.disks for one in ordered},
        tags={one.image.id: tags.of_one(tx, "image", one.image.id) if one.has_tags else [] for one in ordered},
        used=frozenset(one.image.id for one in ordered if one.is_used),
        shared=frozenset(one.image.id for one in ordered if one.is_shared),
    )


def page(tx: Transaction, conditions: Sequence[Condition], limit: int | None, offset: int) -> Album:
    """Some of the images that meet the conditions, newest first."""
    statement = _seen.where(*conditions).limit(limit).offset(offset)
    # Fetching all rows at once takes half as long as one by one.
    return _page_of(tx, tx.execute(statement).all())


def page_of_statuses(
    tx: Transaction, account: str, region: str, statuses: Sequence[str], *, limit: int, offset: int
) -> Album:
    """As ``page``, of an account's images in a region that have one of these statuses."""
    values = _of_statuses(account, region, statuses) | {"limit": limit, "offset": offset}
    return _page_of(tx, images.kept(tx, f"page of {len(statuses)}", partial(_paging, len(statuses)), values).fetchall())


def count_of_statuses(tx: Transaction, account: str, region: str, statuses: Sequence[str]) -> int:
    """How many there are of them."""
    if len(set(statuses)) == len(ImageStatus):
        return counting.count(tx, images, account=account, region=region)
    values = _of_statuses(account, region, statuses)
    (count,) = images.kept(tx, f"count of {len(statuses)}", partial(_counting, len(statuses)), values).fetchone()
    return int(count)


def _of_statuses(account: str, region: str, statuses: Sequence[str]) -> dict[str, Any]:
    return {"account": account, "region": region} | {f"status_{n}": str(one) for n, one in enumerate(statuses)}


def _have_statuses(count: int) -> list[Condition]:
    equal = [images.c[name] == bindparam(name) for name in ("account", "region")]
    return [*equal, images.c.status.in_([bindparam(f"status_{n}") for n in range(count)])]


def _paging(statuses: int) -> Executable:
    return _seen.where(*_have_statuses(statuses)).limit(bindparam("limit")).offset(bindparam("offset"))


def _counting(statuses: int) -> Executable:
    return select(func.count()).select_from(images.table).where(*_have_statuses(statuses))


def _page_of(tx: Transaction, rows: Iterable[Sequence[Any]]) -> Album:
    found, used, shared = [], set(), set()
    for row in rows:
        image = images.read(row[:-2])
        found.append(image)
        if row[-2]:
            used.add(image.id)
        if row[-1]:
            shared.add(image.id)
    ids = [image.id for image in found]
    return Album(
        images=found,
        disks=disks_of(tx, ids),
        tags=tags.of(tx, "image", ids),
        used=frozenset(used),
        shared=frozenset(shared),
    )


def named(name: str) -> Condition:
    """The condition that an image has the name, in which ``*`` stands for any characters, in any case."""
    if "*" not in name:
        return _has_name & (images.c.name == name)
    return fits(images.c.name, name)


def shared_with(account: str) -> Condition:
    """The condition that the image is another's, who shares it with the account."""
    received = select(image_shares.c.image).where(image_shares.c.account == account)
    return (images.c.account != account) & images.c.id.in_(received)


def is_used_by(account: str) -> Condition:
    """The condition that some instance of the account was made of the image."""
    matching = select(instances.c.id).where(instances.c.image == images.c.id, instances.c.account == account)
    return exists(matching.correlate(images.table))


def as_received(tx: Transaction, album: Album, account: str) -> Album:
    """The album as *account* may see it: of what others share with it, nothing that is their owners' alone."""
    others = [image.id for image in album.images if image.account != account]
    if not others:
        return album
    kept = [
        image if image.account == account else replace(image, resource_group="", error_message="")
        for image in album.images
    ]
    mine = {row.image for row in tx.execute(_used_among(others, account))}
    return Album(
        images=kept,
        disks={**album.disks, **{one: [_bare(disk) for disk in album.disks[one]] for one in others}},
        tags={**album.tags, **{one: [] for one in others}},
        used=album.used - frozenset(others) | mine,
        shared=album.shared - frozenset(others),
    )


def _bare(disk: ImageDisk) -> ImageDisk:
    """The disk without what it was made of."""
    return replace(disk, snapshot="", bucket="", object="")


def _used_among(ids: Sequence[str], account: str) -> Select[Any]:
    return select(instances.c.image).where(instances.c.image.in_(ids), instances.c.account == account).distinct()


def made_of(snapshot: str) -> Condition:
    """The condition that a disk of the image is made of the snapshot."""
    matching = select(image_disks.c.image).where(image_disks.c.image == images.c.id, image_disks.c.snapshot == snapshot)
    return exists(matching.correlate(images.table))


def is_name_taken(tx: Transaction, account: str, region: str, name: str) -> bool:
    """Whether the account has an image of that name in the region."""
    equal = {"account": account, "region": region, "name": name}
    return images.kept(tx, "has name", lambda: _with_name, equal).fetchone() is not None


def remove(tx: Transaction, image: str) -> None:
    """Remove an image, its disks, its tags, and that it is shared. What its disks were made of stays."""
    image_disks.delete(tx, image=image)
    image_shares.delete(tx, image=image)
    tags.drop(tx, "image", image)
    images.delete(tx, id=image)


def publish(tx: Transaction, image: str) -> bool:
    """Make a Creating image Available; False when it is not Creating any more."""
    return images.move(tx, ImageStatus.CREATING, ImageStatus.AVAILABLE, {"progress": _DONE}, id=image)


def published(image: Image) -> Image:
    """The row of an image that is Available when it is first written."""
    return replace(image, status=ImageStatus.AVAILABLE, progress=_DONE)


def fail(tx: Transaction, image: str, code: str, message: str) -> bool:
    """Make a Creating image CreateFailed, with the reason."""
    changes = {"error_code": code, "error_message": message}
    return images.move(tx, ImageStatus.CREATING, ImageStatus.CREATE_FAILED, changes, id=image)


def count_families(tx: Transaction, account: str, region: str) -> int:
    """How many families the account's images in the region have."""
    statement = select(func.count(images.c.family.distinct())).where(
        images.c.account == account, images.c.region == region, images.c.family != ""
    )
    return int(tx.execute(statement).scalar_one())
