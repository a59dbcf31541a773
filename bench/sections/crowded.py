"""What a client notices of others who have no key and mean harm, in the same run as what it has without them."""

from __future__ import annotations

import http.client
import time
from urllib.parse import urlsplit

from bench.attacks import ATTACKS, attacked
from bench.load import query
from bench.report import Figure, at_most
from bench.sections.section import Bench
from bench.server import REGION, start_server

_TIMES = 3.0
_HEALTHY = "127.0.0.2"  #: The client that is measured comes from elsewhere than those who attack.
_SETTLES_S = 0.5


def run(it: Bench) -> None:
    """One client that asks again and again, alone and beside each attack."""
    it.report.head("DescribeImages of one client, beside others who are refused before anybody is known, on one core")
    wanted = it.either(1500, 150)
    with start_server(it.folder / "crowded") as server:
        parts = urlsplit(server.endpoint)
        address = (parts.hostname or "", parts.port or 0)
        _p99(address, wanted)
        for name, attack in ATTACKS.items():
            usual = _p99(address, wanted)
            with attacked(attack, address, _SETTLES_S):
                beside = _p99(address, wanted)
            usual = max(usual, _p99(address, wanted))
            ratio = beside / usual
            note = f"99 % within {beside:.1f} ms instead of {usual:.1f} ms"
            aim = at_most(ratio, _TIMES, "at most 3 times as long")
            it.report.add(Figure(f"beside {name}", ratio, "x", note=note, aim=aim))
        it.report.add(Figure("resident memory after all that", server.memory_mb, "MB"))


def _p99(address: tuple[str, int], wanted: int) -> float:
    """Milliseconds within which 99 percent are answered, of so many requests on a kept connection."""
    times = []
    connection = http.client.HTTPConnection(*address, timeout=60, source_address=(_HEALTHY, 0))
    for _ in range(wanted):
        target = "/?" + query({"Action": "DescribeImages", "RegionId": REGION})
        began = time.perf_counter()
        connection.request("GET", target)
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - began) * 1000)
        if answer.status != http.client.OK:
            raise RuntimeError(f"a healthy client was answered with {answer.status}")
    connection.close()
    return sorted(times)[int(len(times) * 0.99)]
