"""What each client reads from its environment to find this machine's Kiln: the proxy, and whom to trust.

A client that is told no endpoint asks names of the cloud, and so is led here by
a proxy. Programs spell its variables in either case, and one that is set
already in the other would win. What goes to Kiln's own address needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

Variables = dict[str, str]


class Place(NamedTuple):
    """Where a Kiln is, and the certificate by which it is known."""

    endpoint: str  #: ``http://HOST:PORT``
    ca: Path


def _by_proxy(place: Place) -> Variables:
    found = {"HTTP_PROXY": place.endpoint, "HTTPS_PROXY": place.endpoint, "NO_PROXY": urlsplit(place.endpoint).hostname}
    return {spelled: value or "" for name, value in found.items() for spelled in (name, name.lower())}


def _of_go(place: Place) -> Variables:
    return {"SSL_CERT_FILE": str(place.ca)}


def _of_packer(place: Place) -> Variables:
    """Packer would ask its makers for a newer one, who are not reached by this proxy."""
    return _by_proxy(place) | _of_go(place) | {"CHECKPOINT_DISABLE": "1"}


def _of_aliyun(place: Place) -> Variables:
    return _by_proxy(place) | _of_go(place)


def _of_python(place: Place) -> Variables:
    """The classic SDK has a variable of its own, and requests another; ssl and urllib have OpenSSL's."""
    names = ("ALIBABA_CLOUD_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    return _by_proxy(place) | dict.fromkeys(names, str(place.ca))


def _of_node(place: Place) -> Variables:
    """Node heeds the proxy from version 24 on, where it is told to."""
    return _by_proxy(place) | {"NODE_EXTRA_CA_CERTS": str(place.ca), "NODE_USE_ENV_PROXY": "1"}


def _of_terraform(place: Place) -> Variables:
    """Its provider takes endpoints one by one, and `terraform init` has to reach the registry: no proxy."""
    address = urlsplit(place.endpoint).netloc
    return {f"{product}_ENDPOINT": address for product in ("ECS", "VPC", "STS", "LOCATION")} | _of_go(place)


#: In the order of their pages.
CLIENTS: Mapping[str, Callable[[Place], Variables]] = {
    "packer": _of_packer,
    "python": _of_python,
    "node": _of_node,
    "terraform": _of_terraform,
    "aliyun": _of_aliyun,
}

#: Commands by which clients are run, beside one that is called as the client is.
_RUN_BY = {"node": "node", "npm": "node", "npx": "node", "aliyun-img-utils": "python", "pip": "python"}


def client_of(command: str) -> str | None:
    """The client that a command runs, as far as its name tells: python of ``/usr/bin/python3.12``."""
    name = Path(command).name
    if name in _RUN_BY:
        return _RUN_BY[name]
    return next((client for client in CLIENTS if name == client or _is_version_of(name, client)), None)


def _is_version_of(name: str, client: str) -> bool:
    return name.startswith(client) and name.removeprefix(client).replace(".", "").isdecimal()


def variables_of(client: str | None, place: Place) -> Variables:
    """What *client* reads beside keys and region; of None what any of them does."""
    if client is not None:
        return CLIENTS[client](place)
    return {name: value for of_one in CLIENTS.values() for name, value in of_one(place).items()}
