from __future__ import annotations

import asyncio

from kiln.wire.http.turns import Turns


def run(*peers, at_once=1, leaving=()):
    """In which order these are answered when all ask at once; *leaving* do not wait for it."""
    answered = []

    async def ask(turns, n, peer):
        async with turns.one(peer):
            answered.append(peer)
            await asyncio.sleep(0)

    async def all_of_them():
        turns = Turns(at_once)
        tasks = [asyncio.create_task(ask(turns, n, peer)) for n, peer in enumerate(peers)]
        await asyncio.sleep(0)
        for n in leaving:
            tasks[n].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(5), turns.one("last"):
            answered.append("last")

    asyncio.run(all_of_them())
    return answered


def test_peers_take_turns():
    assert run("a", "a", "a", "a", "b", "c", "b") == ["a", "a", "b", "c", "a", "b", "a", "last"]


def test_who_leaves_takes_no_turn_and_keeps_nobody_waiting():
    assert run("a", "a", "b", "c", leaving=[1, 2]) == ["a", "c", "last"]
    assert run("a", "b", leaving=[0]) == ["a", "b", "last"]


def test_has_several_at_once():
    assert run("a", "a", "b", at_once=3) == ["a", "a", "b", "last"]


def test_a_turn_ended_early_is_passed_on_once():
    async def two_of_four():
        turns, had = Turns(1), []

        async def have(name):
            async with turns.one("a") as turn:
                had.append(name)
                await asyncio.to_thread(turn.end_from_afar)
                if name == "first":
                    await goes_on.wait()
            had.append(f"{name} is over")

        goes_on = asyncio.Event()
        waiting = [asyncio.create_task(have(name)) for name in ("first", "second")]
        await waiting[1]
        async with turns.one("b"):
            goes_on.set()
            await waiting[0]
            third = asyncio.create_task(have("third"))
            await asyncio.sleep(0)
            had.append("the turn is had still")
        await third
        return had

    assert asyncio.run(two_of_four()) == [
        "first",
        "second",
        "second is over",
        "first is over",
        "the turn is had still",
        "third",
        "third is over",
    ]
