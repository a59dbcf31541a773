"""Those that Kiln is measured beside: found, started, asked, and told of as they are."""

from __future__ import annotations

import re
import sys

import pytest

from bench import load, peers
from bench.contenders import Kiln, Other
from bench.peers import PEERS, NoPeers, Peer
from bench.report import Report
from bench.sections.peers import run
from bench.sections.section import Bench
from tests.tools import lacks

_POSES = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

images = []

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        action, status = asked["Action"][0], 200
        wanted = {v[0] for name, v in asked.items() if name.startswith("ImageId.")}
        if action == "RegisterImage" and "Name" not in asked:
            status, body = 400, "<Code>MissingParameter</Code>"
        elif action == "RegisterImage":
            images.append(f"ami-{len(images):017x}")
            body = f"<imageId>{images[-1]}</imageId>"
        elif action == "DescribeImages":
            body = "".join(f"<imageId>{i}</imageId>" for i in images if i in wanted or not wanted)
        else:
            status, body = 400, "<Code>InvalidAction</Code>"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def poser(tmp_path):
    """One that hangs up after each answer, has no CreateImage and no pages, and 120 images."""
    # A program with a path of its own is taken as it is; the braces of this one are its own.
    peer = Peer("moto", "poser", (sys.executable, str(tmp_path / "poser.py"), "{port}"), {})
    (tmp_path / "poser.py").write_text(_POSES)
    with Other.serve(peer, tmp_path / "poser", None, images=120) as one:
        yield one


def test_versions_are_those_of_the_lock_file():
    assert [peer.title for peer in PEERS] == [f"moto {peers.pinned('moto')}", f"MiniStack {peers.pinned('ministack')}"]
    with pytest.raises(NoPeers, match="pins no boto2"):
        peers.pinned("boto2")


def test_says_how_they_get_here_where_they_are_not(tmp_path):
    with pytest.raises(NoPeers, match=r"no moto and no MiniStack in .*: \./kiln bench --peers installs them"):
        peers.check_installed(tmp_path)


def test_one_that_ends_before_it_answers_is_told_with_its_last_words(tmp_path):
    peer = Peer("moto", "ender", ("/bin/sh", "-c", "echo no room here; exit 3"), {})

    with (
        pytest.raises(RuntimeError, match=r"ender .* ended with 3 before it answered: no room here"),
        peers.start_peer(peer, tmp_path / "ender", None),
    ):
        pytest.fail("it cannot have answered")


def test_who_is_hung_up_on_calls_again(poser):
    requests = poser.of_snapshot(40)

    outcome = load.send(poser.server, requests, clients=4)

    assert (outcome.requests, outcome.failed) == (40, 0)
    assert len(outcome.latencies_ms) == 40


def test_refused_requests_are_counted(poser):
    outcome = load.send(poser.server, [peers.to_bytes(poser.server, "CreateImage", {})] * 3, clients=2)

    assert outcome.failed == 3


def test_what_one_lacks_is_told_by_what_it_answers(poser):
    assert poser.of_instance(5) == "does not have it (InvalidAction)"
    assert re.fullmatch(r"does not have it \(all 120 come, in \d+ ms\)", poser.page(5))
    assert len(poser.by_id(5)) == len(poser.by_ids(5)) == 5


def test_kiln_is_asked_for_what_it_is_measured_by(tmp_path):
    with Kiln.serve(tmp_path / "kiln", 120) as kiln:
        for requests in (kiln.of_snapshot(3), kiln.of_instance(3), kiln.by_id(3), kiln.by_ids(3), kiln.page(3)):
            assert load.send(kiln.server, requests, clients=2).failed == 0
        kiln.until_usable()


@pytest.mark.peers
def test_all_three_are_measured_and_what_is_told_of_them_is_so(tmp_path):
    try:
        peers.check_installed()
    except NoPeers:
        lacks(f"{peers.ENVIRONMENT.name}, which ./kiln bench --peers makes")
    said: list[str] = []

    run(Bench(tmp_path, Report(said.append), is_quick=True))

    rows = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in said if line.startswith("  | ")]
    table = {row[0].partition(",")[0]: row[1:] for row in rows}
    assert table[""] == [Kiln.title, *(peer.title for peer in PEERS)]
    assert table["an image of a stopped instance"][2] == "does not have it"
    assert table["a page of 100 images"][1:] == ["does not have it"] * 2
    measured = [cell for name, row in table.items() if name not in ("", "-") for cell in row if "-" not in cell]
    assert len([cell for cell in measured if re.fullmatch(r"[\d.,]+", cell)]) == 8 * 3 - 3
