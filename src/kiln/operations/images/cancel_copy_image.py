"""Cancel the copying of an image that is still Creating. RegionId is that of the copy.

The copy is gone with the answer, with its snapshots, its tags and all that it
was shared with; a snapshot of which another image was made already stays. So
does the source. A copy that is Available stays too, and is an error;
DeleteImage deletes it.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc
from kiln.declare.shapes import shape
from kiln.declare.states import ImageStatus, TaskStatus
from kiln.operations.errors.images import InvalidImageIdNotFound
from kiln.operations.errors.regions import InvalidRegionIdNotFoundSpecified
from kiln.operations.params import ImageId, NothingMore, RegionId
from kiln.operations.steps import copying
from kiln.operations.steps.transfer import TaskCancelled
from kiln.store import images
from kiln.store.images import Image
from kiln.store.snapshots import stood_on
from kiln.store.tasks import fail, tasks


class ImageCreatedNotFromCopy(ApiError):
    """CopyImage did not make the image."""

    code = "ImageCreatedNotFromCopy"
    message = "The specified image is not the target image of a copy action."


class IncorrectImageStatusCopyFailed(ApiError):
    """The copy is CreateFailed."""

    code = "IncorrectImageStatus"
    message = "The Image copy has been failed."


class IncorrectImageStatusCopyCompleted(ApiError):
    """The copy is complete."""

    code = "IncorrectImageStatus"
    message = "The image copy has completed."
    hint = "`kiln image delete IMAGE` deletes it."


@shape
class Input:
    region_id: Annotated[RegionId, Doc("The region of the copy.")]
    image_id: Annotated[ImageId, Doc("The ID of the copy.")]


def check(call: Call, p: Input) -> Image:
    image = call.the(images.images, p.image_id, p.region_id, InvalidImageIdNotFound)
    if not image.is_copy:
        raise ImageCreatedNotFromCopy(image_id=image.id)
    if image.status == ImageStatus.CREATE_FAILED:
        raise IncorrectImageStatusCopyFailed(image_id=image.id)
    if image.status != ImageStatus.CREATING:
        raise IncorrectImageStatusCopyCompleted(image_id=image.id, status=image.status)
    return image


def commit(call: Call, plan: Image) -> NothingMore:
    # A worker that is at it finds nothing left to change: each of its steps is a move of rows that are gone.
    copies = [disk.snapshot for disk in images.disks_of(call.tx, [plan.id])[plan.id] if disk.snapshot]
    images.remove(call.tx, plan.id)
    # Another image may have been made of one that was accomplished by then, and stands on it.
    kept = stood_on(call.tx, copies)
    copying.remove(call.tx, [copy for copy in copies if copy not in kept])
    for task in tasks.all(call.tx, resource=plan.id, status=TaskStatus.PROCESSING):
        fail(call.tx, task, call.now, TaskCancelled.code, TaskCancelled.message)
    return NothingMore()


cancel_copy_image = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    gives_back=True,
    unknown_region=InvalidRegionIdNotFoundSpecified,
    errors=(
        InvalidImageIdNotFound,
        ImageCreatedNotFromCopy,
        IncorrectImageStatusCopyFailed,
        IncorrectImageStatusCopyCompleted,
    ),
)
