"""Disks that come out of a bucket: what ImportImage fetches, and what becomes of it.

The names of the volumes and snapshots are chosen before anything is fetched and
lie in the task's facts, so that a crash at any line leaves nothing that nobody
knows of. Each file is judged before it is read, and its bytes become a layer
whole or not at all; one last transaction makes the layers snapshots and the
image Available.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Annotated, Any, BinaryIO

from kiln.buckets.port import BUCKET_NAME, BucketClosed, BucketMissing, ObjectMissing, ObjectRefused
from kiln.calls.call import Call, Job
from kiln.declare.deployment import DEFAULT_CATEGORY
from kiln.declare.devices import DEVICES
from kiln.declare.errors import ApiError
from kiln.declare.facts import facts
from kiln.declare.ids import new_id
from kiln.declare.rules import Accepted, Alias, Doc, Example, Missing, OneOf, Pattern, Text, Wire
from kiln.declare.shapes import shape
from kiln.declare.states import SnapshotStatus
from kiln.declare.system import NO_SYSTEM
from kiln.ground.killpoints import reach
from kiln.ground.units import to_gib
from kiln.ground.values import dataclass
from kiln.operations.errors.tasks import MissingParameterOfTasks
from kiln.operations.images.parts import drafts
from kiln.operations.images.parts.errors import (
    InvalidImageFormatMalformed,
    InvalidOSSBucketNotFound,
    InvalidOSSNotAuthorized,
)
from kiln.operations.params import given
from kiln.operations.steps import transfer
from kiln.operations.steps.drafts import new_snapshot
from kiln.operations.steps.transfer import SOURCE_FORMATS, TaskCancelled, Watch
from kiln.pools.errors import Cancelled, PoolClosed, PoolFull, SourceRefused, SourceTouched
from kiln.pools.port import SourceFormat
from kiln.store import buckets, images, tasks
from kiln.store.database import Transaction
from kiln.store.images import Image, ImageDisk
from kiln.store.snapshots import Snapshot, snapshots
from kiln.store.volumes import Volume, make_ready, planned, reinstated, volumes

_SIZE_MOST_GIB = 2048
_TRIES = 3  # Of a file whose names or rights change under the reader.


class InvalidOSSBucketMalformed(ApiError):
    """The text can't be the name of a bucket."""

    code = "InvalidOSSBucket.Malformed"
    message = "The specified OSS bucket is wrongly formed."


class InvalidOSSObjectMalformed(ApiError):
    """The text can't be the name of an object, or what lies there is a folder or a link."""

    code = "InvalidOSSObject.Malformed"
    message = "The specified OSS object is wrongly formed."


class InvalidOSSObjectNotFound(ApiError):
    """The bucket has no such object."""

    code = "InvalidOSSObject.NotFound"
    message = "The specified OSS object does not exist in this region."


class InvalidOSSObjectSize(ApiError):
    """The object is empty."""

    code = "InvalidOSSObject.Size"
    message = "The specified OSS object size is zero."
    hint = "Upload the file again: this one ended before its first byte."


class InvalidImageSize(ApiError):
    """DiskImageSize of the system disk is out of range, or a disk in a file is larger than an image may have."""

    code = "InvalidImageSize"
    message = "{reason}"


class InvalidDataDiskSize(ApiError):
    """DiskImageSize of a data disk is out of range."""

    code = "InvalidDataDiskSize"
    message = "The specified DiskDeviceMapping.N.DiskImSize should be in the specified range."


class InvalidImageFormatMalformedSource(ApiError):
    """The file is damaged, hostile or not of the stated format; found while the task is carried out."""

    code = "InvalidImageFormat.Malformed"
    status = 403
    message = "{reason}"
    hint = "`qemu-img info FILE` says what the file is: import it as that, or one that is whole, and delete this image."


