"""Whether this host can carry networks, found out by doing it: no file says which kernels and policies let one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kiln.networks.errors import NetworkError
from kiln.networks.keepers import KeptNetworks
from kiln.networks.values import Group, Interface, Place, Vpc, VSwitch
from kiln.networks.wayout import WayOut

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
    with tempfile.TemporaryDirectory(prefix="kiln-network-") as folder:
        networks = KeptNetworks(Path(folder) / "networks", way_out=way_out)
        try:
            networks.hold(_TRIAL)
        except NetworkError as error:
            return str(error)
        finally:
            networks.let_go(_TRIAL.vpc.id)
    return ""
