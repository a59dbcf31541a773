"""Delete a custom image. The snapshots that it was made of stay.

They are free the moment that this answers: DeleteSnapshot may follow at once.
Instances made of the image go on running; it takes Force to delete an image
that has some. An image that is still Creating may be deleted too: the
snapshots that CreateImage is taking are finished and stay. While an ImportImage
or ExportImage of the image is under way it can't be deleted, by force or not;
CancelTask ends those. Neither can a copy that is still Creating, which
CancelCopyImage ends, nor an image that is shared. Copies of the image, and what
it is a copy of, stay as they are.

For seven days an image that was deleted may be deleted again, so that a request
which is repeated because its answer was lost succeeds. An ID that never was one
of the account's images is an error.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc
from kiln.declare.shapes import shape
from kiln.declare.states import ImageStatus, TaskStatus
from kiln.ground.values import dataclass
from kiln.operations.errors.images import InvalidImageIdNotFound
from kiln.operations.params import ImageId, NothingMore, RegionId
from kiln.operations.steps import tombs
from kiln.store import images
from kiln.store.images import Image
from kiln.store.instances import instances
from kiln.store.shares import image_shares
from kiln.store.tasks import tasks
from kiln.store.tokens import Token, tokens


class ImageUsingByInstance(ApiError):
    """Instances were made of the image, and Force was not given."""

    code = "ImageUsingByInstance"
    status = 403
    message = (
        "The specified image has been used to create instances. You can use the DescribeInstances API to query these "
        "instances, or you can use the force parameter to proceed."
    )
    hint = "`kiln image delete IMAGE --force` deletes it; the instances go on."


class ImageIsImporting(ApiError):
    """The image's ImportImage is under way."""

    code = "ImageIsImporting"
    status = 403
    message = "The specified Image is importing."
    hint = "`kiln task cancel TASK` stops the import and removes the image."


class ImageIsExporting(ApiError):
    """An ExportImage of the image is under way."""

    code = "ImageIsExporting"
    status = 403
    message = (
        "The specified image is currently being exported. You can use the DescribeTasks API to check the status of "
        "related tasks and cancel them if needed."
    )


class ImageUseShared(ApiError):
    """The image is shared with other accounts."""

    code = "ImageUseShared"
    status = 403
    message = (
        "The specified image has been shared to others. You can use the DescribeImageSharePermission API to query the "
        "users who have been shared."
    )
    hint = "`kiln image unshare IMAGE ACCOUNT` takes it back; instances that were made of it go on."


class OperationDeniedImageCopying(ApiError):
    """The image is a copy that is still Creating."""

    code = "OperationDenied.ImageCopying"
    status = 403
    message = "The image is being copied. Please use the CancelCopyImage API."


@shape
class Input:
    region_id: RegionId
    image_id: ImageId
    force: Annotated[bool, Doc("Delete the image even though instances were made of it.")] = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    image: str
    found: Image | None  #: None when it was deleted before.


def check(call: Call, p: Input) -> Plan:
    image = images.images.find(call.tx, id=p.image_id, account=call.account, region=p.region_id)
    if image is None:
        if tokens.find(call.tx, account=call.account, action=call.action, token=p.image_id) is None:
            raise InvalidImageIdNotFound(image_id=p.image_id)
        return Plan(image=p.image_id, found=None)
    under_way = {task.action for task in tasks.all(call.tx, resource=image.id, status=TaskStatus.PROCESSING)}
    if "ImportImage" in under_way:
        raise ImageIsImporting(image_id=image.id)
    if "ExportImage" in under_way:
        raise ImageIsExporting(image_id=image.id)
    if image.is_copy and image.status == ImageStatus.CREATING:
        raise OperationDeniedImageCopying(image_id=image.id)
    if image_shares.count(call.tx, image=image.id) > 0:
        raise ImageUseShared(image_id=image.id)
    if not p.force and instances.count(call.tx, image=image.id, account=call.account) > 0:
        raise ImageUsingByInstance(image_id=image.id)
    return Plan(image=image.id, found=image)


def commit(call: Call, plan: Plan) -> NothingMore:
    if plan.found is not None:
        tombs.keep_image(call.tx, call.ports, plan.found)
        images.remove(call.tx, plan.image)
        # The operation takes no ClientToken; the image's own ID is as good as one.
        done = Token(
            account=call.account,
            action=call.action,
            token=plan.image,
            digest="",
            answer="{}",
            created_at=call.now,
        )
        tokens.insert(call.tx, done)
    return NothingMore()


delete_image = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    gives_back=True,
    errors=(
        InvalidImageIdNotFound,
        ImageIsImporting,
        ImageIsExporting,
        OperationDeniedImageCopying,
        ImageUseShared,
        ImageUsingByInstance,
    ),
)
