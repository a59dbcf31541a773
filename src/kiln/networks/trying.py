"""Whether this host can carry networks, found out by doing it: no file says which kernels and policies let one."""

from __future__ import annotations

import secrets
import tempfile
from dataclasses import replace
from pathlib import Path

from kiln.networks.errors import NetworkError
from kiln.networks.keepers import KeptNetworks
from kiln.networks.values import TRIAL_NUMBERS, Far, Group, Interface, Place, Tunnel, Vpc, VSwitch
from kiln.networks.wayout import WayOut

#: Of a host that there is nowhere, as the address is for documents: RFC 5737.
_FAR_END = "192.0.2.1:4789"
_TRIAL = Place(
    vpc=Vpc(id="vpc-trial", cidr="172.16.0.0/24"),
    revision=1,
    vswitches=(VSwitch(id="vsw-trial", cidr="172.16.0.0/24"),),
    groups=(Group(id="sg-trial"),),
    interfaces=(
        Interface(
            id="eni-trial", mac="00:16:3e:00:00:01", address="172.16.0.1", vswitch="vsw-trial", groups=("sg-trial",)
        ),
    ),
)


def why_not(way_out: WayOut | None = None) -> str:
    """Why no network with that way out can be carried here; empty when one was, which takes some tenths of a second."""
    return _tried(_TRIAL, way_out)


def why_not_joined(end: str, mtu: int) -> str:
    """Why no network of this host can be joined to those of others by a tunnel that ends there; empty when one was."""
    far = Far(id="eni-far", address="172.16.0.2", groups=("sg-trial",), end=_FAR_END)
    tunnel = Tunnel(number=secrets.choice(TRIAL_NUMBERS), end=end, mtu=mtu, far=(far,))
    return _tried(replace(_TRIAL, tunnel=tunnel), None)


def _tried(place: Place, way_out: WayOut | None) -> str:
    with tempfile.TemporaryDirectory(prefix="kiln-network-") as folder:
        networks = KeptNetworks(Path(folder) / "networks", way_out=way_out)
        try:
            networks.hold(place)
        except NetworkError as error:
            return str(error)
        finally:
            networks.let_go(place.vpc.id)
    return ""
