"""What every kind of networks promises."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiln.networks.errors import NetworkMissing
from tests.contract.networks import KINDS
from tests.guests import open_reachable
from tests.networks.places import group, interface, opened, place, public

ONE, TWO, FAR = interface(1), interface(2), interface(3, vswitch="vsw-2", groups=("sg-2",))


@pytest.fixture(params=[pytest.param(kind, marks=kind.marks, id=kind.name) for kind in KINDS])
def host(request):
    with open_reachable() as folder:
        made = request.param(folder)
        try:
            yield made
        finally:
            made.close()


def hold(host, **more):
    groups = more.pop("groups", [group("sg-1"), group("sg-2")])
    made = place(*more.pop("interfaces", (ONE, TWO, FAR)), groups=groups, **more)
    host.networks.hold(made)
    return made


def test_members_of_a_group_reach_each_other_and_others_only_where_a_rule_says_so(host):
    host.start(hold(host, groups=[group("sg-1"), group("sg-2", *opened(80))]))

    assert host.reaches("vpc-1", "eni-1", TWO.address, 7000, expected=True) == f"eni-2 {ONE.address}"
    assert host.reaches("vpc-1", "eni-1", TWO.address, 7000, protocol="udp", expected=True) == f"eni-2 {ONE.address}"
    assert host.reaches("vpc-1", "eni-1", FAR.address, 80, expected=True) == f"eni-3 {ONE.address}"
    assert host.reaches("vpc-1", "eni-1", FAR.address, 81, expected=False) is None
    assert host.reaches("vpc-1", "eni-1", FAR.address, 80, protocol="udp", expected=False) is None
    # An answer goes where a beginning may not.
    assert host.reaches("vpc-1", "eni-3", ONE.address, 7000, expected=False) is None


def test_a_change_of_rules_counts_from_then_on(host):
    host.start(hold(host))
    assert host.reaches("vpc-1", "eni-3", ONE.address, 22, expected=False) is None

    hold(host, revision=2, groups=[group("sg-1", *opened(22, peer="sg-2")), group("sg-2")])
    assert host.reaches("vpc-1", "eni-3", ONE.address, 22, expected=True) == f"eni-1 {FAR.address}"

    hold(host, revision=3, groups=[group("sg-1", *opened(22, peer="172.16.1.0/24")), group("sg-2")])
    assert host.reaches("vpc-1", "eni-3", ONE.address, 22, expected=False) is None


def test_the_rule_that_comes_first_decides_and_of_equal_ones_what_drops(host):
    rules = [
        *opened(1001, priority=2), *opened(1001, priority=1, policy="drop"),
        *opened(1002, priority=1), *opened(1002, priority=2, policy="drop"),
        *opened(1003, priority=5), *opened(1003, priority=5, policy="drop"),
        *opened(1004, direction="egress", policy="drop"),
    ]  # fmt: skip
    host.start(hold(host, groups=[group("sg-1", *rules), group("sg-2")]))

    def heard(port, *, expected):
        return host.reaches("vpc-1", "eni-1", TWO.address, port, expected=expected)

    assert [heard(port, expected=False) for port in (1001, 1003, 1004)] == [None] * 3
    assert [heard(port, expected=True) for port in (1002, 1005)] == [f"eni-2 {ONE.address}"] * 2


def test_members_stay_apart_where_inner_access_is_not_accepted(host):
    host.start(hold(host, groups=[group("sg-1", *opened(80), inner=False), group("sg-2")]))

    assert host.reaches("vpc-1", "eni-1", TWO.address, 81, expected=False) is None
    assert host.reaches("vpc-1", "eni-1", TWO.address, 80, expected=True) == f"eni-2 {ONE.address}"


def test_vpcs_with_the_same_addresses_do_not_meet(host):
    everything = [group("sg-1", *opened(80))]
    for vpc, interfaces in (("vpc-1", (ONE,)), ("vpc-2", (ONE, TWO))):
        host.start(hold(host, vpc=vpc, interfaces=interfaces, groups=everything))

    assert host.reaches("vpc-1", "eni-1", TWO.address, 80, expected=False) is None
    assert host.reaches("vpc-2", "eni-1", TWO.address, 80, expected=True) == f"eni-2 {ONE.address}"


def test_an_older_place_changes_nothing(host):
    newer = hold(host, revision=5)
    hold(host, revision=4, interfaces=(ONE,))

    assert host.networks.held("vpc-1") == newer


def test_an_interface_that_is_gone_reaches_nobody_and_has_no_cable(host):
    host.start(hold(host, groups=[group("sg-1", *opened(80)), group("sg-2")]))
    hold(host, revision=2, interfaces=(ONE, FAR))

    assert host.reaches("vpc-1", "eni-1", TWO.address, 80, expected=False) is None
    with pytest.raises(NetworkMissing):
        host.networks.cable("vpc-1", "eni-2", None)


def test_one_whose_cable_is_laid_reaches_nobody_while_it_is_not_carried(host):
    groups = [group("sg-1", *opened(80))]
    host.networks.hold(replace(place(TWO, groups=groups), laid=(ONE,)))
    assert host.networks.cable("vpc-1", "eni-1", None).mac == ONE.mac

    both = place(ONE, TWO, groups=groups, revision=2)
    host.networks.hold(both)
    host.start(both)
    assert host.reaches("vpc-1", "eni-1", TWO.address, 80, expected=True) == f"eni-2 {ONE.address}"

    host.networks.hold(replace(place(TWO, groups=groups, revision=3), laid=(ONE,)))
    assert host.reaches("vpc-1", "eni-2", ONE.address, 80, expected=False) is None

    host.networks.hold(replace(both, revision=4))
    assert host.reaches("vpc-1", "eni-1", TWO.address, 80, expected=True) == f"eni-2 {ONE.address}"


def test_a_vpc_that_was_let_go_is_not_held(host):
    hold(host)
    for _ in range(2):
        host.networks.let_go("vpc-1")

    assert host.networks.held("vpc-1") is None
    assert host.networks.revive() == []
    with pytest.raises(NetworkMissing):
        host.networks.cable("vpc-1", "eni-1", None)


def test_what_is_held_is_found_again(host):
    host.start(hold(host, groups=[group("sg-1"), group("sg-2", *opened(80))]))
    host.again()

    assert host.networks.revive() == []
    assert host.reaches("vpc-1", "eni-1", FAR.address, 80, expected=True) == f"eni-3 {ONE.address}"


def test_a_public_address_leads_to_the_ports_that_are_opened(host):
    groups = [group("sg-1", *opened(2280)), group("sg-2")]
    host.start(hold(host, groups=groups, public={"eni-1": public(1), "eni-2": public(2)}))
    listening = host.networks.listening("vpc-1")

    assert {address: list(ports) for address, ports in listening.items()} == {
        public(1): [2280],
        public(2): [2280],
    }
    assert host.comes_in(public(2), listening[public(2)][2280], 2280) == "eni-2"

    hold(host, revision=2, groups=groups, public={"eni-3": public(2)})
    assert not host.networks.listening("vpc-1").get(public(2))
    assert host.comes_in(public(2), 2280, 2280) == ""


def test_who_asks_for_metadata_is_known_by_the_way_it_came(host):
    for vpc in ("vpc-1", "vpc-2"):
        host.start(hold(host, vpc=vpc, interfaces=(ONE, TWO), groups=[group()]))

    for vpc, name in (("vpc-2", "eni-1"), ("vpc-1", "eni-2")):
        with host.asking(vpc, name) as heard:
            question = host.networks.question(300.0)
            assert (question.vpc, question.interface) == (vpc, name)
            with question.connection as connection:
                connection.settimeout(300)
                assert connection.recv(100) == b"who am I?"
                connection.sendall(f"you are {name}".encode())
        assert heard == [f"you are {name}"]


def test_a_question_waits_for_the_next_kiln(host):
    host.start(hold(host, interfaces=(ONE,), groups=[group()]))
    host.networks.question(0.0)
    host.again()

    with host.asking("vpc-1", "eni-1") as heard:
        question = host.networks.question(300.0)
        with question.connection as connection:
            connection.settimeout(300)
            connection.recv(100)
            connection.sendall(b"here")
    assert heard == ["here"]
