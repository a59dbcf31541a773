"""Write a custom image's disks to a bucket, one file for each, flattened: each stands alone.

The task ID is answered at once; DescribeTaskAttribute shows the progress and the
names of the files. The system disk becomes <prefix>_<ImageId>_<TaskId>.<format>,
the data disks have _1, _2 and so on after the task ID; without OSSPrefix the
names begin with the image ID. Blank disks are left out. The files appear
together, when all are whole; CancelTask leaves none. Until then the image can't
be deleted or exported again.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from kiln.buckets.port import BucketClosed, BucketMissing, ObjectMissing, ObjectRefused
from kiln.calls.call import Call, Job
from kiln.declare.errors import ApiError
from kiln.declare.facts import facts
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example, Missing, OneOf, Pattern, Wire
from kiln.declare.shapes import shape
from kiln.declare.states import ImageStatus, TaskStatus
from kiln.ground.killpoints import reach
from kiln.ground.units import GiB
from kiln.ground.values import dataclass
from kiln.operations.errors.images import InvalidImageIdNotFound
from kiln.operations.errors.regions import InvalidRegionIdNotFoundOfTasks
from kiln.operations.errors.tasks import MissingParameterOfTasks
from kiln.operations.images.parts.errors import (
    InvalidImageFormatMalformed,
    InvalidOSSBucketNotFound,
    InvalidOSSNotAuthorized,
)
from kiln.operations.params import ImageId, RegionId, RoleName, TaskId
from kiln.operations.steps import transfer
from kiln.operations.steps.transfer import TARGET_FORMATS, TaskCancelled, Watch
from kiln.pools.errors import Cancelled, PoolClosed, PoolFull
from kiln.store import buckets, images
from kiln.store.images import ImageDisk
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks

_DATA_DISKS_MOST = 4
_DATA_DISK_MOST_GIB = 500
#: Bytes of the largest disk that the format can hold: a VHD's places, and a VMDK's, are of 32 bits.
_FORMATS_MOST = {"vhd": 2040 * GiB, "vmdk": 2048 * GiB}


class InvalidOSSPrefixMalformed(ApiError):
    """OSSPrefix is not 1 to 30 letters and digits."""

    code = "InvalidOSSPrefix.Malformed"
    message = "The specified OSSPrefix format is wrongly formed."


class IncorrectImageStatus(ApiError):
    """The image is not Available."""

    code = "IncorrectImageStatus"
    message = "The specified Image is not available."


class InvalidImageDiskAmountOrSizeTooMany(ApiError):
    """The image has more than four data disks that hold something."""

    code = "InvalidImage.DiskAmountOrSize"
    message = "The image has {amount} data disks with snapshots; at most {limit} can be exported."


class InvalidImageDiskAmountOrSizeTooLarge(ApiError):
    """A data disk of the image has more than 500 GiB, or a disk is larger than the format can hold."""

    code = "InvalidImage.DiskAmountOrSize"
    message = "The diskSize of the image exceeds the maximum size."


class ImageIsExportingAlready(ApiError):
    """An ExportImage of the image is under way."""

    code = "ImageIsExporting"
    status = 403
    message = (
        "The specified Image is being exported. You can use the DescribeTasks API to check the status of existing "
        "tasks."
    )


class ImageNotSupportedEncrypted(ApiError):
    """A disk of the image is encrypted, and the file would not be."""

    code = "ImageNotSupported"
    message = "The specified Image contains encrypted snapshots, do not support export."
    hint = "Export the image that the encrypted one was copied from."


class ExportImageFailed(ApiError):
    """The bucket has no room for the files, is gone or has folders in their place; found in carrying out."""

    code = "ExportImageFailed"
    status = 403
    message = "Exporting image is failed, Please contact the administrator. {reason}."
    hint = "Make room in the bucket, or choose one that is there, and export again."


@shape
class Input:
    region_id: Annotated[RegionId, Missing(MissingParameterOfTasks)]
    image_id: Annotated[ImageId, Missing(MissingParameterOfTasks)]
    oss_bucket: Annotated[
        str,
        Wire("OSSBucket"),
        Missing(MissingParameterOfTasks),
        Example("testbucket"),
        Doc("The bucket that the files are written to."),
    ]
    oss_prefix: Annotated[
        str | None,
        Wire("OSSPrefix"),
        Pattern("[A-Za-z0-9]{1,30}", "1 to 30 letters and digits", "my-prefix", InvalidOSSPrefixMalformed),
        Example("backup"),
        Doc("What the files' names begin with."),
    ] = None
    image_format: Annotated[
        str,
        OneOf(tuple(TARGET_FORMATS), InvalidImageFormatMalformed, any_case=True),
        Doc("The format of the files, which is also the ending of their names."),
    ] = "raw"
    role_name: RoleName | None = None


@shape
class Output:
    region_id: RegionId
    task_id: TaskId


@dataclass(frozen=True, kw_only=True)
class Plan:
    image: str
    region: str
    bucket: str
    prefix: str
    format: str
    layers: tuple[tuple[str, int], ...]  #: Of each disk that holds something: the layer and its size in bytes.


@dataclass(frozen=True, kw_only=True)
class Export:
    """One file that is to be written."""

    object: str
    volume: str
    size_bytes: int = 0  #: Of the disk in it.


@facts()
class Facts:
    bucket: str
    format: str
    disks: tuple[Export, ...]


def check(call: Call, p: Input) -> Plan:
    image = call.the(images.images, p.image_id, p.region_id, InvalidImageIdNotFound)
    if image.status != ImageStatus.AVAILABLE:
        raise IncorrectImageStatus(image_id=image.id, status=image.status)
    if tasks.count(call.tx, resource=image.id, action=call.action, status=TaskStatus.PROCESSING) > 0:
        raise ImageIsExportingAlready(image_id=image.id)
    _check_bucket(call, p.oss_bucket)
    disks = [disk for disk in images.disks_of(call.tx, [image.id])[image.id] if disk.snapshot]
    _check_disks([disk for disk in disks if disk.type == "data"])
    if any(disk.kms_key for disk in disks):
        raise ImageNotSupportedEncrypted(image_id=image.id)
    layers = tuple(_layer(call, disk) for disk in disks)
    most = _FORMATS_MOST.get(p.image_format.lower())
    if most is not None and any(size_bytes > most for _, size_bytes in layers):
        raise InvalidImageDiskAmountOrSizeTooLarge(format=p.image_format, limit_bytes=most)
    return Plan(
        image=image.id,
        region=image.region,
        bucket=p.oss_bucket,
        prefix=f"{p.oss_prefix}_{image.id}" if p.oss_prefix else image.id,
        format=p.image_format.lower(),
        layers=layers,
    )


def commit(call: Call, plan: Plan) -> Output:
    task_id = new_id("task")
    names = [f"{plan.prefix}_{task_id}{f'_{n}' if n else ''}.{plan.format}" for n in range(len(plan.layers))]
    disks = tuple(
        Export(object=name, volume=volume, size_bytes=size_bytes)
        for name, (volume, size_bytes) in zip(names, plan.layers, strict=True)
    )
    remembered = Facts(bucket=plan.bucket, format=plan.format, disks=disks)
    lane = transfer.pick_lane(call)
    buckets.claim(call.tx, plan.bucket, call.account, call.now)
    call.enqueue(plan.image, remembered, region=plan.region, lane=lane, task_id=task_id, listed=True)
    return Output(region_id=plan.region, task_id=task_id)


def carry_out(job: Job[Facts]) -> None:
    bucket, disks = job.facts.bucket, job.facts.disks
    watch = Watch(job, [disk.size_bytes for disk in disks], image=False)
    try:
        # The files become objects on leaving the stack: all, or none when one fails or the task is cancelled.
        with ExitStack() as stored:
            for n, disk in enumerate(disks):
                if not _is_there(job, bucket, disk.object):
                    path = stored.enter_context(job.ports.buckets.stored(bucket, disk.object))
                    _send_out(job, n, path, watch)
            if job.is_cancelled():
                raise TaskCancelled
            reach("export_image.written")
    except Cancelled as e:
        raise TaskCancelled from e
    except PoolFull as e:
        raise ExportImageFailed(reason=f"There is no room left: {e}") from e
    except BucketMissing as e:
        raise ExportImageFailed(reason=f"There is no bucket {e} any more") from e
    except (BucketClosed, PoolClosed) as e:
        raise InvalidOSSNotAuthorized(reason=str(e)) from e
    except ObjectRefused as e:
        raise ExportImageFailed(reason=f"The file can't be written: {e}") from e
    reach("export_image.stored")
    job.write(job.finish)


def _send_out(job: Job[Facts], n: int, path: Path, watch: Watch) -> None:
    disk = job.facts.disks[n]
    target = TARGET_FORMATS[job.facts.format]
    job.ports.pool.send_out(disk.volume, path, target, watch.of(n), watch.is_cancelled)
    reach("export_image.sent_out")


def _is_there(job: Job[Facts], bucket: str, name: str) -> bool:
    """Whether the object was stored before a crash: no other task has its name, and what is there is whole."""
    try:
        return job.ports.buckets.size(bucket, name) > 0
    except ObjectMissing:
        return False


def _check_bucket(call: Call, bucket: str) -> None:
    if not buckets.may_write(call.tx, bucket, call.account):
        raise InvalidOSSNotAuthorized(bucket=bucket)
    try:
        call.ports.buckets.check_writable(bucket)
    except BucketMissing as e:
        raise InvalidOSSBucketNotFound(bucket=bucket) from e
    except BucketClosed as e:
        raise InvalidOSSNotAuthorized(bucket=bucket, reason=str(e)) from e


def _check_disks(data: list[ImageDisk]) -> None:
    if len(data) > _DATA_DISKS_MOST:
        raise InvalidImageDiskAmountOrSizeTooMany(amount=len(data), limit=_DATA_DISKS_MOST)
    if any(disk.size_gib > _DATA_DISK_MOST_GIB for disk in data):
        raise InvalidImageDiskAmountOrSizeTooLarge(limit_gib=_DATA_DISK_MOST_GIB)


def _layer(call: Call, disk: ImageDisk) -> tuple[str, int]:
    snapshot = snapshots.find(call.tx, id=disk.snapshot)
    # A snapshot that an Available image names is accomplished and can't be deleted.
    assert snapshot is not None
    assert snapshot.volume is not None
    return snapshot.volume, snapshot.size_bytes


export_image = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    carry_out=carry_out,
    facts=Facts,
    unknown_region=InvalidRegionIdNotFoundOfTasks,
    errors=(
        InvalidImageIdNotFound,
        IncorrectImageStatus,
        ImageNotSupportedEncrypted,
        ImageIsExportingAlready,
        InvalidOSSBucketNotFound,
        InvalidOSSNotAuthorized,
        InvalidImageDiskAmountOrSizeTooMany,
        InvalidImageDiskAmountOrSizeTooLarge,
        ExportImageFailed,
    ),
)
