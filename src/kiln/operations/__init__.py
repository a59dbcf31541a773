"""Every operation of the service, in the order of the reference pages."""

from __future__ import annotations

from typing import Any

from kiln.declare.operation import Operation
from kiln.operations.disks.attach_disk import attach_disk
from kiln.operations.disks.create_disk import create_disk
from kiln.operations.disks.delete_disk import delete_disk
from kiln.operations.disks.describe_disks import describe_disks
from kiln.operations.disks.detach_disk import detach_disk
from kiln.operations.disks.reset_disk import reset_disk
from kiln.operations.disks.resize_disk import resize_disk
from kiln.operations.images.create_image import create_image
from kiln.operations.images.delete_image import delete_image
from kiln.operations.images.describe_image_from_family import describe_image_from_family
from kiln.operations.images.describe_images import describe_images
from kiln.operations.images.export_image import export_image
from kiln.operations.images.import_image import import_image
from kiln.operations.images.modify_image_attribute import modify_image_attribute
from kiln.operations.instances.create_instance import create_instance
from kiln.operations.instances.delete_instance import delete_instance
from kiln.operations.instances.describe_instance_status import describe_instance_status
from kiln.operations.instances.describe_instances import describe_instances
from kiln.operations.instances.get_instance_console_output import get_instance_console_output
from kiln.operations.instances.modify_instance_attribute import modify_instance_attribute
from kiln.operations.instances.reboot_instance import reboot_instance
from kiln.operations.instances.replace_system_disk import replace_system_disk
from kiln.operations.instances.run_instances import run_instances
from kiln.operations.instances.start_instance import start_instance
from kiln.operations.instances.stop_instance import stop_instance
from kiln.operations.regions.describe_instance_types import describe_instance_types
from kiln.operations.regions.describe_regions import describe_regions
from kiln.operations.regions.describe_zones import describe_zones
from kiln.operations.snapshots.create_snapshot import create_snapshot
from kiln.operations.snapshots.delete_snapshot import delete_snapshot
from kiln.operations.snapshots.describe_snapshots import describe_snapshots
from kiln.operations.tags.add_tags import add_tags
from kiln.operations.tags.list_tag_resources import list_tag_resources
from kiln.operations.tags.tag_resources import tag_resources
from kiln.operations.tags.untag_resources import untag_resources
from kiln.operations.tasks.cancel_task import cancel_task
from kiln.operations.tasks.describe_task_attribute import describe_task_attribute
from kiln.operations.tasks.describe_tasks import describe_tasks

ALL: tuple[Operation[Any, Any, Any], ...] = (
    create_image,
    describe_images,
    modify_image_attribute,
    delete_image,
    import_image,
    export_image,
    describe_image_from_family,
    describe_tasks,
    describe_task_attribute,
    cancel_task,
    create_snapshot,
    describe_snapshots,
    delete_snapshot,
    create_disk,
    describe_disks,
    attach_disk,
    detach_disk,
    delete_disk,
    resize_disk,
    reset_disk,
    run_instances,
    create_instance,
    start_instance,
    stop_instance,
    reboot_instance,
    delete_instance,
    describe_instances,
    describe_instance_status,
    modify_instance_attribute,
    replace_system_disk,
    get_instance_console_output,
    describe_regions,
    describe_zones,
    describe_instance_types,
    tag_resources,
    untag_resources,
    list_tag_resources,
    add_tags,
)

BY_NAME = {operation.name: operation for operation in ALL}
