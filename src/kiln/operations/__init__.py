"""Every operation of the service, in the order of the reference pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kiln.declare.operation import Operation
from kiln.declare.products import PRODUCTS, Product
from kiln.operations import (
    assistant,
    audit,
    disks,
    eips,
    endpoints,
    identities,
    images,
    instances,
    key_pairs,
    launch_templates,
    network_interfaces,
    reasons,
    regions,
    resource_groups,
    resources,
    security_groups,
    snapshots,
    tags,
    tasks,
    terminals,
    vpcs,
    vswitches,
    webhooks,
)

GROUPS = (
    *(images, tasks, snapshots, disks, instances, launch_templates, key_pairs, assistant, terminals),
    *(vpcs, vswitches, security_groups, network_interfaces, eips),
    *(regions, tags, resources),
    *(endpoints, identities, resource_groups, audit, reasons, webhooks),
)

ALL: tuple[Operation[Any, Any, Any], ...] = tuple(operation for group in GROUPS for operation in group.OPERATIONS)

CATALOGUE = {key: operation for operation in ALL for key in operation.keys}


def titled(
    operations: Iterable[Operation[Any, Any, Any]] = ALL, products: tuple[Product, ...] = PRODUCTS
) -> dict[str, Operation[Any, Any, Any]]:
    """Operations by what people call them, in the order of the reference: product by product.

    The title is the action's name; ``Vpc:DescribeRegions`` where a product before has an action of that name.
    """
    found: dict[str, Operation[Any, Any, Any]] = {}
    for operation in sorted(operations, key=lambda one: products.index(one.product)):
        title = operation.name if operation.name not in found else f"{operation.product.name}:{operation.name}"
        found[title] = operation
    return found
