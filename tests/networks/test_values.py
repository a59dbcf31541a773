"""Values refuse what no network can have, by the name of the field."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kiln.networks import records
from kiln.networks.errors import NetworkInvalid
from kiln.networks.values import Far, Interface, PublicAddress, Rule, Tunnel, Vpc, VSwitch, ports_of
from tests.networks.places import group, interface, opened, place

RULE = Rule(direction="ingress", protocol="tcp", ports=(1, 2))
CARD = interface(1)
WHOLE = place(CARD, interface(2), groups=[group("sg-1", *opened(22, 80))], public={"eni-1": "127.64.0.9"})
FAR = Far(id="eni-9", address="172.16.1.99", groups=("sg-1",), end="10.0.0.2:4789")
TUNNEL = Tunnel(number=7, end="10.0.0.1:4789", mtu=1450, far=(FAR,))
JOINED = replace(WHOLE, tunnel=TUNNEL)
#: A cable is laid here to one that another host carries.
GOING = interface(3)
LAID = replace(
    WHOLE,
    laid=(GOING,),
    tunnel=replace(TUNNEL, far=(FAR, replace(FAR, id=GOING.id, address=GOING.address))),
)


@pytest.mark.parametrize(
    ("value", "field", "wrong"),
    [
        *[(Vpc(id="v", cidr="10.0.0.0/8"), "cidr", one) for one in (
            "10.0.0.0", "10.0.0.1/8", "10.0.0.0/7", "10.0.0.0/29", "::/64", "127.0.0.0/16", "100.64.0.0/12",
            "169.254.0.0/16", "224.0.0.0/8", "0.0.0.0/8", "10.0.0.0/255.0.0.0", "", "/", "10.0.0.0/ 8", "10.0.0.0/-1",
        )],
        *[(Vpc(id="v", cidr="10.0.0.0/8"), "id", one) for one in ("", "../x", "a/b", "a b", "x" * 65, ".")],
        *[(VSwitch(id="v", cidr="10.0.0.0/24"), "cidr", one) for one in ("10.0.0.0/15", "10.0.0.0/30", "x")],
        *[(RULE, "ports", one) for one in ((0, 1), (2, 1), (1, 65536), (-1, 5), (-5, -1))],
        *[(RULE, "priority", one) for one in (0, 101, True, "1", 1.0)],
        *[(RULE, "protocol", one) for one in ("TCP", "sctp", "")],
        (RULE, "direction", "both"),
        (RULE, "policy", "reject"),
        *[(RULE, "peer", one) for one in ("10.0.0.1/8", "sg/1", "", "10.0.0.0/33")],
        (replace(RULE, protocol="icmp", ports=(-1, -1)), "ports", (1, 2)),
        *[(CARD, "mac", one) for one in ("00:16:3E:00:00:01", "01:16:3e:00:00:01", "00163e000001", "")],
        *[(CARD, "address", one) for one in ("172.16.1", "::1", "172.16.1.5/24")],
        *[(CARD, "groups", one) for one in ((), ("a", "a"), tuple(f"g{n}" for n in range(17)))],
        *[(WHOLE, "revision", one) for one in (-1, True, "1")],
        *[(WHOLE, "interfaces", (replace(CARD, address=one),)) for one in (
            "172.16.1.0", "172.16.1.253", "172.16.1.255", "172.16.2.5", "10.0.0.1",
        )],
        (WHOLE, "interfaces", (CARD, replace(CARD, id="eni-2"))),
        (WHOLE, "interfaces", (replace(CARD, groups=("sg-9",)),)),
        (WHOLE, "interfaces", (replace(CARD, vswitch="vsw-9"),)),
        (WHOLE, "vswitches", (*WHOLE.vswitches, VSwitch(id="vsw-3", cidr="172.16.1.128/25"))),
        (WHOLE, "vswitches", (*WHOLE.vswitches, VSwitch(id="vsw-3", cidr="172.17.1.0/24"))),
        (WHOLE, "addresses", (PublicAddress(address="127.64.0.9", interface="eni-9"),)),
        *[(FAR, "end", one) for one in ("10.0.0.2", "10.0.0.2:80", "10.0.0.2:4800", "host:4789", ":4789", "::1:4789")],
        *[(TUNNEL, "number", one) for one in (0, 1 << 24, True, "1")],
        *[(TUNNEL, "mtu", one) for one in (575, 1501, "1450")],
        (TUNNEL, "far", (replace(FAR, end=TUNNEL.end),)),
    ],
)  # fmt: skip
def test_refuses_what_no_network_can_have(value, field, wrong):
    with pytest.raises(NetworkInvalid) as refused:
        replace(value, **{field: wrong})

    assert refused.value.field == field


def test_the_gateway_is_the_last_address_but_two():
    switch = VSwitch(id="v", cidr="172.16.1.0/29")

    assert str(switch.gateway) == "172.16.1.5"
    assert [str(one) for one in switch.addresses()] == [f"172.16.1.{n}" for n in range(1, 5)]
    assert all(switch.has(one) for one in switch.addresses())


def test_ports_are_two_numbers():
    assert ports_of("80/443") == (80, 443)
    assert ports_of("-1/-1") == (-1, -1)
    for wrong in ("80", "80/", "a/b", "1/2/3", "1 / 2", "", "100000/1"):
        with pytest.raises(NetworkInvalid):
            ports_of(wrong)


@pytest.mark.parametrize(
    "wrong", [replace(FAR, address=CARD.address), replace(FAR, groups=("sg-9",)), replace(FAR, address="10.0.0.1")]
)
def test_what_other_hosts_carry_fits_the_rest(wrong):
    with pytest.raises(NetworkInvalid, match=r"^far: "):
        replace(WHOLE, tunnel=replace(TUNNEL, far=(wrong,)))


def test_a_cable_that_is_laid_is_of_no_interface_that_is_carried():
    with pytest.raises(NetworkInvalid, match=r"^interfaces: "):
        replace(WHOLE, laid=(CARD,))


@pytest.mark.parametrize("written", [WHOLE, JOINED, LAID], ids=["alone", "joined", "laid"])
def test_a_place_is_read_as_it_was_written(written):
    assert records.from_text(records.to_text(written)) == written


def test_a_place_of_before_there_were_tunnels_is_read():
    said = json.loads(records.to_text(WHOLE)) | {"version": 1}
    del said["tunnel"]

    assert records.from_text(json.dumps(said)) == WHOLE


def test_a_place_of_before_guests_moved_is_read():
    said = json.loads(records.to_text(JOINED))
    del said["laid"]

    assert records.from_text(json.dumps(said)) == JOINED


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b"null", b'{"version": 3}', b"\xff", b"[" * 100_000,
     json.dumps(json.loads(records.to_text(WHOLE)) | {"interfaces": [{}]}).encode(),
     json.dumps(json.loads(records.to_text(WHOLE)) | {"tunnel": {"far": 5}}).encode(),
     json.dumps(json.loads(records.to_text(WHOLE)) | {"laid": [5]}).encode(),
     json.dumps(json.loads(records.to_text(WHOLE)) | {"vpc": 5}).encode()],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_place_is_refused(text):
    with pytest.raises(NetworkInvalid):
        records.from_text(text)


def test_an_interface_has_the_mac_that_a_socket_is_named_for():
    other = Interface(id=CARD.id, mac="00:16:3e:00:00:77", address=CARD.address, vswitch="vsw-1", groups=("sg-1",))

    assert other.socket != CARD.socket
