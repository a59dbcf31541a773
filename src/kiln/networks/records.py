"""A VPC's place as it is kept in a file and told to a keeper: JSON with a version."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from kiln.ground import strict_json
from kiln.ground.strict_json import Numbers
from kiln.networks.errors import NetworkInvalid
from kiln.networks.values import Far, Group, Interface, Place, PublicAddress, Rule, Tunnel, Vpc, VSwitch

_VERSION = 2
_WITHOUT_TUNNEL = 1  #: Of before VPCs reached across hosts.


def to_text(place: Place) -> str:
    """The place in JSON."""
    return json.dumps({"version": _VERSION, **asdict(place)})


def from_text(text: str | bytes) -> Place:
    """The place of what ``to_text`` wrote. Raises NetworkInvalid of anything else, a newer version among it."""
    try:
        written = text if isinstance(text, str) else text.decode()
        said = strict_json.read(written, Numbers.AS_THEY_ARE, is_bounded=True)
        if said["version"] not in (_WITHOUT_TUNNEL, _VERSION):
            raise NetworkInvalid("version", "written by a newer Kiln")
        return Place(
            vpc=Vpc(**said["vpc"]),
            revision=said["revision"],
            vswitches=tuple(VSwitch(**one) for one in said["vswitches"]),
            groups=tuple(_group(one) for one in said["groups"]),
            interfaces=_interfaces(said["interfaces"]),
            addresses=tuple(PublicAddress(**one) for one in said["addresses"]),
            tunnel=_tunnel(said["tunnel"]) if said["version"] == _VERSION else None,
            laid=_interfaces(said.get("laid", ())),  # Those of before guests moved have none, and need no other.
        )
    except (KeyError, TypeError, AttributeError, RecursionError, ValueError) as error:
        if isinstance(error, NetworkInvalid):
            raise
        raise NetworkInvalid("place", f"cannot be read: {error}") from error


def _interfaces(said: Iterable[dict[str, Any]]) -> tuple[Interface, ...]:
    return tuple(Interface(**one | {"groups": tuple(one["groups"])}) for one in said)


def _tunnel(said: dict[str, Any] | None) -> Tunnel | None:
    if said is None:
        return None
    far = tuple(Far(**one | {"groups": tuple(one["groups"])}) for one in said["far"])
    return Tunnel(**said | {"far": far})


def _group(said: dict[str, Any]) -> Group:
    rules = tuple(Rule(**one | {"ports": tuple(one["ports"])}) for one in said["rules"])
    return Group(**said | {"rules": rules})
