"""Which addresses are a host's own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.tools import needs

SCRIPT = """
import json, subprocess
for one in ("link set lo up", "address add 10.9.0.1 peer 10.9.0.2 dev lo", "address add 2606:4700::64/128 dev lo"):
    subprocess.run(["ip", *one.split()], check=True)
from ipaddress import IPv4Address
from kiln.networks.own_addresses import mtu_of, own_addresses
subprocess.run("ip link add wide mtu 4000 type veth".split(), check=True)
subprocess.run("ip address add 10.8.0.1/24 dev wide".split(), check=True)
sizes = [mtu_of(IPv4Address(one)) for one in ("10.8.0.1", "127.0.0.1", "10.8.0.2")]
print(json.dumps([sorted(map(str, own_addresses())), sizes]))
"""


@pytest.mark.slow
def test_are_those_of_its_interfaces_and_not_those_at_their_far_ends():
    needs("ip", "unshare")

    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", SCRIPT],
        check=True,
        capture_output=True,
        timeout=300,
    )

    told, sizes = json.loads(done.stdout)
    assert told == ["10.8.0.1", "10.9.0.1", "127.0.0.1", "2606:4700::64", "::1"]
    assert sizes == [4000, 65536, None]
