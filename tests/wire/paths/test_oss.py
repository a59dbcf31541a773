"""OSS over real connections: what comes is stored whole or not at all, what goes is what was asked for."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from base64 import b64decode, b64encode
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.client import HTTPConnection
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from kiln.buckets.drafts import Draft
from kiln.calls.sessions import Session
from kiln.store import buckets
from kiln.wire.http import bounds
from kiln.wire.http.bounds import Room
from kiln.wire.key import Key
from kiln.wire.paths.events import Limits
from kiln.wire.signatures import oss
from tests.clouds import ACCOUNT, OTHER, make_cloud
from tests.waiting import wait_for
from tests.wire.paths.site import Answered, start_site

CONTENT = os.urandom(1_000_003)


@pytest.fixture
def site(tmp_path, sqlite):
    with start_site(make_cloud(tmp_path, sqlite), Limits(), Room(100, 100)) as served:
        yield served


@pytest.fixture
def folder(site):
    """The folder of a bucket that the account has."""
    assert ask(site, "PUT", "/images").status == 200
    return site.cloud.ports.buckets.path_of("images")


def signed(site, method, target, headers=(), *, account=ACCOUNT):
    path, _, query = target.partition("?")
    pairs = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
    fields = {"date": formatdate(site.cloud.clock(), usegmt=True)} | dict(headers)
    stages = oss.version_1(method, path, query=pairs, headers=fields, date=fields["date"], secret=f"secret-{account}")
    return fields | {"authorization": f"OSS {account}:{stages.signature}"}


def ask(site, method, target, headers=(), body=b"", *, account=ACCOUNT) -> Answered:
    path, question, query = target.partition("?")
    # The resource that is signed has a slash behind the bucket.
    whole = f"{path}{'/' if path.count('/') == 1 and path != '/' else ''}{question}{query}"
    return site.ask(method, whole, signed(site, method, whole, headers, account=account), body)


def refused(answer) -> tuple[int, str]:
    return answer.status, ET.fromstring(answer.body).findtext("Code")


@contextmanager
def sending(site, target, length, headers=(), *, account=ACCOUNT):
    """A connection on which a PUT of so many bytes was begun."""
    head = signed(site, "PUT", target, headers, account=account) | {"host": "x", "content-length": str(length)}
    with socket.create_connection(site.address, timeout=300) as connection:
        lines = [f"PUT {target} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        connection.sendall("\r\n".join(lines).encode())
        yield connection


def files(folder) -> list[str]:
    """What is below a folder. What goes meanwhile is not there, where a glob would raise."""
    found = [Path(at, name) for at, folders, names in os.walk(folder) for name in [*folders, *names]]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def test_stores_what_comes_and_gives_it_back(site, folder):
    digest = hashlib.md5(CONTENT).digest()
    headers = {"content-type": "x/y", "content-md5": b64encode(digest).decode(), "x-oss-meta-who": "me"}

    stored = ask(site, "PUT", "/images/deep/disk.raw", headers, CONTENT)
    given = ask(site, "GET", "/images/deep/disk.raw")
    told = ask(site, "HEAD", "/images/deep/disk.raw")

    assert (folder / "deep" / "disk.raw").read_bytes() == given.body == CONTENT
    assert (stored.status, given.status, told.status, told.body) == (200, 200, 200, b"")
    for answer in (stored, given, told):
        assert answer.headers["etag"] == f'"{digest.hex().upper()}"'
        assert answer.headers["x-oss-hash-crc64ecma"] == stored.headers["x-oss-hash-crc64ecma"]
        assert len(answer.headers["x-oss-request-id"]) == 24
    assert (given.headers["content-type"], given.headers["x-oss-meta-who"]) == ("x/y", "me")
    assert told.headers["content-length"] == given.headers["content-length"] == str(len(CONTENT))


def test_gives_what_somebody_has_put_into_the_folder(site, folder):
    (folder / "disk.raw").write_bytes(CONTENT)

    given = ask(site, "GET", "/images/disk.raw")

    assert given.body == CONTENT
    assert given.headers["etag"].endswith('-0"')
    assert "x-oss-hash-crc64ecma" not in given.headers


@pytest.mark.parametrize(
    ("asked", "behavior", "status", "given"),
    [
        ("bytes=0-0", "", 206, slice(0, 1)),
        ("bytes=2-4", "", 206, slice(2, 5)),
        ("bytes=7-", "", 206, slice(7, 10)),
        ("bytes=-3", "", 206, slice(7, 10)),
        ("bytes=0-9", "", 206, slice(0, 10)),
        ("bytes=0-", "", 206, slice(0, 10)),
        ("bytes=5-2", "", 200, slice(0, 10)),
        ("bytes=5-10", "", 200, slice(0, 10)),
        ("bytes=10-", "", 200, slice(0, 10)),
        ("bytes=-11", "", 200, slice(0, 10)),
        ("bytes=-0", "", 200, slice(0, 10)),
        ("bytes=0-1,3-4", "", 200, slice(0, 10)),
        ("lines=1-2", "", 200, slice(0, 10)),
        ("bytes=5-10", "standard", 206, slice(5, 10)),
        ("bytes=-11", "standard", 206, slice(0, 10)),
        ("bytes=10-", "standard", 416, None),
        ("bytes=-0", "standard", 416, None),
    ],
)
def test_gives_ranges(site, folder, asked, behavior, status, given):  # noqa: PLR0917 - a table.
    (folder / "ten").write_bytes(b"0123456789")
    headers = {"range": asked} | ({"x-oss-range-behavior": behavior} if behavior else {})

    answer = ask(site, "GET", "/images/ten", headers)

    assert answer.status == status
    if given is None:
        assert refused(answer) == (416, "InvalidRange")
        return
    assert answer.body == b"0123456789"[given]
    told = f"bytes {given.start}-{given.stop - 1}/10" if status == 206 else None
    assert answer.headers.get("content-range") == told


def test_an_object_that_says_it_is_a_page_is_one_without_scripts_and_without_cookies(site, folder):
    page = [("content-type", "text/html")]
    assert ask(site, "PUT", "/images/page", page, b"<script>fetch('/console/')</script>").status == 200

    for method in ("GET", "HEAD"):
        answer = ask(site, method, "/images/page")
        assert answer.headers["content-security-policy"] == "sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_gives_an_empty_object(site, folder):
    assert ask(site, "PUT", "/images/empty", {"content-length": "0"}).status == 200

    answer = ask(site, "GET", "/images/empty", {"range": "bytes=0-"})

    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("if-match", "{etag}", 200),
        ("if-match", '"other", {etag}', 200),
        ("if-match", '"other"', 412),
        ("if-none-match", "{etag}", 304),
        ("if-none-match", '"other"', 200),
        ("if-modified-since", "{time}", 304),
        ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ("if-modified-since", "yesterday", 200),
        ("if-unmodified-since", "{time}", 200),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 412),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_gives_an_object_on_conditions(site, folder, method, header, value, status):  # noqa: PLR0917 - a table.
    stored = ask(site, "PUT", "/images/a", body=b"bytes")
    modified = formatdate((folder / "a").stat().st_mtime, usegmt=True)

    answer = ask(site, method, "/images/a", {header: value.format(etag=stored.headers["etag"], time=modified)})

    assert answer.status == status


def test_gives_headers_in_place_of_those_of_the_object_and_none_that_would_be_two(site, folder):
    ask(site, "PUT", "/images/a", {"content-type": "x/y"}, b"bytes")
    query = {"response-content-type": "text/html"}
    target = "/images/a?response-content-type=text/html"
    headers = signed(site, "GET", target)
    assert query["response-content-type"] in target

    assert site.ask("GET", target, headers).headers["content-type"] == "text/html"
    assert refused(site.ask("GET", "/images/a?response-content-type=a%0D%0Ab:c", signed_as(site, "a\r\nb:c"))) == (
        400,
        "InvalidArgument",
    )


def signed_as(site, value):
    fields = {"date": formatdate(site.cloud.clock(), usegmt=True)}
    query = {"response-content-type": value}
    stages = oss.version_1(
        "GET", "/images/a", query=query, headers=fields, date=fields["date"], secret=f"secret-{ACCOUNT}"
    )
    return fields | {"authorization": f"OSS {ACCOUNT}:{stages.signature}"}


@pytest.mark.parametrize(
    ("target", "headers", "status", "code"),
    [
        ("/images/a//b", {}, 400, "InvalidObjectName"),
        ("/images/../other/a", {}, 400, "InvalidObjectName"),
        ("/images/.tmp-1", {}, 400, "InvalidObjectName"),
        ("/images/there/below", {}, 400, "InvalidObjectName"),
        ("/images/folder", {}, 400, "InvalidObjectName"),
        (f"/images/{'x' * 300}", {}, 400, "InvalidObjectName"),
        ("/images/a", {"content-md5": "x"}, 400, "InvalidDigest"),
        ("/images/a", {"content-md5": b64encode(bytes(16)).decode()}, 400, "InvalidDigest"),
        ("/images/a", {"x-oss-storage-class": "IA"}, 400, "NotImplemented"),
        ("/images/a", {"x-oss-object-acl": "public-read"}, 400, "NotImplemented"),
        ("/images/a", {"x-oss-forbid-overwrite": "maybe"}, 400, "InvalidArgument"),
        ("/images/there", {"x-oss-forbid-overwrite": "true"}, 409, "FileAlreadyExists"),
        ("/images/a", {"x-oss-meta-long": "x" * 4000}, 400, "MetadataTooLarge"),
        ("/images/a", {"content-length": str(6 << 30)}, 400, "EntityTooLarge"),
        ("/others/a", {}, 404, "NoSuchBucket"),
    ],
)
def test_refuses_what_it_cannot_store_and_stores_nothing_of_it(  # noqa: PLR0917 - a table.
    site, folder, target, headers, status, code
):
    (folder / "folder").mkdir()
    (folder / "there").write_bytes(b"there")

    assert refused(ask(site, "PUT", target, headers, b"bytes")) == (status, code)

    assert files(folder) == ["folder", "there"]
    assert (folder / "there").read_bytes() == b"there"


def test_says_why_before_all_has_come_and_takes_no_more(site, folder):
    with sending(site, "/images/a", 50_000_000, {"x-oss-object-acl": "public-read"}) as connection:
        connection.sendall(bytes(100_000))
        answer = b""
        while b"</Error>" not in answer:
            answer += connection.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 400")
        assert connection.recv(10_000).strip() == b""


@pytest.mark.parametrize("chunked", [False, True], ids=["told", "chunked"])
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@pytest.mark.parametrize(
    ("target", "code"), [("/images/a?partNumber=1&uploadId=none", "NoSuchUpload"), ("/none/a", "NoSuchBucket")]
)
def test_who_sends_all_before_it_reads_is_told_why_it_was_refused(  # noqa: PLR0917 - a table.
    site, folder, target, code, connection, chunked
):
    sent = [bytes(1_000_000)] * 40
    headers = {"connection": connection} | ({} if chunked else {"content-length": str(40_000_000)})
    client = HTTPConnection(*site.address, timeout=300)
    client.request("PUT", target, iter(sent), signed(site, "PUT", target, headers), encode_chunked=chunked)

    response = client.getresponse()

    assert (response.status, ET.fromstring(response.read()).findtext("Code")) == (404, code)
    assert response.headers["connection"] == "close"
    client.close()


def test_who_is_refused_and_stands_still_is_not_waited_for(site, folder, monkeypatch):
    monkeypatch.setattr(bounds, "LINGER_PAUSE_S", 0.3)
    with sending(site, "/none/a", 50_000_000) as connection:
        while connection.recv(10_000):
            pass
        wait_for(lambda: site.crowd.counts["connections"] == 0)


@pytest.mark.parametrize("bound", ["LINGER", "LINGER_LEAST"])
def test_who_is_refused_and_sends_on_without_end_is_not_read_without_end(site, folder, monkeypatch, bound):
    monkeypatch.setattr(bounds, "LINGER_S", 0.1)
    monkeypatch.setattr(bounds, bound, {"LINGER": 1_000_000, "LINGER_LEAST": 1 << 50}[bound])
    with sending(site, "/none/a", 1 << 40) as connection, pytest.raises(ConnectionError):
        send_on(connection)


def send_on(connection) -> None:
    while True:
        connection.sendall(bytes(100_000))


def test_who_waits_to_be_told_to_go_on_is_told_or_refused(site, folder):
    with sending(site, "/none/a", 50_000_000, {"expect": "100-continue"}) as refused_one:
        answer = b""
        while more := refused_one.recv(10_000):
            answer += more
    with sending(site, "/images/a", 5, {"expect": "100-continue"}) as taken:
        told = taken.recv(10_000)
        taken.sendall(b"bytes")
        stored = taken.recv(10_000)

    assert answer.startswith(b"HTTP/1.1 404")
    assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert stored.startswith(b"HTTP/1.1 200")


def test_a_disk_that_takes_long_to_forget_holds_up_nobody_else(site, folder, monkeypatch):
    drop, goes_on, dropped = Draft.drop, threading.Event(), []

    def slow(draft):
        goes_on.wait(300)
        drop(draft)
        dropped.append(1)

    monkeypatch.setattr(Draft, "drop", slow)
    with sending(site, "/images/a", 3_000_000) as connection:
        connection.sendall(bytes(1_000_000))
        wait_for(lambda: files(folder) != [])
    try:
        assert ask(site, "GET", "/images").status == 200
        assert dropped == []
    finally:
        goes_on.set()
    wait_for(lambda: files(folder) == [])


@pytest.mark.parametrize("kind", [os.mkfifo, os.mkdir])
def test_writes_over_nothing_that_is_no_object(site, folder, kind):
    kind(folder / "a")

    assert refused(ask(site, "PUT", "/images/a", body=b"bytes")) == (400, "InvalidObjectName")
    assert files(folder) == ["a"]


def test_a_head_that_fails_tells_why_in_a_header(site, folder):
    answer = ask(site, "HEAD", "/images/none")

    assert (answer.status, answer.body) == (404, b"")
    told = ET.fromstring(b64decode(answer.headers["x-oss-err"]))
    assert (told.findtext("Code"), told.findtext("RequestId")) == ("NoSuchKey", answer.headers["x-oss-request-id"])


def test_leaves_nothing_of_what_breaks_off(site, folder):
    with sending(site, "/images/a", 3_000_000) as connection:
        connection.sendall(bytes(1_000_000))
        wait_for(lambda: files(folder) != [])

    wait_for(lambda: files(folder) == [])
    assert refused(ask(site, "GET", "/images/a")) == (404, "NoSuchKey")


def test_folders_of_what_breaks_off_are_in_nobody_s_way(site, folder):
    with sending(site, "/images/a/b/c", 3_000_000) as connection:
        connection.sendall(bytes(1_000_000))
        wait_for(lambda: files(folder) != [])

    wait_for(lambda: files(folder) == [])
    assert ask(site, "PUT", "/images/a", body=b"x").status == 200


def test_a_folder_is_no_object(site, folder):
    assert ask(site, "PUT", "/images/a/b", body=b"x").status == 200

    assert refused(ask(site, "GET", "/images/a")) == (404, "NoSuchKey")
    assert ask(site, "HEAD", "/images/a").status == 404


def test_who_leaves_while_it_is_given_an_object_is_given_no_more_of_it(site, folder):
    with (folder / "large").open("wb") as file:
        file.truncate(1 << 40)
    connection = HTTPConnection(*site.address, timeout=300)
    connection.request("GET", "/images/large", headers=signed(site, "GET", "/images/large"))
    response = connection.getresponse()
    assert response.read(1000) == bytes(1000)
    assert open_files(folder / "large") == 1

    response.close()
    connection.close()

    wait_for(lambda: open_files(folder / "large") == 0)


def open_files(path) -> int:
    found = []
    for one in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(one.readlink())
    return found.count(path)


def test_the_memory_of_the_server_does_not_grow_with_an_object(site, folder):
    before, most = rss(), 0
    with sending(site, "/images/a", 200_000_000) as connection:
        for _ in range(200):
            connection.sendall(bytes(1_000_000))
            most = max(most, rss())
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")

    assert most - before < 40_000_000


def rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_a_client_that_stands_still_is_sent_away_and_holds_up_nobody(site, folder, monkeypatch):
    with sending(site, "/images/a", 1_000_000) as slow:
        slow.sendall(b"x")
        assert ask(site, "PUT", "/images/b", body=b"bytes").status == 200
        # Only now, or on a busy host the other one would have stood still, too.
        monkeypatch.setattr(bounds, "PAUSE_S", 0.3)
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")

    wait_for(lambda: files(folder) == ["b"])


def test_bounds_how_many_transfers_go_on_at_a_time(site, folder):
    begun = [sending(site, f"/images/{n}", 10) for n in range(bounds.TRANSFERS_OF_ACCOUNT)]
    for one in begun:
        one.__enter__()
    wait_for(lambda: len(files(folder)) == bounds.TRANSFERS_OF_ACCOUNT)

    assert refused(ask(site, "PUT", "/images/more", body=b"bytes")) == (503, "SlowDown")
    assert ask(site, "HEAD", "/images/none").status == 404

    for one in begun:
        one.__exit__(None, None, None)
    wait_for(lambda: files(folder) == [])
    assert ask(site, "PUT", "/images/more", body=b"bytes").status == 200


def test_takes_an_object_in_chunks_whose_length_nobody_told(site, folder):
    connection = HTTPConnection(*site.address, timeout=300)
    headers = signed(site, "PUT", "/images/a")
    connection.request("PUT", "/images/a", iter([b"by", b"tes"]), headers, encode_chunked=True)

    assert connection.getresponse().status == 200
    assert (folder / "a").read_bytes() == b"bytes"
    connection.close()


def test_a_connection_is_good_for_more_than_one_object(site, folder):
    connection = HTTPConnection(*site.address, timeout=300)
    for n in range(3):
        connection.request("PUT", f"/images/{n}", CONTENT, signed(site, "PUT", f"/images/{n}"))
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"")
        connection.request("GET", f"/images/{n}", headers=signed(site, "GET", f"/images/{n}"))
        assert connection.getresponse().read() == CONTENT
    connection.close()


def test_an_upload_in_parts(site, folder):
    begun = ask(site, "POST", "/images/deep/a?uploads", {"content-type": "x/y"})
    upload = ET.fromstring(begun.body).findtext("UploadId")
    parts = [os.urandom(102_400), b"end"]
    etags = [
        ask(site, "PUT", f"/images/deep/a?partNumber={n}&uploadId={upload}", body=part).headers["etag"]
        for n, part in enumerate(parts, 1)
    ]
    listed = ET.fromstring(ask(site, "GET", f"/images/deep/a?uploadId={upload}").body)
    assert [(one.findtext("PartNumber"), one.findtext("ETag")) for one in listed.iter("Part")] == [
        ("1", etags[0]),
        ("2", etags[1]),
    ]
    told = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in enumerate(etags, 1))
    body = f"<CompleteMultipartUpload>{told}</CompleteMultipartUpload>".encode()

    done = ask(site, "POST", f"/images/deep/a?uploadId={upload}", body=body)

    assert (done.status, (folder / "deep" / "a").read_bytes()) == (200, b"".join(parts))
    assert ET.fromstring(done.body).findtext("ETag") == done.headers["etag"]
    assert refused(ask(site, "POST", f"/images/deep/a?uploadId={upload}", body=body)) == (404, "NoSuchUpload")
    assert ask(site, "GET", "/images/deep/a").headers["x-oss-object-type"] == "Multipart"


def test_a_key_of_a_role_may_end_in_the_middle_of_an_upload_which_another_goes_on_with(site, folder):
    def take(number):
        session = Session(role="r", name="n", parent=ACCOUNT, expires_at=site.cloud.clock.now + 60)
        name = f"STS.{number}"
        site.keys.sessions[name] = Key(id=name, secret=f"secret-{name}", account_id=ACCOUNT, session=session)
        return {"account": name, "headers": {"x-oss-security-token": name}}

    first = take(1)
    begun = ask(site, "POST", "/images/big?uploads", **first)
    number = ET.fromstring(begun.body).findtext("UploadId")
    parts = [f"/images/big?partNumber={n}&uploadId={number}" for n in (1, 2)]
    half = 200_000
    assert ask(site, "PUT", parts[0], body=CONTENT[:half], **first).status == 200

    # What was begun in its time is taken to its end.
    before = set(files(folder))
    with sending(site, "/images/one", len(CONTENT), first["headers"], account=first["account"]) as connection:
        connection.sendall(CONTENT[:half])
        wait_for(lambda: bool(set(files(folder)) - before))
        site.cloud.clock.now += 60
        connection.sendall(CONTENT[half:])
        assert connection.recv(12) == b"HTTP/1.1 200"
    assert (folder / "one").read_bytes() == CONTENT

    assert refused(ask(site, "PUT", parts[1], body=CONTENT[half:], **first)) == (403, "SecurityTokenExpired")
    second = take(2)
    assert ask(site, "PUT", parts[1], body=CONTENT[half:], **second).status == 200
    done = {"x-oss-complete-all": "yes"} | second["headers"]
    assert ask(site, "POST", f"/images/big?uploadId={number}", done, account=second["account"]).status == 200
    assert (folder / "big").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "headers", "code"),
    [
        ("folder", {}, "InvalidObjectName"),
        ("there/below", {}, "InvalidObjectName"),
        ("x" * 300, {}, "InvalidObjectName"),
        ("a", {"x-oss-meta-long": "x" * 4000}, "MetadataTooLarge"),
    ],
)
def test_no_upload_begins_that_could_not_be_completed(site, folder, name, headers, code):
    (folder / "folder").mkdir()
    (folder / "there").write_bytes(b"there")

    assert refused(ask(site, "POST", f"/images/{name}?uploads", headers)) == (400, code)

    assert files(folder) == ["folder", "there"]


def test_objects_that_are_made_of_parts_leave_threads_to_others(site, folder, monkeypatch):
    begun = [ET.fromstring(ask(site, "POST", f"/images/{n}?uploads").body).findtext("UploadId") for n in range(9)]
    for n, upload in enumerate(begun):
        assert ask(site, "PUT", f"/images/{n}?partNumber=1&uploadId={upload}", body=b"x").status == 200
    at_once, most, goes_on = [], [], threading.Event()
    place = site.cloud.ports.buckets.place

    def slow(*given, **named):
        at_once.append(1)
        most.append(len(at_once))
        goes_on.wait(300)
        at_once.pop()
        place(*given, **named)

    monkeypatch.setattr(site.cloud.ports.buckets, "place", slow)
    headers, answers = {"x-oss-complete-all": "yes"}, []

    def complete(n, upload):
        answers.append(ask(site, "POST", f"/images/{n}?uploadId={upload}", headers).status)

    threads = [threading.Thread(target=complete, args=one) for one in enumerate(begun)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(at_once) == bounds.GATHERINGS)
    assert ask(site, "GET", "/images").status == 200
    goes_on.set()
    for thread in threads:
        thread.join()

    assert answers == [200] * 9
    assert max(most) == bounds.GATHERINGS


def test_uploads_are_listed_in_pages(site, folder):
    begun = [ask(site, "POST", f"/images/{name}?uploads") for name in ("a", "b", "b", "c")]
    ids = [ET.fromstring(one.body).findtext("UploadId") for one in begun]
    found, query = [], "max-uploads=1"
    while True:
        page = ET.fromstring(ask(site, "GET", f"/images?uploads&{query}").body)
        found += [(one.findtext("Key"), one.findtext("UploadId")) for one in page.iter("Upload")]
        if page.findtext("IsTruncated") == "false":
            break
        key, upload = page.findtext("NextKeyMarker"), page.findtext("NextUploadIdMarker")
        query = f"max-uploads=1&key-marker={key}&upload-id-marker={upload}"

    assert found == [("a", ids[0]), *(("b", one) for one in sorted(ids[1:3])), ("c", ids[3])]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a",
        b"<Other/>",
        b"<CompleteMultipartUpload/>",
        b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><CompleteMultipartUpload>&b;</CompleteMultipartUpload>',
        b'<?xml version="1.0" encoding="hex"?><CompleteMultipartUpload/>',
        b'<?xml version="1.0" encoding="unheard-of"?><CompleteMultipartUpload/>',
        (
            '<!DOCTYPE a [<!ENTITY b "1">]><CompleteMultipartUpload><Part><PartNumber>&b;</PartNumber><ETag>e</ETag>'
            "</Part></CompleteMultipartUpload>"
        ).encode("utf-16"),
        b"<CompleteMultipartUpload>" + b" " * bounds.LISTED + b"</CompleteMultipartUpload>",
    ],
)
def test_refuses_a_list_of_parts_that_is_none(site, folder, body):
    upload = ET.fromstring(ask(site, "POST", "/images/a?uploads").body).findtext("UploadId")

    answer = ask(site, "POST", f"/images/a?uploadId={upload}", {"content-length": str(len(body))}, body)

    assert refused(answer) == (400, "MalformedXML")


def test_deletes_many_at_once(site, folder):
    for name in ("a", "b", "c"):
        (folder / name).write_bytes(b"x")
    body = (
        b"<Delete><Object><Key>a</Key></Object><Object><Key>none</Key></Object><Object><Key>c</Key></Object></Delete>"
    )

    answer = ask(site, "POST", "/images?delete", body=body)

    assert [one.text for one in ET.fromstring(answer.body).iter("Key")] == ["a", "none", "c"]
    assert files(folder) == ["b"]


def test_another_account_reads_and_writes_nothing_unless_it_is_shared_and_then_it_reads(site, folder):
    (folder / "a").write_bytes(b"bytes")
    reads = [("GET", "/images/a"), ("HEAD", "/images/a"), ("GET", "/images"), ("GET", "/images?bucketInfo")]
    writes = [("PUT", "/images/b"), ("DELETE", "/images/a"), ("DELETE", "/images"), ("POST", "/images/b?uploads")]
    for method, target in (*reads, *writes):
        assert ask(site, method, target, account=OTHER).status == 403
    assert refused(ask(site, "PUT", "/images", account=OTHER)) == (409, "BucketAlreadyExists")
    assert b"<Bucket>" not in ask(site, "GET", "/", account=OTHER).body
    site.cloud.ports.database.write(lambda tx: buckets.share(tx, "images", 1.0, is_shared=True))

    assert [ask(site, *one, account=OTHER).status for one in reads] == [200] * 4
    assert [refused(ask(site, *one, account=OTHER)) for one in writes] == [(403, "AccessDenied")] * 4
    assert files(folder) == ["a"]


def test_nobody_is_let_in_without_a_signature(site, folder):
    (folder / "a").write_bytes(b"bytes")

    answer = site.ask("GET", "/a", {"host": "images.oss-cn-hangzhou.aliyuncs.com"})

    assert refused(answer) == (403, "AccessDenied")


def test_a_bucket_is_the_first_s_who_uses_it(site):
    site.cloud.ports.buckets.make("found")

    assert ask(site, "GET", "/found", account=OTHER).status == 200
    assert refused(ask(site, "GET", "/found")) == (403, "AccessDenied")
    assert refused(ask(site, "GET", "/absent")) == (404, "NoSuchBucket")
    with site.cloud.ports.database.read() as tx:
        assert [(row.name, row.account) for row in buckets.buckets.all(tx)] == [("found", OTHER)]


def test_buckets_are_made_listed_and_removed(site):
    for name in ("one", "two", "two"):
        assert ask(site, "PUT", f"/{name}").status == 200
    assert refused(ask(site, "PUT", "/ab")) == (400, "InvalidBucketName")
    assert refused(ask(site, "PUT", "/Bad_Name")) == (400, "InvalidBucketName")
    with site.cloud.ports.database.read() as tx:
        assert buckets.buckets.find(tx, name="Bad_Name") is None
    assert refused(ask(site, "PUT", "/x-y", {"x-oss-acl": "public-read"})) == (400, "NotImplemented")
    (site.cloud.ports.buckets.path_of("two") / "a").write_bytes(b"x")

    assert refused(ask(site, "DELETE", "/two")) == (409, "BucketNotEmpty")
    listed = ET.fromstring(ask(site, "GET", "/").body)
    assert [one.findtext("Name") for one in listed.iter("Bucket")] == ["one", "two"]
    page = ET.fromstring(ask(site, "GET", "/?max-keys=1&prefix=").body)
    assert (page.findtext("IsTruncated"), page.findtext("NextMarker")) == ("true", "one")

    assert ask(site, "DELETE", "/two/a").status == ask(site, "DELETE", "/two/a").status == 204
    assert ask(site, "DELETE", "/two").status == 204
    assert refused(ask(site, "GET", "/two")) == (404, "NoSuchBucket")
    assert ask(site, "PUT", "/two", account=OTHER).status == 200


def test_requests_for_the_api_go_where_they_went(site):
    assert site.ask("GET", "/healthz").status == 200
    assert b"MissingAccessKeyId" in site.ask("GET", "/?Action=DescribeRegions&Version=2014-05-26").body


def test_many_at_once_get_each_their_own(site, folder):
    def work(n):
        content = bytes([n]) * 300_000
        assert ask(site, "PUT", f"/images/{n}", body=content).status == 200
        found.append(ask(site, "GET", f"/images/{n}").body == content)

    found = []
    threads = [threading.Thread(target=work, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [True] * 10
