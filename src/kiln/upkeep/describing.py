"""What an instance is told of itself by the metadata service, from its rows."""

from __future__ import annotations

import json

from kiln.calls.call import Ports
from kiln.calls.sessions import Session, new_key, of_instance, to_text
from kiln.ground import base64_text
from kiln.ground.clock import to_seconds_text
from kiln.networks.metadata import Described, Role, Tree, tree_of
from kiln.store.database import Transaction
from kiln.store.instances import Instance, instances, serial_number
from kiln.store.interfaces import interfaces
from kiln.store.key_pairs import key_pairs

_KEY_LASTS_S = 6 * 3600.0  #: As the service's do.


def describe(ports: Ports, vpc: str, interface: str) -> tuple[Described, Tree] | None:
    """Of the instance whose interface it is; None where there is none, or its card is not carried here any more."""
    if ports.plane is None or (place := ports.plane.networks.held(vpc)) is None:
        return None
    card = next((one for one in place.interfaces if one.id == interface), None)
    if card is None:
        return None
    with ports.database.read() as tx:
        found = interfaces.find(tx, id=interface, vpc=vpc)
        instance = None if found is None else instances.find(tx, id=found.instance)
        if instance is None:
            return None
        public = next((one.address for one in place.addresses if one.interface == interface), "")
        described = _described(ports, tx, instance, public)
    return described, tree_of(described, place, card)


def key_of_role(ports: Ports, instance: Instance) -> str:
    """A new key of the instance's role, as clients read it at the metadata service: it signs as the account does."""
    now = ports.clock()
    parent = of_instance(instance.id, instance.ram_role_given)
    session = Session(role=instance.ram_role, name=instance.id, parent=parent, expires_at=now + _KEY_LASTS_S)
    key = new_key(instance.account, session)
    said = {
        "AccessKeyId": key.key_id,
        "AccessKeySecret": key.secret,
        "Expiration": to_seconds_text(session.expires_at),
        "SecurityToken": ports.seal(to_text(key)),
        "LastUpdated": to_seconds_text(now),
        "Code": "Success",
    }
    return json.dumps(said)


def _described(ports: Ports, tx: Transaction, instance: Instance, public_ip: str) -> Described:
    return Described(
        instance=instance.id,
        name=instance.name,
        host_name=instance.host_name,
        image=instance.image,
        instance_type=instance.instance_type,
        region=instance.region,
        zone=instance.zone,
        account=instance.account,
        serial_number=serial_number(instance),
        public_ip=public_ip,
        public_keys=_keys(tx, instance),
        user_data=_user_data(instance.user_data),
        role=Role(instance.ram_role, lambda: key_of_role(ports, instance)) if instance.ram_role else None,
        needs_token=instance.http_tokens == "required",
        is_closed=instance.http_endpoint == "disabled",
    )


def _keys(tx: Transaction, instance: Instance) -> dict[str, str]:
    """The key pair's public key, by its name."""
    pair = key_pairs.find(tx, account=instance.account, region=instance.region, name=instance.key_pair)
    return {} if pair is None else {pair.name: pair.public_key}


def _user_data(kept: str) -> bytes | None:
    """What the caller sent, which is Base64 of it, but where an older Kiln took what is none."""
    if not kept:
        return None
    try:
        return base64_text.read(kept)
    except base64_text.NotBase64:
        return kept.encode()
