"""How instances look in answers, with all that other rows tell of them."""

from __future__ import annotations

from collections.abc import Sequence

from kiln.calls.call import Call
from kiln.operations.instances.parts.portrait import InstanceOutput, Network, draw
from kiln.store import eips, interfaces, tags
from kiln.store.instances import Instance, busy_with


def draw_all(call: Call, found: Sequence[Instance]) -> tuple[InstanceOutput, ...]:
    """The answers' view of the instances, in their order."""
    ids = [instance.id for instance in found]
    labels = tags.of(call.tx, "instance", ids)
    replacing = busy_with(call.tx, "ReplaceSystemDisk", ids)
    cards, groups = interfaces.primaries_of(call.tx, ids), interfaces.groups_of(call.tx, ids)
    elastic = eips.of_instances(call.tx, ids)
    return tuple(
        draw(
            instance,
            call.deployment.instance_type(instance.instance_type),
            labels[instance.id],
            Network(card=cards.get(instance.id), groups=groups[instance.id], eip=elastic.get(instance.id)),
            is_replacing=instance.id in replacing,
        )
        for instance in found
    )
