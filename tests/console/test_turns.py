"""Whose page is made next where many ask: by turns, and never all threads for one."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager

from kiln.console.turns import Turns


@contextmanager
def turns(at_once, of_one):
    made = Turns(at_once, of_one)
    try:
        yield made
    finally:
        made.end()


def test_a_crowd_of_one_costs_another_one_turn():
    order: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def hold():
        begun.set()
        assert go_on.wait(300)

    async def ask(made):
        first = asyncio.ensure_future(made.run("crowd", hold))
        await asyncio.to_thread(begun.wait, 20)
        crowd = [asyncio.ensure_future(made.run("crowd", lambda: order.append("crowd"))) for _ in range(100)]
        await asyncio.sleep(0)
        other = asyncio.ensure_future(made.run("other", lambda: order.append("other")))
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, other, *crowd)

    with turns(1, 1) as made:
        asyncio.run(ask(made))
    assert order.index("other") <= 1


def test_pages_that_take_long_leave_a_thread_to_others():
    go_on = threading.Event()

    async def ask(made):
        slow = [asyncio.ensure_future(made.run("slow", lambda: go_on.wait(300))) for _ in range(10)]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(made.run("other", lambda: "made"), 10) == "made"
        go_on.set()
        assert all(await asyncio.gather(*slow))

    with turns(3, 2) as made:
        asyncio.run(ask(made))


def test_who_leaves_takes_no_turn_and_gives_back_none_that_is_still_worked_on():
    begun, go_on = threading.Event(), threading.Event()

    def hold():
        begun.set()
        assert go_on.wait(300)

    async def ask(made):
        held = asyncio.ensure_future(made.run("a", hold))
        await asyncio.to_thread(begun.wait, 20)
        left, stays = (asyncio.ensure_future(made.run("b", lambda name=name: name)) for name in ("left", "stays"))
        await asyncio.sleep(0)
        held.cancel()
        left.cancel()
        await asyncio.gather(held, left, return_exceptions=True)
        assert not stays.done()
        go_on.set()
        assert await stays == "stays"

    with turns(1, 1) as made:
        asyncio.run(ask(made))


def test_behind_one_address_a_crowd_of_one_costs_another_one_turn():
    order: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def hold():
        begun.set()
        assert go_on.wait(300)

    async def ask(made):
        first = asyncio.ensure_future(made.run("address", hold, "tried"))
        await asyncio.to_thread(begun.wait, 20)
        crowd = [asyncio.ensure_future(made.run("address", lambda: order.append("tried"), "tried")) for _ in range(100)]
        await asyncio.sleep(0)
        other = asyncio.ensure_future(made.run("address", lambda: order.append("other"), "other"))
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, other, *crowd)

    with turns(1, 1) as made:
        asyncio.run(ask(made))
    assert order.index("other") <= 1
