"""Where a pool of a Ceph is, and how QEMU comes to it without reading any of Ceph's files."""

from __future__ import annotations

import configparser
import errno
import re
from pathlib import Path
from typing import Any

from kiln.ground.passphrases import Key
from kiln.ground.values import dataclass

_MONITOR = re.compile(r"(?:v2:)?(?P<host>\[[0-9a-fA-F:]+\]|[^\[\]:,/\s]+):(?P<port>[0-9]+)(?:/[0-9]+)?")


@dataclass(frozen=True, kw_only=True)
class Address:
    """A pool of a Ceph, or one of its namespaces, and as whom we come to it."""

    pool: str
    namespace: str = ""
    configuration: Path | None = None  #: Ceph's own file; None: where Ceph looks for it.
    user: str = "admin"

    @property
    def told_by(self) -> str:
        """The file that says where the monitors and the keyring are, for people."""
        return "Ceph's own configuration" if self.configuration is None else str(self.configuration)

    def __str__(self) -> str:
        """As the setting has it."""
        return f"rbd:{self.pool}" + (f"/{self.namespace}" if self.namespace else "")


def found(cluster: Any, address: Address) -> dict[str, Any]:
    """What a block node says of the way to a *cluster* that is connected: see ``Cluster.entrance``."""
    servers, key = monitors(cluster.conf_get("mon_host") or ""), _key(cluster, address)
    if not servers:
        return {} if address.configuration is None else {"conf": str(address.configuration)}
    if key is None:
        return {"server": servers}
    return {"server": servers, "auth-client-required": ["cephx"], "key-secret": Key(f"ceph-{address.user}", key)}


def why_not_in(cluster: Any, address: Address, number: int) -> str | None:
    """Why a *cluster* that was told its configuration let nobody in, by the number that it gave; None: that is unknown.

    Ceph's client says no more than the number, which is the same for a keyring that is not there and for no monitors.
    """
    named = str(cluster.conf_get("mon_host") or "")
    if number == errno.ENOENT and not named:
        return f"{address.told_by} names no monitors (mon_host)"
    if number in (errno.ENOENT, errno.EIO):
        what = "is not there" if number == errno.ENOENT else "cannot be understood"
        return f"the keyring with the key of client.{address.user} {what} ({cluster.conf_get('keyring')})"
    if number in (errno.EACCES, errno.EPERM):
        return f"the monitors ({named}) do not take the key of client.{address.user}, or there is none of it"
    if number == errno.ETIMEDOUT:
        return f"none of the monitors answers ({named})"
    return None


def monitors(text: str) -> list[dict[str, str]]:
    """The monitors that Ceph's ``mon_host`` names with their ports, by the newer protocol where it has both.

    None where one of them is named in another way, such as by a name without a port.
    """
    servers = []
    for group in re.findall(r"\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]|[^,;\s\[\]]+", text):
        choices = group.removeprefix("[").removesuffix("]").split(",")
        chosen = next((one for one in choices if one.startswith("v2:")), choices[0])
        one = _MONITOR.fullmatch(chosen.strip())
        if one is None:
            return []
        servers.append({"host": one["host"].strip("[]"), "port": one["port"]})
    return servers


def _key(cluster: Any, address: Address) -> str | None:
    """The user's key, of Ceph's configuration or the first keyring that has it; None where there is none or no need."""
    if cluster.conf_get("auth_client_required") == "none":
        return None
    if key := cluster.conf_get("key"):
        return str(key)
    for path in re.split(r"[,;\s]+", cluster.conf_get("keyring") or ""):
        keyring = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            keyring.read(path)
        except configparser.Error:
            continue
        if key := keyring.get(f"client.{address.user}", "key", fallback=""):
            return key
    return None
