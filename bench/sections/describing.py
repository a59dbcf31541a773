"""How quickly DescribeImages answers, with few and with many images in the database.

By ID and by name it is asked in every mix that Packer, Terraform and the
command line send. The mixes take turns, and a bare HTTP server that gives as
many bytes, and bare SQLite, are measured beside them.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from bench.bare import open_bare
from bench.load import CLIENTS, Outcome, load
from bench.report import Figure, at_least, at_most, median_of
from bench.sections.section import Bench
from bench.server import REGION, Server, start_server
from bench.stock import open_stock

_RATE, _MIX, _PAGE_MS, _MEMORY_MB = 3000.0, 2 / 3, 5.0, 100.0
_WHERE_AIMED = 10_000  #: How many images there are where pages and memory are aimed at.
_ONE_BYTES, _PAGE_BYTES = 1500, 140_000  #: Of an answer with one image, and with a hundred.

_PACKERS = "Available,CreateFailed,Creating,Waiting"

#: What is sent with the ID, or with the name, by whom.
MIXES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "by ID": ("ImageId", {}),
    "by ID and owner (CLI)": ("ImageId", {"ImageOwnerAlias": "self"}),
    "by ID, expired ones too (Packer)": ("ImageId", {"ShowExpired": "true"}),
    "by ID and statuses (Packer)": ("ImageId", {"Status": _PACKERS}),
    "by ID, owner, status and page (Terraform)": (
        "ImageId",
        {"ImageOwnerAlias": "self", "Status": "Available", "PageNumber": "1", "PageSize": "50"},
    ),
    "by name": ("ImageName", {}),
    "by name and statuses (Packer)": ("ImageName", {"Status": _PACKERS}),
    "by name, owner and status": ("ImageName", {"ImageOwnerAlias": "self", "Status": "Available"}),
}


def run(it: Bench) -> None:
    """By ID and by name from many clients, pages from one."""
    it.report.head(f"DescribeImages, signed, over HTTP, on one core ({CLIENTS} clients by ID and name, one for pages)")
    data = it.folder / "describe"
    ids: list[str] = []
    snapshot = ""
    for count in it.either((1_000, _WHERE_AIMED), (500,)):
        with open_stock(data) as stock:
            snapshot = snapshot or stock.snapshot()
            ids += stock.images(snapshot, count - len(ids), first=len(ids))
        known = {"ImageId": ids, "ImageName": _names(data)}
        with start_server(data) as server, open_bare(_ONE_BYTES, server.core) as bare:
            _mixes(it, server, bare, known, _lookups(data, ids))
            before = server.memory_mb
            _pages(it, server, count, data)
            _memory(it, server, before, count)


def _mixes(it: Bench, server: Server, bare: Server, known: Mapping[str, Sequence[str]], lookups: float) -> None:
    """Every mix in turns, against the two floors."""
    wanted, turns = it.either(1500, 50), it.either(5, 1)
    outcomes: dict[str, list[Outcome]] = {name: [] for name in MIXES}
    floors = []
    for _ in range(turns):
        for name, (key, more) in MIXES.items():
            asked = {"Action": "DescribeImages", "RegionId": REGION, **more}
            outcomes[name].append(load(server, [{**asked, key: random.choice(known[key])} for _ in range(wanted)]))
        floors.append(load(bare, [{"Action": "DescribeImages", "RegionId": REGION}] * wanted).rate)
    against = {
        "bare HTTP, as many bytes, nothing done": statistics.median(floors),
        "bare SQLite, the image's row alone, no HTTP": lookups,
    }
    plain = statistics.median(outcome.rate for outcome in outcomes["by ID"])
    for name, found in outcomes.items():
        what = f"{name}, among {len(known['ImageId']):,}"
        figure = median_of(what, "/s", [outcome.rate for outcome in found])
        failed, middle = sum(o.failed for o in found), sorted(found, key=lambda o: o.cpu_ms)[len(found) // 2]
        late = statistics.median(outcome.percentile(99) for outcome in found)
        reached = figure.value if failed == 0 else 0.0
        least, words = (_RATE, "at least 3,000/s") if name == "by ID" else (_RATE * _MIX, "at least 2,000/s")
        it.report.add(
            median_of(
                what,
                "/s",
                [outcome.rate for outcome in found],
                note=f"99 % within {late:.1f} ms, {failed} failed; {middle.cost}; "
                f"{figure.value / plain:.2f}x of what the ID alone has",
                against=against,
                aim=at_least(reached, least, f"{words}, none failed"),
            )
        )


def _pages(it: Bench, server: Server, count: int, data: Path) -> None:
    for what, rows, size in (
        ("a page of 100", 100, {"PageSize": "100"}),
        ("a page of the default size, 10", 10, {}),
    ):
        params = [{"Action": "DescribeImages", "RegionId": REGION, **size}] * it.either(60, 10)
        load(server, params[:5], clients=1)
        outcome = load(server, params, clients=1)
        with open_bare(_PAGE_BYTES * rows // 100, server.core) as bare:
            floor = load(bare, params, clients=1).percentile(50)
        figure = median_of(f"{what}, among {count:,}", "ms", outcome.latencies_ms)
        is_aimed = count == _WHERE_AIMED and rows == 100  # noqa: PLR2004 - the larger page.
        against = {"bare HTTP, as many bytes, nothing done": floor, "bare SQLite, no HTTP": _page_ms(data, rows)}
        aim = at_most(figure.value, _PAGE_MS, "at most 5 ms") if is_aimed else None
        note = f"{outcome.failed} failed; {outcome.cost}"
        it.report.add(median_of(figure.what, "ms", outcome.latencies_ms, note=note, against=against, aim=aim))


def _memory(it: Bench, server: Server, before: float, count: int) -> None:
    """Resident memory after all that, and by how much pages made it grow."""
    after = server.memory_mb
    aim = at_most(after, _MEMORY_MB, "at most 100 MB") if count == _WHERE_AIMED else None
    note = f"{before:.1f} MB before the pages"
    it.report.add(Figure(f"resident memory after that, with {count:,} images", after, "MB", note=note, aim=aim))


def _names(data: Path) -> list[str]:
    with closing(sqlite3.connect(data / "kiln.sqlite")) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM images")]


def _lookups(data: Path, ids: Sequence[str]) -> float:
    """Rows by ID a second, by SQLite alone."""
    with closing(sqlite3.connect(data / "kiln.sqlite")) as connection:
        wanted = [random.choice(ids) for _ in range(2000)]
        seconds = _took(
            lambda: [connection.execute("SELECT * FROM images WHERE id = ?", (i,)).fetchone() for i in wanted]
        )
    return len(wanted) / seconds


def _page_ms(data: Path, rows: int) -> float:
    """Milliseconds that SQLite alone takes to count all images and to fetch a page of them with their disks."""
    page = f"SELECT * FROM images ORDER BY created_at DESC, id DESC LIMIT {rows}"
    statements = (
        "SELECT count(*) FROM images WHERE status = 'Available'",
        page,
        f"SELECT * FROM image_disks WHERE image IN (SELECT id FROM ({page}))",
    )
    with closing(sqlite3.connect(data / "kiln.sqlite")) as connection:
        times = [_took(lambda: [connection.execute(one).fetchall() for one in statements]) for _ in range(11)]
    return statistics.median(times) * 1000


def _took(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
