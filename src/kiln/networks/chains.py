"""Security groups as nftables' chains, changed in one transaction.

Every change is a new table that is filled first, while nothing goes through it,
and then takes over from the one before in a single step: no packet is judged
by half of the rules. What ``admission`` says in Python is said here to the
kernel, in the same order.

Source: linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network

from kiln.networks.admission import in_order, inner_peers, peers
from kiln.networks.netlink import ACK, APPEND, CREATE, Message, Netlink, attribute, nested, text
from kiln.networks.tunnelling import Mouth
from kiln.networks.values import ALL_PORTS, METADATA_ADDRESS, Group, Place, Rule

_MOST_AT_ONCE = 100  #: Messages of one transaction: more would need a larger buffer than who is not root may have.
_SUBSYSTEM, _BEGIN, _END = 10, 16, 17
_NEW_TABLE, _DEL_TABLE, _NEW_CHAIN, _NEW_RULE, _NEW_SET, _NEW_ELEMENTS = 0, 2, 3, 6, 9, 12
_IPV4 = 2
_INPUT, _FORWARD, _PREROUTING = 1, 2, 0
_DROP, _ACCEPT, _JUMP, _GOTO, _RETURN = 0, 1, -3, -4, -5
_IIF, _OIF, _L4PROTO = 4, 5, 16
_EQUAL, _OTHER, _AT_MOST, _AT_LEAST = 0, 1, 3, 5
_SOURCE, _DESTINATION = 12, 16  #: Where the addresses are in the IPv4 header.
_MAC_SOURCE, _MAC_WORDS, _MAC_BYTES = 6, 8, 6  #: Where it is in the frame; in a register it fills two words.
_WORDS = 8  #: The first of the registers of four bytes.
_MOST_ELEMENTS = 1000  #: Of one message.
_INVALID, _KNOWN = 1, 2 | 4  #: Connection states: established and related.
_BEFORE_TRACKING = -300
_NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47}
_HTTP = 80
_ECHO_REQUEST = 8


class Chains:
    """The firewall of one namespace. Before the first ``set`` nothing is let through, since nothing is routed yet."""

    def __init__(self, netfilter: Netlink) -> None:
        self._netfilter = netfilter
        self._number = 0

    def set(
        self,
        place: Place,
        indexes: Mapping[str, int],
        leaving: frozenset[str] = frozenset(),
        mouth: Mouth | None = None,
    ) -> None:
        """Let through what the groups do, between the interfaces of these *indexes*; some are *leaving* the VPC, too.

        By the *mouth* of its tunnel what is for other hosts goes, as the groups have it of who sends, and comes what
        they send, as the groups have it of whom it is for. Raises OSError.
        """
        before, self._number = f"kiln{self._number}", self._number + 1
        table = _Table(f"kiln{self._number}")
        own, combinations = [], _combinations(place, indexes)
        for number, groups in enumerate(combinations.values()):
            own += _group_chains(table, place, groups, number)
        numbers = {combination: number for number, combination in enumerate(combinations)}
        try:
            self._send([table.made()])
            for start in range(0, len(own), _MOST_AT_ONCE):
                self._send(own[start : start + _MOST_AT_ONCE])
            entries = [
                (indexes[one.id], socket.inet_aton(one.address), numbers[frozenset(one.groups)])
                for one in place.interfaces
                if one.id in indexes
            ]
            rules = [] if mouth is None else _comes(table, mouth)
            rules += _entrances(table, entries, mouth)
            rules += _exits(table, [indexes[one] for one in sorted(leaving & set(indexes))])
            for start in range(0, len(rules), _MOST_AT_ONCE):
                self._send(rules[start : start + _MOST_AT_ONCE])
            gone = [_message(_DEL_TABLE, 0, text(1, before))] if self._number > 1 else []
            self._send([*_hooks(table, IPv4Network(place.vpc.cidr), mouth), *gone])
        except OSError:
            self._number -= 1
            self._withdraw(table)
            raise

    def _send(self, messages: list[Message]) -> None:
        about = struct.pack("!BBH", 0, 0, _SUBSYSTEM)
        self._netfilter.ask(Message(_BEGIN, 0, about), *messages, Message(_END, 0, about))

    def _withdraw(self, table: _Table) -> None:
        try:
            self._send([_message(_DEL_TABLE, 0, text(1, table.name))])
        except OSError:
            return  # It had not even been made.


class _Table:
    """Spells the messages of one table."""

    def __init__(self, name: str) -> None:
        self.name = name

    def made(self) -> Message:
        return _message(_NEW_TABLE, CREATE, text(1, self.name))

    def chain(self, name: str) -> Message:
        return _message(_NEW_CHAIN, CREATE, text(1, self.name), text(3, name))

    def hooked(self, name: str, hook: int, priority: int, policy: int) -> Message:
        where = nested(4, attribute(1, struct.pack("!I", hook)), attribute(2, struct.pack("!i", priority)))
        parts = [text(1, self.name), text(3, name), where, attribute(5, struct.pack("!I", policy)), text(7, "filter")]
        return _message(_NEW_CHAIN, CREATE, *parts)

    def set(self, name: str, key_bytes: int, keys: list[bytes]) -> list[Message]:
        told = [text(1, self.name), text(2, name), _number(3, 0), _number(4, 0), _number(5, key_bytes), _number(10, 1)]
        messages = [_message(_NEW_SET, CREATE, *told)]
        for start in range(0, len(keys), _MOST_ELEMENTS):
            elements = [nested(1, nested(1, attribute(1, key))) for key in keys[start : start + _MOST_ELEMENTS]]
            messages.append(_message(_NEW_ELEMENTS, CREATE, text(1, self.name), text(2, name), nested(3, *elements)))
        return messages

    def rule(self, chain: str, *expressions: bytes) -> Message:
        return _message(_NEW_RULE, CREATE | APPEND, text(1, self.name), text(2, chain), nested(4, *expressions))


def _combinations(place: Place, indexes: Mapping[str, int]) -> dict[frozenset[str], list[Group]]:
    """Those sets of groups that interfaces have: each is a list of rules of its own, since priorities go across."""
    there = (one for one in place.interfaces if one.id in indexes)
    return {frozenset(one.groups): place.groups_of(one) for one in there}


def _group_chains(table: _Table, place: Place, groups: list[Group], number: int) -> list[Message]:
    """``in-N`` ends in a verdict; ``out-N`` drops, or returns for the other side to decide."""
    incoming, outgoing = f"in-{number}", f"out-{number}"
    messages = [table.chain(incoming), table.chain(outgoing)]
    for rule in in_order(groups, "ingress"):
        messages += _spelled(table, incoming, place, rule)
    messages += [
        table.rule(incoming, *_address(_SOURCE, f"{peer}/32"), _verdict(_ACCEPT)) for peer in inner_peers(place, groups)
    ]
    messages.append(table.rule(incoming, _verdict(_DROP)))
    for rule in in_order(groups, "egress"):
        messages += _spelled(table, outgoing, place, rule)
    return messages


def _spelled(table: _Table, chain: str, place: Place, rule: Rule) -> Iterable[Message]:
    peer_at, accepted = (_SOURCE, _ACCEPT) if rule.direction == "ingress" else (_DESTINATION, _RETURN)
    verdict = _verdict(accepted if rule.policy == "accept" else _DROP)
    protocol = [] if rule.protocol == "all" else [_meta(_L4PROTO), _compare(_EQUAL, bytes([_NUMBERS[rule.protocol]]))]
    ports: list[bytes] = []
    if rule.ports != ALL_PORTS:
        first, last = (struct.pack("!H", one) for one in rule.ports)
        ports = [_payload(2, 2, 2), _compare(_AT_LEAST, first), _compare(_AT_MOST, last)]
    for peer in peers(place, rule):
        yield table.rule(chain, *_address(peer_at, peer), *protocol, *ports, verdict)


def _comes(table: _Table, mouth: Mouth) -> list[Message]:
    """The set of what is true of packets that come by a tunnel: the MAC of a host beside an address that it carries."""
    keys = [mac + bytes(_MAC_WORDS - len(mac)) + address for mac, address in sorted(mouth.comes)]
    return table.set("comes", _MAC_WORDS + 4, keys)


def _entrances(table: _Table, entries: list[tuple[int, bytes, int]], mouth: Mouth | None) -> list[Message]:
    """Chains that find an interface's own chains; no hook leads to them yet."""
    messages = [table.chain(name) for name in ("true", "from", "to")]
    if mouth is not None:
        is_it = _compare(_EQUAL, struct.pack("=I", mouth.index))
        is_no = _compare(_OTHER, struct.pack("=I", mouth.index))
        who = [_payload(0, _MAC_SOURCE, _MAC_BYTES, _WORDS), _payload(1, _SOURCE, 4, _WORDS + _MAC_WORDS // 4)]
        messages += [
            table.rule("true", _meta(_IIF), is_it, *who, _found("comes"), _verdict(_RETURN)),
            # What came from another host is for nobody but who is here.
            table.rule("to", _meta(_OIF), is_it, _meta(_IIF), is_no, _verdict(_ACCEPT)),
        ]
    for index, address, number in entries:
        is_from, is_to = _compare(_EQUAL, struct.pack("=I", index)), _compare(_EQUAL, struct.pack("=I", index))
        messages += [
            table.rule(
                "true", _meta(_IIF), is_from, _payload(1, _SOURCE, 4), _compare(_EQUAL, address), _verdict(_RETURN)
            ),
            table.rule("from", _meta(_IIF), is_from, _verdict(_GOTO, f"out-{number}")),
            table.rule("to", _meta(_OIF), is_to, _verdict(_GOTO, f"in-{number}")),
        ]
    # What comes from an interface that is none, or from another's address.
    messages.append(table.rule("true", _verdict(_DROP)))
    return messages


def _exits(table: _Table, indexes: list[int]) -> list[Message]:
    """A chain for what leaves the VPC, which this namespace takes in: from those who may, as the groups have it."""
    messages = [table.chain("leave"), table.chain("beyond")]
    messages += [table.rule("leave", _verdict(_JUMP, "from")), table.rule("leave", _verdict(_ACCEPT))]
    for index in indexes:
        is_from = _compare(_EQUAL, struct.pack("=I", index))
        messages.append(table.rule("beyond", _meta(_IIF), is_from, _verdict(_GOTO, "leave")))
    return messages


def _hooks(table: _Table, vpc: IPv4Network, mouth: Mouth | None) -> list[Message]:
    """All that comes in is true; what goes through is as the groups have it; the rest is for us, or goes beyond.

    What comes by a tunnel is for guests alone.
    """
    not_own = [_meta(_IIF), _compare(_OTHER, struct.pack("=I", 1))]
    metadata = socket.inet_aton(METADATA_ADDRESS)
    tcp, icmp = (_compare(_EQUAL, bytes([_NUMBERS[name]])) for name in ("tcp", "icmp"))
    to = _payload(1, _DESTINATION, 4)
    asks = [to, _compare(_EQUAL, metadata), _meta(_L4PROTO), tcp, _payload(2, 2, 2)]
    is_beyond = [to, _masked(vpc.netmask.packed), _compare(_OTHER, vpc.network_address.packed)]
    is_no_metadata = [to, _compare(_OTHER, metadata)]
    by_tunnel = []
    if mouth is not None:
        is_it = _compare(_EQUAL, struct.pack("=I", mouth.index))
        by_tunnel.append(table.rule("input", _meta(_IIF), is_it, _verdict(_DROP)))
    echo = [_meta(_L4PROTO), icmp, _payload(2, 0, 1), _compare(_EQUAL, bytes([_ECHO_REQUEST]))]
    return [
        table.hooked("prerouting", _PREROUTING, _BEFORE_TRACKING, _ACCEPT),
        table.rule("prerouting", *not_own, _verdict(_JUMP, "true")),
        table.hooked("input", _INPUT, 0, _DROP),
        *by_tunnel,
        table.rule("input", *_state(_KNOWN), _verdict(_ACCEPT)),
        table.rule("input", *asks, _compare(_EQUAL, struct.pack("!H", _HTTP)), _verdict(_ACCEPT)),
        table.rule("input", *echo, _verdict(_ACCEPT)),
        table.rule("input", _meta(_L4PROTO), tcp, *is_beyond, *is_no_metadata, _verdict(_JUMP, "beyond")),
        table.hooked("forward", _FORWARD, 0, _DROP),
        table.rule("forward", *_state(_KNOWN), _verdict(_ACCEPT)),
        table.rule("forward", *_state(_INVALID), _verdict(_DROP)),
        table.rule("forward", _verdict(_JUMP, "from")),
        table.rule("forward", _verdict(_JUMP, "to")),
    ]


def _message(kind: int, flags: int, *attributes: bytes) -> Message:
    return Message(_SUBSYSTEM << 8 | kind, flags | ACK, struct.pack("!BBH", _IPV4, 0, 0), *attributes)


def _expression(name: str, *attributes: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *attributes))


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("!I", value))


