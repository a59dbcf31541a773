from __future__ import annotations

import os
import signal
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from kiln.cli import imports
from kiln.cli.exits import Refusal


class Listing:
    """A client of one image, and of no tasks."""

    pseudonym, region = "0123456789abcdef", ""

    def rows(self, action, params=None, /, **more):
        if action != "DescribeImages":
            return iter(())
        assert more["Status"] == "ALL"
        return iter([{"ImageId": "m-bp146shijn7hujku8a5c", "ImageName": "debian-12"}])


def test_fetches_nothing_for_a_name_that_is_taken_and_says_whose_it_is():
    with pytest.raises(Refusal, match="there is an image debian-12 already, m-bp146shijn7hujku8a5c") as refused:
        imports.require_free_name(Listing(), "debian-12")

    assert "`kiln image delete m-bp146shijn7hujku8a5c`" in refused.value.hint


@pytest.mark.parametrize("name", [None, "", "debian-1"])
def test_lets_pass_a_name_that_is_free(name):
    imports.require_free_name(Listing(), name)


@pytest.fixture
def interrupting():
    """A server at which whoever fetches is interrupted halfway."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(bytes(1000))
            os.kill(os.getpid(), signal.SIGINT)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    # A shell has what it runs in the background ignore interrupts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield f"http://127.0.0.1:{server.server_address[1]}/disk.qcow2"
    signal.signal(signal.SIGINT, before)
    server.shutdown()
    thread.join()
    server.server_close()


def test_says_that_nothing_was_imported_where_a_download_is_interrupted(interrupting, tmp_path, capsys):
    (tmp_path / "buckets").mkdir()

    with (
        pytest.raises(KeyboardInterrupt),
        imports.uploaded(Listing(), tmp_path, file=None, url=interrupting, digest="", sample=False, is_dry=False),
    ):
        pass

    assert f"no longer fetching {interrupting}\n(Nothing was imported.)" in capsys.readouterr().err
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size] == []


@pytest.fixture
def promising():
    """A server that promises a GiB, and sends not a byte of it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(1024**3))
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    # A shell has what it runs in the background ignore interrupts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield f"http://127.0.0.1:{server.server_address[1]}/disk.qcow2"
    signal.signal(signal.SIGINT, before)
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_dry_run_fetches_nothing_and_has_the_size_that_is_promised(promising, tmp_path):
    (tmp_path / "buckets").mkdir()

    with imports.uploaded(
        Listing(), tmp_path, file=None, url=promising, digest="", sample=False, is_dry=True
    ) as upload:
        facts = upload.path.stat()

    assert (facts.st_size, facts.st_blocks) == (1024**3, 0)
    assert upload.object.endswith("-disk.qcow2")


def test_a_dry_run_says_that_there_is_nothing_at_an_address_and_leaves_nothing(tmp_path):
    (tmp_path / "buckets").mkdir()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/disk.qcow2"

        with (
            pytest.raises(Refusal, match="Connection refused"),
            imports.uploaded(Listing(), tmp_path, file=None, url=url, digest="", sample=False, is_dry=True),
        ):
            pass

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_dry_run_makes_no_sample(tmp_path, monkeypatch):
    (tmp_path / "buckets").mkdir()
    monkeypatch.setenv("KILN_CACHE", str(tmp_path / "cache"))

    with imports.uploaded(Listing(), tmp_path, file=None, url=None, digest="", sample=True, is_dry=True) as upload:
        assert upload.path.stat().st_size == 1

    assert not (tmp_path / "cache").exists()
