"""The stream of changes, over real connections: whose it tells, what a slow or absent reader costs, and how it ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from kiln.declare.ids import new_id
from kiln.declare.states import ImageStatus
from kiln.store import tasks
from kiln.store.changes import Change
from kiln.store.images import images
from kiln.wire.http.bounds import BODY, Room
from kiln.wire.paths.events import Limits
from kiln.wire.signatures import acs3
from tests.clouds import ACCOUNT, OTHER, make_cloud
from tests.waiting import wait_for
from tests.wire.paths.site import Served, start_site

QUICK = Limits(beat_s=0.05)
ROOM = Room(400, 400)


@pytest.fixture
def site(tmp_path, sqlite):
    with start_site(make_cloud(tmp_path, sqlite), Limits(), ROOM) as served:
        yield served


@pytest.fixture
def quick(tmp_path, sqlite):
    """A server whose streams say often that they are there."""
    with start_site(make_cloud(tmp_path, sqlite), QUICK, ROOM) as served:
        yield served


def add_image(site: Served, account: str = ACCOUNT, status: str = "Creating") -> str:
    row = images.of_values({"id": new_id("image"), "account": account, "status": status})
    site.cloud.ports.database.write(lambda tx: images.insert(tx, replace(row, name=row.id)))
    return row.id


def listeners(site: Served) -> int:
    """How many listen, but for what listens from a Kiln's first moment to its last."""
    return sum(ear is not site.cloud.ports.terminals for ear in site.cloud.ports.database.hub.ears)


def test_tells_what_changes_in_the_order_in_which_it_did(site):
    with site.stream() as stream:
        image = add_image(site)
        database = site.cloud.ports.database
        database.write(lambda tx: images.move(tx, ImageStatus.CREATING, ImageStatus.AVAILABLE, {}, id=image))
        database.write(lambda tx: images.delete(tx, id=image))

        assert [stream.change() for _ in range(3)] == [
            ("image", image, None, "Creating"),
            ("image", image, "Creating", "Available"),
            ("image", image, "Available", None),
        ]


def test_tells_an_account_of_its_own_and_of_nothing_else(site):
    with site.stream(ACCOUNT) as own, site.stream(OTHER) as others:
        theirs = [add_image(site, OTHER) for _ in range(3)]
        ours = add_image(site, ACCOUNT)
        last = add_image(site, OTHER)

        assert own.change()[1] == ours
        assert [others.change()[1] for _ in range(4)] == [*theirs, last]


@pytest.mark.parametrize(
    "accept", ["application/cloudevents+json", "text/event-stream, Application/CloudEvents+JSON;q=0.5"]
)
def test_tells_who_accepts_cloud_events_the_same_as_such(site, accept):
    with site.stream(accept=accept) as one, site.stream(accept=accept) as other, site.stream() as plain:
        first, second = add_image(site), add_image(site)
        told = [[stream.next() for _ in range(2)] for stream in (one, other)]

        assert told[0] == told[1]
        assert [name for name, _ in told[0]] == ["cloudevent"] * 2
        assert [event["data"]["resourceId"] for _, event in told[0]] == [first, second]
        assert len({event["id"] for _, event in told[0]}) == 2
        assert plain.change() == ("image", first, None, "Creating")


def test_tells_nothing_of_tasks_that_no_answer_shows(site):
    rows = [
        tasks.tasks.of_values({"id": new_id("task"), "account": ACCOUNT, "status": "Processing", "listed": listed})
        for listed in (False, True)
    ]
    with site.stream() as stream:
        for row in rows:
            site.cloud.ports.database.write(lambda tx, row=row: tasks.tasks.insert(tx, row))

        assert stream.change()[:2] == ("task", rows[1].id)


def test_says_that_it_is_there_while_nothing_happens(quick):
    with quick.stream() as stream:
        assert [stream.next() for _ in range(3)] == [("beat", None)] * 3
        image = add_image(quick)

        assert stream.change()[1] == image


def test_a_hundred_streams_are_told_and_leave_nothing_behind(site):
    accounts = [ACCOUNT, OTHER] * 50
    with ExitStack() as stack:
        streams = [stack.enter_context(site.stream(account)) for account in accounts]
        images_ = {account: add_image(site, account) for account in (ACCOUNT, OTHER)}

        told = [stream.change()[1] for stream in streams]

        assert told == [images_[account] for account in accounts]
        assert listeners(site) == 1
        assert site.ask("GET", "/healthz").status == 200
    site.until(connections=0)
    wait_for(lambda: listeners(site) == 0)
    with site.stream() as again:
        image = add_image(site)
        assert again.change()[1] == image


