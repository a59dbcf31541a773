"""The threads on which requests are answered: who waits for the disk needs none."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kiln.wire.paths.threads import Threads

PATIENCE_S = 300


def ask(work, *, at_once=1, threads=2):
    """What the coroutine function *work* gives that is given such threads."""

    async def whole(threads):
        return await asyncio.wait_for(work(threads), PATIENCE_S)

    with ThreadPoolExecutor(threads) as executor:
        return asyncio.run(whole(Threads(executor, at_once)))


def test_what_was_raised_is_raised_in_who_asked():
    async def work(threads):
        with pytest.raises(ZeroDivisionError):
            await threads.run("a", lambda: 1 / 0)
        return await threads.run("a", lambda: "well")

    assert ask(work) == "well"


def test_who_waits_for_the_disk_holds_up_nobody():
    """Two hundred that were begun are not answered yet, and one that needs no disk is."""
    begun = []

    async def work(threads):
        writes = [
            asyncio.create_task(threads.answer("a", lambda _, reply, __: begun.append(reply), None)) for _ in range(200)
        ]
        await asyncio.sleep(0)
        said = await threads.run("a", lambda: "well")
        for reply in begun:
            reply.succeed("written")
        return said, await asyncio.gather(*writes)

    assert ask(work) == ("well", ["written"] * 200)


def test_who_is_to_lead_does_though_every_request_is_held_up():
    has_led = threading.Event()

    def begin(given, reply, hands):
        hands.start(has_led.set)
        assert has_led.wait(PATIENCE_S)
        reply.succeed("led")

    async def work(threads):
        return await threads.answer("a", begin, None)

    assert ask(work) == "led"


def test_who_is_to_lead_when_all_has_ended_is_led_where_that_is_said():
    """Whoever commits last, as the service stops, must not leave those behind it unled."""
    kept, led = [], []

    def begin(given, reply, hands):
        kept.append(hands)
        reply.succeed("well")

    async def work(threads):
        return await threads.answer("a", begin, None)

    assert ask(work) == "well"
    kept[0].start(lambda: led.append(threading.current_thread()))

    assert led == [threading.current_thread()]


def test_who_leads_does_it_once_though_no_thread_can_be_made():
    """The executor says so, and has a thread do it later all the same."""
    kept, led = [], []

    class Poor(ThreadPoolExecutor):
        def submit(self, job, *given):
            kept.append(super().submit(job, *given))
            if len(kept) > 1:
                raise RuntimeError("can't start new thread")
            return kept[-1]

    def begin(given, reply, hands):
        hands.start(lambda: led.append("led"))
        reply.succeed("well")

    async def work(threads):
        return await threads.answer("a", begin, None)

    with Poor(1) as executor:
        assert asyncio.run(work(Threads(executor, 1))) == "well"

    assert [one.done() for one in kept] == [True, True]
    assert led == ["led"]


def test_an_answer_that_comes_when_the_loop_has_ended_is_heard_by_nobody():
    kept, has_begun = [], threading.Event()

    def begin(given, reply, hands):
        kept.append(reply)
        has_begun.set()

    async def work(threads):
        task = asyncio.create_task(threads.answer("a", begin, None))
        await asyncio.to_thread(has_begun.wait, PATIENCE_S)
        task.cancel()

    ask(work)
    kept[0].succeed("too late")


def test_who_comes_back_later_does_though_every_request_is_held_up():
    has_come = threading.Event()

    def begin(given, reply, hands):
        hands.later(0.0, has_come.set)
        assert has_come.wait(PATIENCE_S)
        reply.succeed("came")

    async def work(threads):
        return await threads.answer("a", begin, None)

    assert ask(work) == "came"


def test_who_would_come_back_when_all_has_ended_comes_at_once():
    kept, came = [], []

    def begin(given, reply, hands):
        kept.append(hands)
        reply.succeed("well")

    async def work(threads):
        return await threads.answer("a", begin, None)

    ask(work)
    kept[0].later(60.0, lambda: came.append(threading.current_thread()))

    assert came == [threading.current_thread()]