def _meta(key: int) -> bytes:
    return _expression("meta", _number(1, 1), _number(2, key))


def _payload(base: int, offset: int, length: int, register: int = 1) -> bytes:
    """Bytes of the link's (0), the network's (1) or the transport's (2) header."""
    return _expression("payload", _number(1, register), _number(2, base), _number(3, offset), _number(4, length))


def _found(name: str) -> bytes:
    """Whether what the registers of words hold is in a set."""
    return _expression("lookup", text(1, name), _number(2, _WORDS))


def _compare(operator: int, value: bytes) -> bytes:
    return _expression("cmp", _number(1, 1), _number(2, operator), nested(3, attribute(1, value)))


def _masked(mask: bytes) -> bytes:
    same = nested(5, attribute(1, bytes(len(mask))))
    return _expression(
        "bitwise", _number(1, 1), _number(2, 1), _number(3, len(mask)), nested(4, attribute(1, mask)), same
    )


def _address(offset: int, block: str) -> list[bytes]:
    network = IPv4Network(block)
    if not network.prefixlen:
        return []
    return [_payload(1, offset, 4), _masked(network.netmask.packed), _compare(_EQUAL, network.network_address.packed)]


def _state(states: int) -> list[bytes]:
    tracked = _expression("ct", _number(1, 1), _number(2, 0))
    return [tracked, _masked(struct.pack("=I", states)), _compare(_OTHER, bytes(4))]


def _verdict(code: int, chain: str | None = None) -> bytes:
    parts = [attribute(1, struct.pack("!i", code)), *([] if chain is None else [text(2, chain)])]
    return _expression("immediate", _number(1, 0), nested(2, nested(2, *parts)))