@pytest.mark.parametrize(
    ("limits", "accounts", "says"),
    [
        (Limits(of_account=2), [ACCOUNT] * 2, b"No more than 2 streams of changes may be open of an account"),
        (Limits(in_all=2), [ACCOUNT, OTHER], b"No more than 2 streams of changes may be open in all"),
    ],
)
def test_refuses_more_streams_than_may_be_until_one_has_gone(tmp_path, sqlite, limits, accounts, says):
    with start_site(make_cloud(tmp_path, sqlite), limits, ROOM) as site, ExitStack() as stack:
        first = ExitStack()
        for stacked, account in zip((first, stack), accounts, strict=True):
            stacked.enter_context(site.stream(account))

        refused = site.ask("GET", "/events", site.signed())
        assert (refused.status, refused.headers["retry-after"]) == (429, "5")
        assert says in refused.body
        first.close()
        wait_for(lambda: site.ask("GET", "/events", site.signed()).status == 200)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (lambda site: {}, 400, b"IncompleteSignature"),
        (lambda site: site.signed() | {"x-acs-date": "2020-01-01T00:00:00Z"}, 400, b"InvalidTimeStamp.Expired"),
        (lambda site: site.signed("nobody"), 404, b"InvalidAccessKeyId.NotFound"),
        (lambda site: site.signed(path="/"), 400, b"SignatureDoesNotMatch"),
        (lambda site: site.signed(path="/events/"), 400, b"SignatureDoesNotMatch"),
    ],
)
def test_opens_for_nobody_whose_signature_is_not_of_this_path(site, change, status, code):
    answer = site.ask("GET", "/events", change(site))

    assert (answer.status, code in answer.body) == (status, True)
    assert listeners(site) == 0


def test_opens_once_for_one_signature(site):
    headers = site.signed()
    with site.stream():
        assert site.ask("GET", "/events", headers).status == 200

        again = site.ask("GET", "/events", headers)

        assert (again.status, b"SignatureNonceUsed" in again.body) == (400, True)


def test_refuses_parameters_that_it_would_not_understand(site):
    path = "/events?ResourceType=image"
    headers = site.signed()
    del headers["authorization"]
    names = ";".join(sorted(headers))
    signature = acs3.stages(
        method="GET",
        path="/events",
        query={"ResourceType": "image"},
        headers=headers,
        signed_headers=names,
        body_hash=headers["x-acs-content-sha256"],
        secret=f"secret-{ACCOUNT}",
    ).signature
    proof = f"ACS3-HMAC-SHA256 Credential={ACCOUNT},SignedHeaders={names},Signature={signature}"

    answer = site.ask("GET", path, {**headers, "authorization": proof})

    assert (answer.status, b"/events takes no parameters" in answer.body) == (400, True)


def test_ends_when_its_key_is_switched_off(quick):
    with quick.stream() as stream:
        quick.keys.off.add(ACCOUNT)

        while (event := stream.next()) == ("beat", None):
            pass

        assert event == ("", None)
    assert quick.ask("GET", "/events", quick.signed()).status == 400


def test_a_reader_that_leaves_is_noticed_while_nothing_happens(site):
    with site.stream():
        wait_for(lambda: listeners(site) == 1)
    site.until(connections=0)
    wait_for(lambda: listeners(site) == 0)


@contextmanager
def unread_stream(site: Served, account: str) -> Iterator[socket.socket]:
    """A stream whose reader reads no more than its head."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(300)
        connection.connect(site.address)
        head = "".join(f"{name}: {value}\r\n" for name, value in site.signed(account).items())
        connection.sendall(f"GET /events HTTP/1.1\r\n{head}\r\n".encode())
        received = b""
        while b": listening" not in received:
            received += connection.recv(4096)
        yield connection


def flood(site: Served, account: str) -> None:
    """More than fits between a server and a reader that does not read: 100 changes of 10 KB."""
    changes = [Change("image", f"m-{n:010000}", None, "Available", account) for n in range(100)]
    site.cloud.ports.database.hub.tell(changes)


def test_a_reader_that_does_not_read_holds_up_nobody_and_is_told_what_it_missed(site):
    with unread_stream(site, ACCOUNT) as slow, site.stream(OTHER) as other:
        for _ in range(20):
            flood(site, ACCOUNT)
            image = add_image(site, OTHER)
            assert other.change()[1] == image

        received = b""
        while b"event: missed" not in received:
            piece = slow.recv(65536)
            assert piece
            received = received[-100:] + piece


def test_ends_at_once_when_the_server_stops_read_or_not(site, caplog):
    with site.stream() as stream, unread_stream(site, OTHER):
        for _ in range(20):
            flood(site, OTHER)
            image = add_image(site)
            assert stream.change()[1] == image

        site.stop()

        # uvicorn waits ten seconds for answers that do not end, and says so.
        assert "graceful" not in caplog.text
        assert "without completing" not in caplog.text
        assert stream.next() == ("", None)


@pytest.mark.parametrize("path", ["/", "/healthz", "/events"])
def test_the_bounds_of_a_body_hold_on_every_path(site, path):
    method = "POST" if path == "/" else "GET"
    body = b"x" * (BODY + 1)

    with socket.create_connection(site.address, timeout=300) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nhost: k\r\ncontent-length: {len(body)}\r\n\r\n".encode())

        assert b" 413 " in connection.recv(200)


def test_many_threads_that_write_lose_nothing_of_a_stream(site):
    """The rows are written by as many threads as requests are answered on; the loop hears of them from one."""
    with site.stream() as stream:
        made: list[str] = []
        threads = [threading.Thread(target=lambda: made.extend(add_image(site) for _ in range(10))) for _ in range(4)]
        for thread in threads:
            thread.start()

        told = {stream.change()[1] for _ in range(40)}

        for thread in threads:
            thread.join()
        assert told == set(made)
