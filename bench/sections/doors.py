"""Several processes that answer requests over one PostgreSQL: what they do together, and what they pay for it.

All of them, the server and who asks have this host's cores between them: where
there are fewer cores than processes another process brings nothing here, and
what one request costs says more than how many there are.
"""

from __future__ import annotations

import re
import statistics
import time
import urllib.request
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench import postgresql
from bench.load import CLIENTS, Outcome, spread
from bench.report import Figure, median_of
from bench.sections.section import Bench
from bench.server import REGION, Server, start_server
from bench.stock import open_stock
from kiln.store.conninfo import Server as Rows
from kiln.store.nonces import SharedNonces

_DOORS = (1, 2, 4)
_RETRIED = re.compile(r"^kiln_database_retries_total\{[^}]*\} ([0-9.]+)$", re.MULTILINE)


@dataclass
class Turns:
    """What the turns of one number of processes came to."""

    reads: list[Outcome] = field(default_factory=list)
    writes: list[Outcome] = field(default_factory=list)
    retried: int = 0


def run(it: Bench, server: str) -> None:
    """Measure on databases of their own on the *server* of that address."""
    it.report.head(f"Processes that answer requests over one PostgreSQL, {CLIENTS} clients in all, on all cores")
    doors = it.either(_DOORS, (1, 2))
    with ExitStack() as held:
        address = held.enter_context(postgresql.a_database(server))
        images, snapshot, several = _served(it, held, address, max(doors))
        turns = {count: Turns() for count in doors}
        bare: dict[int, list[float]] = {1: [], CLIENTS: []}
        embedded: list[float] = []
        alone, known = _alone(it, held)
        for _ in range(it.either(5, 2)):
            for count, found in turns.items():
                _turn(it, several[:count], images, snapshot, found)
            embedded.append(_reads(it, [alone], known).rate)
            for callers, rates in bare.items():
                rates.append(postgresql.commit_rows(address, it.either(500, 64), callers))
        _report(it, turns, statistics.median(embedded), {n: statistics.median(rates) for n, rates in bare.items()})
        _report_nonce(it, address)


def _served(it: Bench, held: ExitStack, address: str, count: int) -> tuple[list[str], str, list[Server]]:
    """Images, a snapshot, and so many processes that answer requests for them, beside one that works."""
    shared = it.folder / "doors-shared"
    shared.mkdir()
    with open_stock(it.folder / "doors-stock", database=address, shared=str(shared)) as stock:
        snapshot = stock.snapshot()
        images = stock.images(snapshot, it.either(1000, 100))

    def started(name: str, role: str) -> Server:
        settings = {"DATABASE": address, "SHARED": str(shared), "ROLE": role, "HOST": name}
        named = {f"KILN_{key}": value for key, value in settings.items()}
        return held.enter_context(start_server(it.folder / name, one_core=False, settings=named))

    started("worker", "worker")
    return images, snapshot, [started(f"door-{n}", "api") for n in range(count)]


def _alone(it: Bench, held: ExitStack) -> tuple[Server, list[str]]:
    """The embedded default with as many images."""
    with open_stock(it.folder / "doors-alone") as stock:
        images = stock.images(stock.snapshot(), it.either(1000, 100))
    return held.enter_context(start_server(it.folder / "doors-alone", one_core=False)), images


def _turn(it: Bench, several: Sequence[Server], images: list[str], snapshot: str, found: Turns) -> None:
    found.reads.append(_reads(it, several, images))
    before = retried(several)
    asked = {"Action": "CreateImage", "RegionId": REGION, "SnapshotId": snapshot}
    found.writes.append(spread(several, [asked] * it.either(640, 64)))
    found.retried += retried(several) - before


def _reads(it: Bench, several: Sequence[Server], images: list[str]) -> Outcome:
    asked = [{"Action": "DescribeImages", "RegionId": REGION, "ImageId": image} for image in images]
    return spread(several, (asked * 2)[: it.either(1600, 100)])


def retried(several: Sequence[Server]) -> int:
    """Transactions that these processes have run again since they began, since another was in the way."""
    told = [urllib.request.urlopen(f"{one.endpoint}/metrics").read().decode() for one in several]
    return sum(int(float(number)) for text in told for number in _RETRIED.findall(text))


def _report(it: Bench, turns: dict[int, Turns], embedded: float, bare: dict[int, float]) -> None:
    for count, found in turns.items():
        what = f"{count} process{'es' * (count > 1)}"
        one = statistics.median(outcome.rate for outcome in turns[1].reads)
        against = {"one process on SQLite": embedded} | ({"one process": one} if count > 1 else {})
        it.report.add(_of_rates(f"{what}: DescribeImages by ID", found.reads, against))
    for count, found in turns.items():
        what = f"{count} process{'es' * (count > 1)}"
        against = {
            "bare PostgreSQL, one connection, a row a commit": bare[1],
            f"bare PostgreSQL, {CLIENTS} connections, a row a commit": bare[CLIENTS],
        }
        it.report.add(_of_rates(f"{what}: CreateImage of a snapshot, durable", found.writes, against))
        made = sum(outcome.requests for outcome in found.writes)
        note = f"{found.retried} transactions run again for {made:,} images"
        it.report.add(Figure(f"{what}: retries for a hundred images", found.retried / made * 100, "", note=note))


def _of_rates(what: str, found: list[Outcome], against: dict[str, float]) -> Figure:
    failed, half = sum(o.failed for o in found), statistics.median(o.percentile(50) for o in found)
    cost = sorted(found, key=lambda outcome: outcome.cpu_ms)[len(found) // 2].cost
    note = f"half within {half:.1f} ms, {failed} failed; {cost}"
    return median_of(what, "/s", [outcome.rate for outcome in found], note=note, against=against)


def _report_nonce(it: Bench, address: str) -> None:
    """What each request pays so that it can be used at one door only."""
    count = it.either(500, 50)
    rows = SharedNonces(Rows(address=address))
    took = []
    try:
        for _ in range(count):
            began = time.perf_counter()
            rows.take(uuid.uuid4().hex, time.time())
            took.append((time.perf_counter() - began) * 1000)
    finally:
        rows.close()
    committed = 1000 / postgresql.commit_rows(address, count, 1)
    against = {
        "SELECT 1, there and back": statistics.median(postgresql.ask(address, count)) * 1000,
        "a row in a commit that waits for the disk": committed,
    }
    it.report.add(median_of("a nonce that all processes know", "ms", took, against=against))
