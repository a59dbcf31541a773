"""Kiln beside moto and MiniStack: the same works, by the same client, each alone on the same core, in turns.

What is not the same is said with the figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from statistics import median

from bench.contenders import INSTANCES, PAGE, Contender, Kiln, Other, Requests
from bench.load import CLIENTS, Outcome, send
from bench.peers import PEERS, check_installed
from bench.report import median_of, to_table, to_text
from bench.sections.section import Bench
from bench.server import a_core

_SETTLES_S = 1.0

_Serve = Callable[[int], AbstractContextManager[Contender]]
_Work = Callable[[Contender, int], Requests]

#: What was measured, or the reason why nothing was.
Found = list[float] | str

DIFFERENCES = (
    "What is not the same:",
    "Kiln checks the signature of every request. An image counts when it is on the disk (synced) and Available: a real",
    "qcow2 layer that machines start from. It is there after the next start, too.",
    "moto and MiniStack check no signature. An image is an entry in memory, which ends with the process; there is",
    "no disk.",
    "moto hangs up after each answer, so its clients connect anew; the images that it brings along are left out.",
    "ECS makes an image of a snapshot by CreateImage, EC2 by RegisterImage.",
)


def run(it: Bench) -> None:
    """Start all of them, then let them take turns. Raises NoPeers."""
    check_installed()
    images = it.either(1000, 200)
    it.report.head(f"Kiln beside its peers: the same client, one core for each in turn, {images:,} images in each")
    core = a_core()
    makers: dict[str, _Serve] = {Kiln.title: lambda count: Kiln.serve(it.folder / f"peers-kiln-{count}", count)}
    for peer in PEERS:
        makers[peer.title] = partial(Other.serve, peer, it.folder / f"peers-{peer.name}", core)
    table = _Table(it, list(makers))
    _starts(it, table, makers)
    with ExitStack() as stack:
        served = {}
        for title, serve in makers.items():
            it.report.say(f"  ({title} gets its images)")
            served[title] = stack.enter_context(serve(images))
        _works(it, table, served, images)
        table.add("memory after all that", "MB", {title: [one.server.memory_mb] for title, one in served.items()})
    table.conclude()


def _starts(it: Bench, table: _Table, makers: Mapping[str, _Serve]) -> None:
    """Each starts with nothing, again and again."""
    starts: dict[str, Found] = {title: [] for title in makers}
    memory: dict[str, Found] = {title: [] for title in makers}
    for _ in range(it.either(3, 2)):
        for title, serve in makers.items():
            with serve(0) as one:
                _note(starts, title, one.server.start_s)
                time.sleep(_SETTLES_S)  # What a start leaves behind is done with by then.
                _note(memory, title, one.server.memory_mb)
    table.add("start to the first answer", "s", starts)
    table.add("resident memory, idle", "MB", memory)


def _works(it: Bench, table: _Table, served: Mapping[str, Contender], images: int) -> None:
    """Each work in turns, once it was tried."""
    many, few, pages, turns = it.either((200, INSTANCES, 10, 3), (60, 32, 5, 2))

    def lists(what: str, work: _Work) -> None:
        table.add(f"{what}, among {images:,}", "ms", _in_turns(served, turns, work, pages, _ms))

    def rate(what: str, work: _Work, count: int) -> None:
        table.add(f"{what}, {CLIENTS} clients", "/s", _in_turns(served, turns, work, count, _rate))

    # What makes images comes last: there shall be as many in each.
    lists(f"a page of {PAGE} images", lambda one, n: one.page(n))
    lists(f"{PAGE} images by their IDs", lambda one, n: one.by_ids(n))
    rate(f"one image by its ID, among {images:,}", lambda one, n: one.by_id(n), many)
    rate("an image of a snapshot", lambda one, n: one.of_snapshot(n), many)
    rate("an image of a stopped instance", lambda one, n: one.of_instance(n), few)


def _in_turns(
    served: Mapping[str, Contender],
    turns: int,
    work: _Work,
    count: int,
    measure: Callable[[Contender, Sequence[bytes]], float],
) -> Mapping[str, Found]:
    """What each came to in each turn, the first of which only warms up, or why it was not measured."""
    found: dict[str, Found] = {title: [] for title in served}
    for turn in range(turns + 1):
        for title, one in served.items():
            if isinstance(found[title], str):
                continue
            requests = work(one, count)
            if isinstance(requests, str):
                found[title] = requests
                continue
            measured = measure(one, requests)
            if turn:
                _note(found, title, measured)
    return found


def _rate(one: Contender, requests: Sequence[bytes]) -> float:
    """Done a second: what was asked for can be used."""
    began = time.perf_counter()
    _send(one, requests, CLIENTS)
    one.until_usable()
    return len(requests) / (time.perf_counter() - began)


def _ms(one: Contender, requests: Sequence[bytes]) -> float:
    """The median of what one client waits for an answer."""
    return _send(one, requests, 1).percentile(50)


def _send(one: Contender, requests: Sequence[bytes], clients: int) -> Outcome:
    outcome = send(one.server, requests, clients)
    if outcome.failed:
        raise RuntimeError(f"{one.title} refused {outcome.failed} of {outcome.requests}, such as {requests[0]!r}")
    return outcome


def _note(found: dict[str, Found], title: str, value: float) -> None:
    known = found[title]
    assert not isinstance(known, str)  # Who is measured lacks nothing.
    known.append(value)


class _Table:
    """Every figure as it comes, and all of them at the end."""

    def __init__(self, it: Bench, titles: Sequence[str]) -> None:
        self._it = it
        self._titles = titles
        self._rows: list[Sequence[str]] = []

    def add(self, what: str, unit: str, found: Mapping[str, Found]) -> None:
        """A work, and what it came to with each."""
        own, *others = self._titles
        against = {title: median(times) for title in others if not isinstance(times := found[title], str)}
        lacks = {title: reason for title in others if isinstance(reason := found[title], str)}
        measured = found[own]
        assert not isinstance(measured, str), what  # Kiln is not asked for what it lacks.
        self._it.report.add(median_of(what, unit, measured, against=against, lacks=lacks))
        self._rows.append([f"{what}, {unit}", *(_cell(found[title]) for title in self._titles)])

    def conclude(self) -> None:
        """Print it whole, with what it does not show."""
        self._it.report.say("")
        for line in (*to_table(["", *self._titles], self._rows), "", *DIFFERENCES):
            self._it.report.say(f"  {line}".rstrip())


def _cell(found: Found) -> str:
    """A reason ends where its details begin."""
    return found.partition(" (")[0] if isinstance(found, str) else to_text(median(found))
