"""Gives a place in a network to instances that have none: those of a Kiln that knew no VPCs, and what records lost.

Each gets what RunInstances gives who names nothing: its zone's VSwitch in the
account's default VPC, a free address, the VPC's default security group. The
address of its card stays, by which its guest may know it. An instance is one
transaction, so whoever is killed on the way goes on with the others.
"""

from __future__ import annotations

from dataclasses import replace

from kiln.calls.call import Ports
from kiln.calls.places import free_in
from kiln.ground.journal import Journal
from kiln.operations.steps.default_network import DefaultNetwork
from kiln.operations.steps.network_drafts import new_card
from kiln.store.addresses import NoAddressLeft, free_macs
from kiln.store.database import Transaction
from kiln.store.instances import instances, without_place
from kiln.store.interfaces import NetworkInterface, interfaces, join, primary_of

log = Journal("kiln.upkeep")

_AT_ONCE = 64  #: Instances that are looked for at a time.


def place_all(ports: Ports) -> int:
    """Place every instance that has no place; returns how many were. One for which there is no room is left out."""
    placed, refused = 0, set[str]()
    while True:
        with ports.database.read() as tx:
            found = [one for one in without_place(tx, _AT_ONCE + len(refused)) if one not in refused]
        if not found:
            return placed
        for instance in found:
            try:
                ports.database.write(lambda tx, it=instance: _place(tx, ports, it))  # type: ignore[misc]
                placed += 1
            except NoAddressLeft as error:
                log.warning("instance_has_no_network", instance=instance, reason=f"{error} has no free address")
                refused.add(instance)


def _place(tx: Transaction, ports: Ports, instance_id: str) -> None:
    instance = instances.find(tx, id=instance_id)
    if instance is None:
        return
    network = DefaultNetwork(tx, instance.account, instance.region, ports.clock())
    vswitch = network.vswitch(instance.zone)
    group = network.group(vswitch.vpc)
    (address,) = free_in(tx, vswitch, 1)
    old = primary_of(tx, instance.id) or new_card(instance)
    card = replace(
        old,
        vpc=vswitch.vpc,
        vswitch=vswitch.id,
        private_ip=address,
        mac=old.mac if old.mac and not _is_taken(tx, old) else free_macs(tx, 1)[0],
    )
    network.record()
    interfaces.delete(tx, id=card.id, instance=instance.id)
    interfaces.insert(tx, card)
    join(tx, card, [group.id])


def _is_taken(tx: Transaction, card: NetworkInterface) -> bool:
    """Whether another has the address of the card, as two of an older Kiln may have had by chance."""
    return any(one.id != card.id and one.vswitch for one in interfaces.all(tx, mac=card.mac))
