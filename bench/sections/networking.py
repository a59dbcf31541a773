"""What the networks of instances carry: round trips and throughput, from guest to guest, in and out, ten at once, and
from host to host.

The guests are programs at the ends of real cables, which the keeper cannot tell
from machines: so the network is measured, and not an emulated processor. What
it is held against goes by a bare veth pair, and by one program that passes
frames on as a keeper has to, and does nothing else.
"""

from __future__ import annotations

import multiprocessing
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.report import at_least, median_of
from bench.sections.section import Bench
from kiln.ground.units import MiB
from kiln.networks.trying import why_not
from tests.networks.beyond import beyond
from tests.networks.host import FAR
from tests.networks.lans import lan
from tests.networks.measures import ECHO, SINK
from tests.networks.places import group, interface, opened, place, public

_LEAST = 12.0  #: MiB a second, which QEMU's own user networking has.
_FRAME = 1514  #: Bytes.
_GUESTS = 10
_VPC = "vpc-bench"


def run(it: Bench) -> None:
    """Measure what one guest has, then ten at once."""
    it.report.head("networks of instances: programs at the ends of real cables, frames of 1,514 bytes")
    if why := why_not() or ("" if shutil.which("ip") else "ip, of the package iproute2, is not there"):
        it.report.say(f"  not measured: {why}")
        return
    guests = [interface(number) for number in range(1, _GUESTS + 1)]
    made = place(*guests, vpc=_VPC, groups=[group("sg-1", *opened(ECHO, SINK))], public={"eni-1": public(50)})
    with beyond(it.folder / "network", is_for_all=True) as outside:
        peers = outside.hold(made)
        for peer in peers:
            peer.ask("measured")
        entrance = outside.host.ask("entrance", _VPC, public(50))
        ways: dict[str, tuple[Any, str, Callable[[int], int]]] = {
            "guest to guest": (peers[1], guests[0].address, int),
            "host to guest, by its public address": (outside.host, public(50), lambda port: entrance[str(port)]),
            "guest to the world, by its way out": (peers[1], FAR, int),
            "a bare veth pair": (outside.host, FAR, int),
        }
        trips, rates = _measure(it, ways)
        pump = _pump_rate(it.either(64, 8) * MiB)
        *kilns, bare = ways
        for way in kilns:
            it.report.add(median_of(f"{way}: round trip", "ms", trips[way], against={bare: _middle(trips[bare])}))
        for way in kilns:
            floors = {bare: _middle(rates[bare]), "a program that passes frames on": pump}
            aim = at_least(_middle(rates[way]), _LEAST, f"{_LEAST:.0f} MiB/s, as QEMU's user networking has")
            it.report.add(median_of(f"{way}: one connection", "MiB/s", rates[way], against=floors, aim=aim))
        _measure_ten(it, peers, [one.address for one in guests])
    _measure_two_hosts(it)


def _measure(
    it: Bench, ways: dict[str, tuple[Any, str, Callable[[int], int]]]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Milliseconds and MiB a second of each, in turns."""
    trips: dict[str, list[float]] = {way: [] for way in ways}
    rates: dict[str, list[float]] = {way: [] for way in ways}
    size = it.either(32, 2) * MiB
    for _ in range(it.either(7, 2)):
        for way, (asks, address, port) in ways.items():
            taken = asks.ask("round_trips", address, port(ECHO), it.either(300, 30))
            trips[way].append(_middle(taken) * 1000)
            rates[way].append(size / MiB / asks.ask("seconds_to_send", address, port(SINK), size))
    return trips, rates


def _measure_ten(it: Bench, peers: Sequence[Any], addresses: Sequence[str]) -> None:
    """Ten cables at work at once, five that send and five that hear, and who waits beside them."""
    size, turns = it.either(8, 1) * MiB, it.either(5, 2)
    pairs = list(zip(peers[:5], addresses[5:], strict=True))
    rates, slowest = [], []
    for _ in range(turns):
        began = time.perf_counter()
        for peer, address in pairs:
            peer.begin("seconds_to_send", address, SINK, size)
        taken = [peer.hear() for peer, _ in pairs]
        rates.append(len(pairs) * size / MiB / (time.perf_counter() - began))
        slowest.append(max(taken) / min(taken))
    it.report.add(median_of("five guests send to five others: together", "MiB/s", rates))
    it.report.add(median_of("  the slowest of them against the fastest", "times", slowest))
    trips = []
    for _ in range(turns):
        for peer, to in pairs[:3]:
            peer.begin("seconds_to_send", to, SINK, size)
        trips.append(_middle(peers[9].ask("round_trips", addresses[8], ECHO, it.either(100, 20))) * 1000)
        for peer, _ in pairs[:3]:
            peer.hear()
    it.report.add(median_of("a round trip beside six of them", "ms", trips))


def _measure_two_hosts(it: Bench) -> None:
    """A guest that speaks to one of its own host, and to one of another, in turns."""
    here, beside, there = (interface(number) for number in (1, 2, 3))
    whole = place(here, beside, there, vpc=_VPC, groups=[group("sg-1", *opened(ECHO, SINK))])
    with lan(it.folder / "lan") as hosts:
        hosts.spread(whole, {here.id: 1, beside.id: 1, there.id: 2})
        for host, one in ((1, beside), (2, there)):
            hosts.guest(host, one).ask("measured")
        asks = hosts.guest(1, here)
        within, across = "guest to guest of one host", "guest to guest of another host"
        trips, rates = _measure(it, {within: (asks, beside.address, int), across: (asks, there.address, int)})
    it.report.add(median_of(f"{across}: round trip", "ms", trips[across], against={within: _middle(trips[within])}))
    floors = {within: _middle(rates[within])}
    it.report.add(median_of(f"{across}: one connection", "MiB/s", rates[across], against=floors))


def _pump_rate(size_bytes: int) -> float:
    """MiB a second that a program passes on, from one Unix socket to another, a frame at a time."""
    (sends, takes), (gives, hears) = (socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    count = size_bytes // _FRAME
    fork = multiprocessing.get_context("fork")
    sender = fork.Process(target=_send_frames, args=(sends, count))
    hearer = fork.Process(target=_hear_frames, args=(hears, count))
    for one in (sender, hearer):
        one.start()
    began = time.perf_counter()
    for _ in range(count):
        gives.send(takes.recv(_FRAME))
    for one in (sender, hearer):
        one.join()
    return count * _FRAME / MiB / (time.perf_counter() - began)


def _send_frames(to: socket.socket, count: int) -> None:
    frame = bytes(_FRAME)
    for _ in range(count):
        to.send(frame)


def _hear_frames(of: socket.socket, count: int) -> None:
    for _ in range(count):
        of.recv(_FRAME)


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
