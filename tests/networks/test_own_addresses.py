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
from kiln.networks.own_addresses import own_addresses
print(json.dumps(sorted(map(str, own_addresses()))))
"""


@pytest.mark.slow
def test_are_those_of_its_interfaces_and_not_those_at_their_far_ends():
    needs("ip", "unshare")

    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", SCRIPT],
        check=True,
        capture_output=True,
        timeout=60,
    )

    assert json.loads(done.stdout) == ["10.9.0.1", "127.0.0.1", "2606:4700::64", "::1"]
