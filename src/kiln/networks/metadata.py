"""What an instance is told of itself at 100.100.100.200: a tree of short texts, its user data, and tokens.

Who asks is known by the way the question came, so nothing in it is believed.
Source: https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from kiln.ground.values import dataclass
from kiln.networks.values import Interface, Place

VERSIONS = ("latest", "2016-01-01")
TOKEN = "x-aliyun-ecs-metadata-token"  # noqa: S105 - the name of a header.
TOKEN_TTL = "x-aliyun-ecs-metadata-token-ttl-seconds"  # noqa: S105 - likewise.
LONGEST_TOKEN_S = 21600
_SIGNED_BYTES = 24
_ASKING = ("GET", "HEAD")
_ROLES = ["meta-data", "ram", "security-credentials"]

Tree = Mapping[str, "str | Tree"]


@dataclass(frozen=True)
class Answer:
    """An answer of HTTP."""

    status: int
    body: bytes = b""


@dataclass(frozen=True)
class Role:
    """A role that an instance has."""

    name: str
    new_key: Callable[[], str]  #: Makes a key of it for a while: what clients read of it, in JSON.


@dataclass(frozen=True, kw_only=True)
class Described:
    """What is said of one instance. Empty texts are left out: a listing names nothing that is not there."""

    instance: str
    name: str
    host_name: str
    image: str
    instance_type: str
    region: str
    zone: str
    account: str
    serial_number: str
    public_ip: str = ""
    public_keys: Mapping[str, str] | None = None  #: By name, as ``authorized_keys`` has them.
    user_data: bytes | None = None
    role: Role | None = None
    needs_token: bool = False  #: ``HttpTokens=required``.
    is_closed: bool = False  #: ``HttpEndpoint=disabled``: nothing is told.


def tree_of(described: Described, place: Place, interface: Interface) -> Tree:
    """What is below ``meta-data/``."""
    switch = place.vswitch(interface.vswitch)
    vpc = {
        "vpc-id": place.vpc.id,
        "vpc-cidr-block": place.vpc.cidr,
        "vswitch-id": switch.id,
        "vswitch-cidr-block": switch.cidr,
    }
    card = {
        "network-interface-id": interface.id,
        "netmask": str(switch.network.netmask),
        "gateway": str(switch.gateway),
        "primary-ip-address": interface.address,
        "private-ipv4s": f"[{interface.address}]",
        **vpc,
    }
    tree: dict[str, Any] = {
        "hostname": described.host_name,
        "image-id": described.image,
        "instance": {"instance-name": described.name, "instance-type": described.instance_type},
        "instance-id": described.instance,
        "eipv4": described.public_ip,
        "mac": interface.mac,
        "network": {"interfaces": {"macs": {interface.mac: card}}},
        "network-type": "vpc",
        "owner-account-id": described.account,
        "private-ipv4": interface.address,
        # A number is a folder; the key itself has its name at its end.
        "public-keys": {
            str(number): {"openssh-key": key} for number, key in enumerate((described.public_keys or {}).values())
        },
        "region-id": described.region,
        "serial-number": described.serial_number,
        "zone-id": described.zone,
        **vpc,
    }
    return {name: value for name, value in tree.items() if value}


class Tokens:
    """Tokens that need no memory: a time, signed for the interface that it was asked by. *key* is a secret."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, asker: str, until: float) -> str:
        """One that *asker* may use until then (seconds since 1970)."""
        packed = int(until).to_bytes(8)
        return base64.urlsafe_b64encode(packed + self._signed(asker, packed)).decode()

    def is_valid(self, token: str, asker: str, now: float) -> bool:
        """Whether it was issued to *asker*, and still counts."""
        try:
            said = base64.b64decode(token.encode(), b"-_", validate=True)
        except ValueError:
            return False
        packed, signed = said[:8], said[8:]
        if not hmac.compare_digest(signed, self._signed(asker, packed)):
            return False
        return now < int.from_bytes(packed)

    def _signed(self, asker: str, packed: bytes) -> bytes:
        return hmac.digest(self._key, asker.encode() + b"\0" + packed, "sha256")[:_SIGNED_BYTES]


@dataclass(frozen=True)
class Request:
    """What was asked: names of headers are in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]


def answer(request: Request, asker: str, told: tuple[Described, Tree], tokens: Tokens, now: float) -> Answer:
    """The answer to *asker*, an interface by its whole name, of whom *told* is told."""
    described, tree = told
    parts = [part for part in _path(request.path).split("/") if part]
    token = request.headers.get(TOKEN)
    if described.is_closed or (described.needs_token and token is None and request.method in _ASKING):
        return Answer(403)
    if request.method == "PUT":
        return _issued(request, parts, asker, tokens, now)
    if request.method not in _ASKING:
        return Answer(405)
    if token is not None and not tokens.is_valid(token, asker, now):
        return Answer(401)
    if not parts:
        return Answer(200, "\n".join(VERSIONS).encode())
    version, *below = parts
    return _below(below, described, tree) if version in VERSIONS else Answer(404)


def _below(below: list[str], described: Described, tree: Tree) -> Answer:
    dynamic = {"instance-identity": {"document": _document(described, tree)}}
    whole: dict[str, Any] = {"dynamic": dynamic, "meta-data": tree}
    if described.user_data is not None:
        if below == ["user-data"]:
            return Answer(200, described.user_data)
        whole["user-data"] = ""
    if described.role is not None:
        if below == [*_ROLES, described.role.name]:
            return Answer(200, described.role.new_key().encode())
        # Not among "all", which guests keep in files: there the keys would outlive their time.
        whole["meta-data"] = {**tree, "ram": {"security-credentials": {described.role.name: ""}}}
    if below == ["meta-data", "all"]:
        return Answer(200, json.dumps(tree).encode())
    node: Any = whole
    for part in below:
        if not isinstance(node, Mapping) or part not in node:
            return Answer(404)
        node = node[part]
    if isinstance(node, Mapping):
        node = "\n".join(f"{name}/" if isinstance(value, Mapping) else name for name, value in sorted(node.items()))
    return Answer(200, node.encode())


def _document(described: Described, tree: Tree) -> str:
    said = {
        "zone-id": described.zone,
        "serial-number": described.serial_number,
        "instance-id": described.instance,
        "region-id": described.region,
        "private-ipv4": tree["private-ipv4"],
        "owner-account-id": described.account,
        "mac": tree["mac"],
        "image-id": described.image,
        "instance-type": described.instance_type,
    }
    return json.dumps(said)


def _issued(request: Request, parts: list[str], asker: str, tokens: Tokens, now: float) -> Answer:
    if parts != ["latest", "api", "token"]:
        return Answer(404)
    # What went through a proxy may be another's question.
    if "x-forwarded-for" in request.headers:
        return Answer(403)
    seconds = request.headers.get(TOKEN_TTL, "")
    is_number = seconds.isascii() and seconds.isdigit() and len(seconds) <= len(str(LONGEST_TOKEN_S))
    if not is_number or not 1 <= int(seconds) <= LONGEST_TOKEN_S:
        return Answer(400)
    return Answer(200, tokens.issue(asker, now + int(seconds)).encode())


def _path(path: str) -> str:
    return unquote_to_bytes(path.partition("?")[0]).decode(errors="replace")
