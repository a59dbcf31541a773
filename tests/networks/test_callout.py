"""Whom the service may call: never its own host by an address that only looks like another's."""

from __future__ import annotations

import json
import subprocess
import sys
from ipaddress import ip_address

import pytest

from kiln.networks.callout import CallsOut
from kiln.networks.errors import NetworkInvalid
from tests.tools import needs

ASK = "import json; from ipaddress import ip_address; from kiln.networks.callout import CallsOut; "

#: In a host that has these, and a route that leads a whole network to itself.
OWN = ("8.8.4.4", "2606:4700::64")
ROUTED = ("9.9.9.77", "2620:fe::77")
OTHERS = ("8.8.8.8", "2606:4700::65")
SET_UP = [
    "link set lo up",
    "address add 8.8.4.4/32 dev lo",
    "address add 2606:4700::64/128 dev lo",
    "route add local 9.9.9.0/24 dev lo",
    "-6 route add local 2620:fe::/48 dev lo",
]


def say(script: str, *before: str) -> object:
    """What a process of its own says in JSON."""
    done = subprocess.run([*before, sys.executable, "-c", script], check=True, capture_output=True, timeout=300)
    return json.loads(done.stdout)


@pytest.mark.slow
def test_lets_nobody_call_this_host_by_its_public_addresses():
    needs("ip", "unshare")
    asked = [*OWN, *ROUTED, *OTHERS]
    set_up = f"import subprocess; [subprocess.run(['ip', *one.split()], check=True) for one in {SET_UP}]; "
    script = f"{set_up}{ASK}print(json.dumps([CallsOut().lets(ip_address(one), 443) for one in {asked}]))"

    found = say(script, "unshare", "--user", "--map-root-user", "--net")

    assert dict(zip(asked, found, strict=True)) == {one: one in OTHERS for one in asked}


@pytest.mark.slow
def test_lets_nobody_call_where_it_cannot_be_asked_whose_an_address_is():
    """Without a file left to open no kernel can be asked."""
    none_left = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0)); "
    judged = "CallsOut().lets(ip_address('8.8.8.8'), 443)"

    assert say(f"{ASK}before = {judged}; {none_left}print(json.dumps([before, {judged}]))") == [True, False]


def test_lets_nobody_send_mail():
    assert not CallsOut().lets(ip_address("8.8.8.8"), 25)
    assert not CallsOut().lets(ip_address("2606:4700::65"), 25)


def test_lets_what_the_operator_names():
    named = CallsOut("10.1.0.0/16,::1/128")

    assert named.lets(ip_address("::1"), 80)
    assert named.lets(ip_address("10.1.2.3"), 80)
    assert not named.lets(ip_address("127.0.0.1"), 80)
    assert not named.lets(ip_address("2606:4700::65"), 443)


@pytest.mark.parametrize("to", ["::1", "::1/129", "fe80::1/64", "fe80::%1/64", "1:2/16", "public,::/x", "10.0.0.1/8"])
def test_refuses_what_names_no_network(to):
    with pytest.raises(NetworkInvalid):
        CallsOut(to)
