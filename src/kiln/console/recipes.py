"""The same request by other clients, as text that can be run where ``eval "$(kiln env)"`` has been said.

No secret is in it: who runs it has the keys in the environment.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from kiln.client import signature
from kiln.client.catalogue import Action
from kiln.client.parameters import flatten

_ECS = "Ecs"


class Recipe(NamedTuple):
    """How one client does it: *name* is the client's, and the same in every language."""

    name: str
    text: str


def of_request(action: Action, params: Mapping[str, Any], region: str) -> list[Recipe]:
    """By the command line, by the official SDK for Python where it has the action, and by curl."""
    flat = flatten(action, {**({"RegionId": region} if action.parameter("RegionId") else {}), **params})
    found = [Recipe("kiln", by_kiln(action, flat)), Recipe("curl", by_curl(action, flat))]
    return [*found, Recipe("Python", by_python(action, flat))] if action.product == _ECS else found


def by_kiln(action: Action, flat: Mapping[str, str]) -> str:
    """For a shell."""
    said = (shlex.quote(f"{name}={value}") for name, value in flat.items() if name != "RegionId")
    region = f"--region {flat['RegionId']}" if "RegionId" in flat else ""
    return " ".join(filter(None, ("kiln call", action.name, *said, region)))


def by_python(action: Action, flat: Mapping[str, str]) -> str:
    """For Python, with alibabacloud-ecs20140526."""
    method = re.sub(r"(?<!^)(?=[A-Z])", "_", action.name).lower()
    request = json.dumps(_nested(flat), indent=4, ensure_ascii=False)
    return f"""\
import os

from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config

protocol, _, endpoint = os.environ["KILN_ENDPOINT"].partition("://")
client = Client(
    Config(
        access_key_id=os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"],
        access_key_secret=os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"],
        endpoint=endpoint,
        protocol=protocol,
    )
)
request = models.{action.name}Request().from_map({request})
print(client.{method}(request).body.to_map())
"""


def by_curl(action: Action, flat: Mapping[str, str]) -> str:
    """For a shell with curl and openssl, which signs it as ACS3-HMAC-SHA256."""
    signed = "content-type;host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"
    return f"""\
body={shlex.quote(signature.encode(flat))}
kind=application/x-www-form-urlencoded now=$(date -u +%Y-%m-%dT%H:%M:%SZ) nonce=$(openssl rand -hex 16)
sum() {{ openssl dgst -sha256 -r "$@" | cut -d ' ' -f 1; }}
hash=$(printf %s "$body" | sum)
request=$(printf '%s\\n' POST / '' "content-type:$kind" "host:${{KILN_ENDPOINT#*://}}" x-acs-action:{action.name} \\
  "x-acs-content-sha256:$hash" "x-acs-date:$now" "x-acs-signature-nonce:$nonce" x-acs-version:{action.version} '' \\
  '{signed}' "$hash")
proof=$(printf 'ACS3-HMAC-SHA256\\n%s' "$(printf %s "$request" | sum)" | sum -hmac "$KILN_ACCESS_KEY_SECRET")
curl "$KILN_ENDPOINT/" --data-raw "$body" -H "content-type: $kind" -H "x-acs-action: {action.name}" \\
  -H "x-acs-content-sha256: $hash" -H "x-acs-date: $now" -H "x-acs-signature-nonce: $nonce" \\
  -H "x-acs-version: {action.version}" \\
  -H "authorization: ACS3-HMAC-SHA256 Credential=$KILN_ACCESS_KEY_ID,SignedHeaders={signed},Signature=$proof"
"""


def by_packer(image: str, region: str) -> str:
    """A template of Packer's that bakes another image of this one."""
    builder = {
        "type": "alicloud-ecs",
        "region": region,
        "source_image": image,
        "instance_type": "ecs.t5-lc1m2.small",
        "internet_charge_type": "PayByTraffic",
        "ssh_username": "root",
        "image_name": "baked-1",
    }
    provisioner = {"type": "shell", "inline": ["echo baked >/etc/motd"]}
    return json.dumps({"builders": [builder], "provisioners": [provisioner]}, indent=2)


def _nested(flat: Mapping[str, str]) -> dict[str, Any]:
    """``Tag.1.Key`` as a list of objects, as the SDK's models have it."""
    return {name: _listed(value) for name, value in _tree(flat.items()).items()}


def _tree(pairs: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        *above, last = name.split(".")
        node = found
        for word in above:
            node = node.setdefault(word, {})
        node[last] = value
    return found


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(one) for name, one in value.items()}
    return list(inner.values()) if all(name.isdecimal() for name in inner) else inner
