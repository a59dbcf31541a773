"""What the application takes for a request, and what not."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from kiln.store.changes import Hub
from kiln.wire.app import Site, make_app
from kiln.wire.doors.door import Answer
from kiln.wire.http.bounds import BODY
from kiln.wire.paths.terminal import TerminalSite
from kiln.wire.paths.threads import Threads

SCOPE = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": [], "client": ("::1", 1)}


class Recorder:
    """Stands before no Kiln: keeps the requests that it is asked to answer, and the errors it is to refuse with."""

    def __init__(self):
        self.asked, self.refused = [], []

    def hand_in(self, request, reply, hands):
        self.asked.append(request)
        reply.succeed(Answer(200, (), b"answered"))

    def refuse(self, request, error):
        self.refused.append(error)
        return Answer(error.status, (), b"refused")


def a_site(gateway, executor):
    threads = Threads(executor, at_once=1)
    site = Site(
        gateway=gateway,
        threads=threads,
        alive=lambda: (True, {}),
        ready=lambda: (True, {}),
        hub=Hub(),
        oss=None,
        movers=executor,
        terminal=TerminalSite(terminals=None, database=None, consoles=None, clock=None),
        console=None,
    )
    return make_app(site)


@pytest.fixture
def send():
    """Has an application handle these messages; gives the recorder and what was sent back."""

    def handle(*messages):
        recorder, sent, waiting = Recorder(), [], list(messages)

        async def receive():
            return waiting.pop(0)

        async def answer(message):
            sent.append(message)

        with ThreadPoolExecutor(1) as executor:
            asyncio.run(a_site(recorder, executor)(SCOPE, receive, answer))
        return recorder, sent

    return handle


def a_part(body, *, more):
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_in_parts_is_one_body(send):
    recorder, sent = send(a_part(b"a=", more=True), a_part(b"1", more=False))

    assert [request.body for request in recorder.asked] == [b"a=1"]
    assert [message.get("status") for message in sent] == [200, None]


@pytest.mark.parametrize("before", [[], [a_part(b"", more=True)], [a_part(b"a=1", more=True)]])
def test_a_request_whose_caller_left_before_its_end_is_not_carried_out(send, before):
    recorder, sent = send(*before, {"type": "http.disconnect"})

    assert (recorder.asked, recorder.refused, sent) == ([], [], [])


def test_a_body_that_is_too_large_is_refused_before_its_end(send):
    recorder, sent = send(a_part(b"x" * BODY, more=True), a_part(b"x", more=True))

    assert [error.code for error in recorder.refused] == ["RequestTooLarge"]
    assert recorder.asked == []
    assert sent[0]["status"] == 413


def test_who_waits_for_the_disk_lets_the_next_request_begin():
    """One at a time is worked on, and the first is answered when the second has been."""

    class Waiting(Recorder):
        def hand_in(self, request, reply, hands):
            self.asked.append(reply)
            if len(self.asked) == 2:
                for one in reversed(self.asked):
                    one.succeed(Answer(200, (), b""))

    async def receive():
        return a_part(b"", more=False)

    async def ignore(message):
        pass

    async def both():
        app = a_site(Waiting(), executor)
        async with asyncio.timeout(300):
            await asyncio.gather(*(app(SCOPE, receive, ignore) for _ in range(2)))

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(both())
