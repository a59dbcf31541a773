"""Which application answers a path, and what none of them has to look at."""

from __future__ import annotations

import asyncio

import pytest

from kiln.wire.app import PATHS
from kiln.wire.errors import RequestTooLarge
from kiln.wire.http.bounds import BODY
from kiln.wire.paths.asgi import send_words
from kiln.wire.paths.table import Path, Table


class Echo:
    """An application that says which one it is, and what it received."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.has_ended = False

    async def __call__(self, scope, receive, send) -> None:
        body, then = await receive(), await receive()
        await send_words(send, 200, f"{self.name} {len(body['body'])} {then['type']}")

    def end(self) -> None:
        self.has_ended = True


ECHOES: dict[str, Echo] = {}


def a_path(at: str, **more) -> Path:
    return Path(at=at, make=lambda _: ECHOES.setdefault(at, Echo(at)), about="", **more)


@pytest.fixture
def table():
    """Paths that lie within and beside each other, and none that takes all."""
    ECHOES.clear()
    paths = [
        a_path("/console", has_below=True),
        a_path("/console/images", has_below=True),
        a_path("/metrics", methods=("GET", "HEAD")),
    ]
    return Table(paths, None)


def ask(table: Table, path: str, method: str = "GET", *pieces: dict, headers=()) -> tuple[int, dict, str]:
    """Status, headers and text of the answer."""
    waiting = [*(pieces or ({"type": "http.request", "body": b"", "more_body": False},)), {"type": "http.disconnect"}]
    sent: list[dict] = []

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
    asyncio.run(table(scope, receive, send))
    if not sent:
        return 0, {}, ""
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(m.get("body", b"") for m in sent[1:]).decode()


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/console", "/console"),
        ("/console/", "/console"),
        ("/console/disks/d-1", "/console"),
        ("/console/images", "/console/images"),
        ("/console/images/m-1", "/console/images"),
        ("/console/imagesque", "/console"),
        ("/metrics", "/metrics"),
    ],
)
def test_the_path_itself_answers_or_the_longest_that_it_lies_below(table, path, who):
    status, _, text = ask(table, path)

    assert (status, text.split()[0]) == (200, who)


@pytest.mark.parametrize("path", ["/", "", "/consoled", "/metrics/", "/metrics/more", "//console", "/METRICS", "*"])
def test_what_is_no_path_is_refused_in_words(table, path):
    status, headers, text = ask(table, path)

    assert (status, headers[b"content-type"]) == (404, b"text/plain; charset=utf-8")
    assert text == f"There is nothing at {path}. There is: /console, /console/images, /metrics.\n"


def test_a_path_that_takes_all_takes_what_no_other_does():
    ECHOES.clear()
    table = Table([a_path("/", has_below=True), a_path("/metrics")], None)

    assert [ask(table, path)[2].split()[0] for path in ("/", "//", "/metrics", "/metrics/more", "*", "")] == [
        "/",
        "/",
        "/metrics",
        "/",
        "/",
        "/",
    ]


def test_a_method_that_a_path_does_not_take_is_refused_in_words(table):
    status, headers, text = ask(table, "/metrics", "DELETE")

    assert (status, headers[b"allow"], text) == (405, b"GET, HEAD", "/metrics takes GET and HEAD, and no DELETE.\n")


def test_an_application_gets_the_body_whole_and_then_what_becomes_of_the_connection(table):
    pieces = [{"type": "http.request", "body": b"a" * n, "more_body": n < 3} for n in (1, 2, 3)]

    assert ask(table, "/console", "POST", *pieces)[2] == "/console 6 http.disconnect\n"


def test_a_body_that_is_too_large_is_refused_for_an_application_that_has_no_words_for_it(table):
    piece = {"type": "http.request", "body": b"a" * BODY, "more_body": True}
    told = ask(table, "/console", "POST", headers=[(b"content-length", str(BODY + 1).encode())])
    sent = ask(table, "/console", "POST", piece, piece)

    assert told[::2] == sent[::2] == (413, f"{RequestTooLarge(mib=1)}\n")


def test_who_left_before_the_end_of_a_request_is_answered_nothing(table):
    assert ask(table, "/console", "POST", {"type": "http.disconnect"}) == (0, {}, "")


def test_ends_the_applications_whose_answers_do_not_end(table):
    table.end()

    assert [echo.has_ended for echo in ECHOES.values()] == [True] * 3


def test_every_declared_path_is_one_and_says_what_it_is():
    assert len({path.at for path in PATHS}) == len(PATHS)
    assert all(path.about and path.at.startswith("/") for path in PATHS)
    assert [path.at for path in PATHS if not path.methods] == ["/", "/BUCKET/OBJECT"]
