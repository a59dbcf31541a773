"""Instances that have no place in a network are given one, once."""

from __future__ import annotations

import pytest

from kiln.store import documents
from kiln.store.instances import instances
from kiln.store.interfaces import interface_id, interfaces, memberships
from kiln.store.security_groups import security_groups
from kiln.store.vpcs import vpcs
from kiln.store.vswitches import vswitches
from kiln.upkeep.placing import place_all
from tests.clouds import OTHER
from tests.dying import Killed, dying
from tests.nets import the_default_vpc, unplug
from tests.reading import every, the
from tests.stock import an_instance


def an_old_one(cloud, mac="00:16:3e:00:00:01", **more):
    """An instance as a migration leaves it: with a card, and nowhere."""
    instance = an_instance(cloud, **more)
    cloud.ports.database.write(lambda tx: unplug(tx, instance.id, mac))
    return instance.id


def test_gives_a_place_and_leaves_the_card(cloud):
    instance = an_old_one(cloud)

    assert place_all(cloud.ports) == 1

    card = the(cloud, interfaces, instance=instance)
    switch = the(cloud, vswitches, id=card.vswitch)
    assert (card.mac, card.vpc, card.id) == ("00:16:3e:00:00:01", switch.vpc, interface_id(instance))
    assert card.private_ip.startswith("172.31.")
    assert the(cloud, memberships, instance=instance).security_group == the(cloud, security_groups).id


def test_gives_it_once(cloud):
    instance = an_old_one(cloud)
    place_all(cloud.ports)
    before = the(cloud, interfaces, instance=instance)

    assert place_all(cloud.ports) == 0

    assert the(cloud, interfaces, instance=instance) == before


def test_gives_each_account_its_own(cloud):
    one, other = an_old_one(cloud), an_old_one(cloud, mac="00:16:3e:00:00:02", account=OTHER)

    place_all(cloud.ports)

    assert the(cloud, interfaces, instance=one).vpc != the(cloud, interfaces, instance=other).vpc
    assert len(every(cloud, vpcs)) == 2


def test_gives_another_card_where_two_have_one(cloud):
    one, other = an_old_one(cloud), an_old_one(cloud)

    place_all(cloud.ports)

    macs = {the(cloud, interfaces, instance=instance).mac for instance in (one, other)}
    assert len(macs) == 2
    assert "00:16:3e:00:00:01" in macs


def test_gives_a_card_to_what_has_none(cloud):
    instance = an_instance(cloud).id
    cloud.ports.database.write(lambda tx: interfaces.delete(tx, instance=instance))
    cloud.ports.database.write(lambda tx: memberships.delete(tx, instance=instance))

    assert place_all(cloud.ports) == 1

    assert the(cloud, interfaces, instance=instance).mac.startswith("00:16:3e:")


def test_goes_on_where_it_was_killed(cloud):
    ids = [an_old_one(cloud, mac=f"00:16:3e:00:00:0{n}") for n in range(3)]
    left = iter(range(2))

    with dying(lambda point: point.startswith("database.") and next(left, None) is None), pytest.raises(Killed):
        place_all(cloud.ports)

    place_all(cloud.ports)

    assert all(the(cloud, interfaces, instance=one).vswitch for one in ids)
    assert len({the(cloud, interfaces, instance=one).private_ip for one in ids}) == 3
    assert len(every(cloud, vpcs)) == len(every(cloud, vswitches)) == 1


def test_leaves_out_what_there_is_no_room_for(cloud):
    full = an_old_one(cloud)
    vpc = the_default_vpc(cloud)
    cloud.ports.database.write(lambda tx: vswitches.update(tx, {"cidr": vpc.cidr, "is_default": False}, vpc=vpc.id))
    theirs = an_old_one(cloud, mac="00:16:3e:00:00:02", account=OTHER)

    assert place_all(cloud.ports) == 1

    assert the(cloud, interfaces, instance=theirs).vswitch
    assert not the(cloud, interfaces, instance=full).vswitch


def test_places_what_an_older_record_brings_back(cloud):
    instance = an_instance(cloud, name="old").id
    with cloud.ports.database.read() as tx:
        said = dict(documents.document(tx, "instance", instance))
    for name in ("interfaces", "groups"):
        del said[name]
    said |= {"mac": "52:54:00:00:00:07", "private_ip": "172.16.0.9", "vswitch": "", "vpc": "", "security_groups": ""}

    cloud.ports.database.write(lambda tx: documents.restore(tx, "instance", instance, said))
    place_all(cloud.ports)

    card = the(cloud, interfaces, instance=instance)
    assert (card.mac, bool(card.vswitch)) == ("52:54:00:00:00:07", True)
    assert the(cloud, instances, id=instance).name == "old"
