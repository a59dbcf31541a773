"""The images that an account may use: its own, and those that others share with it.

All else that is done with an image is done by its owner alone, who is found by
``Call.the``.
"""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.store.images import Image, images
from kiln.store.shares import is_shared_with


def find_usable(call: Call, image_id: str, region: str, missing: type[ApiError]) -> Image:
    """The image of that ID in the region, if the caller may use it. Raises *missing*."""
    image = images.find(call.tx, id=image_id, region=region)
    if image is None or not (image.account == call.account or is_shared_with(call.tx, image_id, call.account)):
        raise missing(image_id=image_id)
    return image