class ImportImageFailed(ApiError):
    """The pool has no room for the image, or can't be written; found while the task is carried out."""

    code = "ImportImageFailed"
    status = 403
    message = "Importing image is failed, Please contact the administrator. {reason}."
    hint = "Make room in the pool, or let it be written, and import again."


ERRORS: tuple[type[ApiError], ...] = (
    InvalidOSSBucketNotFound,
    InvalidOSSObjectNotFound,
    InvalidOSSObjectMalformed,
    InvalidOSSObjectSize,
    InvalidOSSNotAuthorized,
    InvalidImageSize,
    InvalidDataDiskSize,
    # Found while the task is carried out; here they are so that clients know what to do about them.
    InvalidImageFormatMalformedSource,
    ImportImageFailed,
)


@shape
class DiskDeviceMapping:
    """One disk of the new image."""

    oss_bucket: Annotated[
        str,
        Wire("OSSBucket"),
        Missing(MissingParameterOfTasks),
        Pattern(
            BUCKET_NAME,
            "1 to 63 lower-case letters, digits and hyphens, no hyphen first or last",
            "No_Bucket",
            InvalidOSSBucketMalformed,
        ),
        Example("testbucket"),
        Doc("The bucket that the file is in."),
    ]
    oss_object: Annotated[
        str,
        Wire("OSSObject"),
        Missing(MissingParameterOfTasks),
        Text(1, 1023, InvalidOSSObjectMalformed, not_starting=("/", "\\")),
        Example("debian-12.qcow2"),
        Doc("The file's name in the bucket."),
    ]
    format: Annotated[
        str | None,
        OneOf(tuple(SOURCE_FORMATS), InvalidImageFormatMalformed, any_case=True),
        Example("QCOW2"),
        Doc("What the file must be. Found out from the file when it is not given."),
    ] = None
    disk_image_size: Annotated[
        int | None,
        Alias("DiskImSize"),
        Example("40"),
        Doc(
            "GiB of the disk, 1 to 2048. The disk is at least as large as the file says it is, which is the default; "
            "this can make it larger."
        ),
    ] = None
    device: Annotated[
        str | None,
        Accepted("The disks are /dev/xvda, /dev/xvdb and so on, in their order."),
        Doc("Deprecated."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Intake:
    """One disk of the new image, decided."""

    bucket: str
    object: str
    size_bytes: int = 0  #: Of the object.
    stated: SourceFormat | None = None  #: The format that the caller says it has.
    least_gib: int = 0  #: The disk is not to be smaller.
    volume: str
    snapshot: str
    format: str = ""  #: As answers spell it; "" until it is known.

    @property
    def expected_gib(self) -> int:
        """The size to show until the file has been looked into: most files are smaller than the disk in them."""
        return self.grown_to(self.size_bytes)

    def grown_to(self, size_bytes: int) -> int:
        """GiB of the disk when the file holds one of that size."""
        return max(self.least_gib, to_gib(size_bytes))


@facts()
class Intakes:
    """What ImportImage remembers."""

    disks: tuple[Intake, ...]


def choose(call: Call, mappings: Sequence[DiskDeviceMapping]) -> list[Intake]:
    """What is to be fetched, the system disk first, and the names of what it will be. Raises what ERRORS lists."""
    return [_choose(call, n, mapping) for n, mapping in enumerate(mappings)]


def record(call: Call, image: Image, intakes: Sequence[Intake]) -> Intakes:
    """Write the image's disks and the planned volumes; returns the facts that the task needs."""
    for bucket in dict.fromkeys(one.bucket for one in intakes):
        buckets.claim(call.tx, bucket, call.account, call.now)
    images.image_disks.insert(call.tx, *(_to_row(image, n, one) for n, one in enumerate(intakes)))
    volumes.insert(call.tx, *(_to_volume(image, one) for one in intakes))
    return Intakes(disks=tuple(intakes))


def bring_in(job: Job[Intakes]) -> None:
    """Make every volume. Raises what ERRORS lists, ImportImageFailed or TaskCancelled."""
    intakes = job.facts.disks
    watch = Watch(job, [one.size_bytes for one in intakes], image=True)
    for n in range(len(intakes)):
        if watch.is_cancelled():
            raise TaskCancelled
        with _in_the_callers_words():
            _bring_in(job, n, watch)
        reach("intake.brought_in")


def publish(job: Job[Intakes]) -> None:
    """Record that the layers are snapshots, the image Available and the task done. Raises TaskCancelled."""
    pool = job.ports.pool
    sizes = [(pool.size(one.volume), pool.length(one.volume)) for one in job.facts.disks]
    job.write(lambda tx: _publish(tx, job, sizes))
    reach("intake.published")


def take_back(job: Job[Intakes], error: ApiError) -> None:
    """Record that there is no image, or a CreateFailed one; the sweeper takes the volumes away."""

    def record(tx: Transaction) -> None:
        # Whoever published the image has ended the task too, and then its volumes are to stay.
        if not tasks.fail(tx, job.task, job.ports.clock(), error.code, str(error)):
            return
        for one in job.facts.disks:
            volumes.update(tx, {"state": "doomed", "task": None}, id=one.volume)
        if isinstance(error, TaskCancelled):
            images.remove(tx, job.task.resource)
        else:
            images.fail(tx, job.task.resource, error.code, str(error))

    reach("intake.refused")
    job.write(record)
    reach("intake.taken_back")


def _choose(call: Call, n: int, mapping: DiskDeviceMapping) -> Intake:
    bucket, name = mapping.oss_bucket, mapping.oss_object
    least_gib = given(mapping.disk_image_size) or 0
    if not 0 <= least_gib <= _SIZE_MOST_GIB:
        if n > 0:
            raise InvalidDataDiskSize(size=least_gib)
        raise InvalidImageSize(reason=f"DiskImageSize {least_gib} is not within 1 and {_SIZE_MOST_GIB} GiB.")
    if not buckets.may_read(call.tx, bucket, call.account):
        raise InvalidOSSNotAuthorized(bucket=bucket)
    with _in_the_callers_words():
        size_bytes = call.ports.buckets.size(bucket, name)
    if size_bytes == 0:
        raise InvalidOSSObjectSize(bucket=bucket, object=name)
    stated = None if mapping.format is None else SOURCE_FORMATS[mapping.format.upper()]
    return Intake(
        bucket=bucket,
        object=name,
        size_bytes=size_bytes,
        stated=stated,
        least_gib=least_gib,
        volume=new_id("volume"),
        snapshot=new_id("snapshot"),
        format="" if stated is None else transfer.wire_format(stated),
    )


def _to_row(image: Image, n: int, one: Intake) -> ImageDisk:
    draft = drafts.new_image_disk(
        image, n, type=_type(n), device=DEVICES[n], size_gib=one.expected_gib, category=DEFAULT_CATEGORY
    )
    return replace(draft, format=one.format, bucket=one.bucket, object=one.object)


def _to_volume(image: Image, one: Intake) -> Volume:
    return planned(one.volume, "layer", None, 0, task=image.task, now=image.created_at)


def _bring_in(job: Job[Intakes], n: int, watch: Watch) -> None:
    """Make the *n*-th volume, unless it was made before a crash."""
    one = job.facts.disks[n]
    if job.ports.pool.exists(one.volume):
        return
    with job.ports.buckets.fetched(one.bucket, one.object) as file:
        for _ in range(_TRIES - 1):
            # Another import of a file that both have by a hard link touches it, and does its bytes no harm.
            with suppress(SourceTouched):
                _copy(job, n, file, watch)
                return
        _copy(job, n, file, watch)


def _copy(job: Job[Intakes], n: int, file: BinaryIO, watch: Watch) -> None:
    """Unpack the open object, if it is packed, inspect what comes out and make the *n*-th volume of it."""
    with job.ports.pool.unpacked(file, watch.is_cancelled) as disk:
        _copy_disk(job, n, disk, watch)


def _copy_disk(job: Job[Intakes], n: int, file: BinaryIO, watch: Watch) -> None:
    pool, one = job.ports.pool, job.facts.disks[n]
    source = pool.inspect(file, one.stated)
    size_gib = to_gib(source.virtual_size)
    if size_gib > _SIZE_MOST_GIB:
        raise InvalidImageSize(reason=f"The disk has {size_gib} GiB; at most {_SIZE_MOST_GIB} GiB are allowed.")
    # Known before the volume is there, since the object may be gone by the time that this is run again.
    known = replace(one, format=transfer.wire_format(source.format))
    job.note(Intakes(disks=(*job.facts.disks[:n], known, *job.facts.disks[n + 1 :])))
    reach("intake.inspected")
    pool.bring_in(file, source, one.volume, watch.of(n), watch.is_cancelled)


def _publish(tx: Transaction, job: Job[Intakes], sizes: Sequence[tuple[int, int]]) -> None:
    """*sizes* are the bytes of each disk and of the file that holds it."""
    if not transfer.is_to_be_ended(tx, job):
        return
    image = images.images.find(tx, id=job.task.resource)
    assert image is not None  # An image that is being imported can't be deleted.
    for n, (one, (size_bytes, file_bytes)) in enumerate(zip(job.facts.disks, sizes, strict=True)):
        size_gib = one.grown_to(size_bytes)
        changes: dict[str, Any] = {"size_gib": size_gib, "snapshot": one.snapshot, "format": one.format}
        images.image_disks.update(tx, changes, image=image.id, position=n)
        if n == 0:
            images.images.update(tx, {"size_gib": size_gib}, id=image.id)
        layer = reinstated(one.volume, "layer", None, size_bytes, now=job.ports.clock())
        make_ready(tx, lambda layer=layer: layer, id=layer.id, size_bytes=size_bytes, file_bytes=file_bytes)  # type: ignore[misc]
        snapshots.insert(tx, _to_snapshot(job, image, n, size_bytes))
    images.publish(tx, image.id)
    job.finish(tx)


def _to_snapshot(job: Job[Intakes], image: Image, n: int, size_bytes: int) -> Snapshot:
    one = job.facts.disks[n]
    draft = new_snapshot(
        account=image.account,
        region=image.region,
        created_at=job.ports.clock(),
        **drafts.labels(image.id, DEVICES[n]),
        disk_type=_type(n),
        disk_size_gib=one.grown_to(size_bytes),
        category=DEFAULT_CATEGORY,
        device=DEVICES[n],
        resource_group=image.resource_group,
        system=image.system if n == 0 else NO_SYSTEM,
    )
    return replace(
        draft,
        id=one.snapshot,
        status=SnapshotStatus.ACCOMPLISHED,
        progress=100,
        volume=one.volume,
        size_bytes=size_bytes,
    )


def _type(n: int) -> str:
    return "data" if n else "system"


@contextmanager
def _in_the_callers_words() -> Iterator[None]:
    """Say what buckets and the pool raise as ImportImage documents it."""
    try:
        yield
    except BucketMissing as e:
        raise InvalidOSSBucketNotFound(bucket=str(e)) from e
    except ObjectMissing as e:
        raise InvalidOSSObjectNotFound(object=str(e)) from e
    except BucketClosed as e:
        raise InvalidOSSNotAuthorized(reason=str(e)) from e
    except ObjectRefused as e:
        raise InvalidOSSObjectMalformed(reason=str(e)) from e
    except SourceRefused as e:
        raise InvalidImageFormatMalformedSource(reason=str(e)) from e
    except PoolFull as e:
        raise ImportImageFailed(reason=f"There is no room left: {e}") from e
    except PoolClosed as e:
        raise ImportImageFailed(reason=f"The pool can't be written: {e}") from e
    except Cancelled as e:
        raise TaskCancelled from e
