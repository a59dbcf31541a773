"""Images: one file for each operation, and what they are built of in parts/."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import ECS
from kiln.operations.images.cancel_copy_image import cancel_copy_image
from kiln.operations.images.copy_image import copy_image
from kiln.operations.images.create_image import create_image
from kiln.operations.images.delete_image import delete_image
from kiln.operations.images.describe_image_from_family import describe_image_from_family
from kiln.operations.images.describe_image_share_permission import describe_image_share_permission
from kiln.operations.images.describe_image_support_instance_types import describe_image_support_instance_types
from kiln.operations.images.describe_images import describe_images
from kiln.operations.images.export_image import export_image
from kiln.operations.images.import_image import import_image
from kiln.operations.images.modify_image_attribute import modify_image_attribute
from kiln.operations.images.modify_image_share_permission import modify_image_share_permission

PRODUCT = ECS

#: In the order of the reference.
OPERATIONS: tuple[Operation[Any, Any, Any], ...] = (
    create_image,
    describe_images,
    modify_image_attribute,
    delete_image,
    copy_image,
    cancel_copy_image,
    import_image,
    export_image,
    modify_image_share_permission,
    describe_image_share_permission,
    describe_image_from_family,
    describe_image_support_instance_types,
)
