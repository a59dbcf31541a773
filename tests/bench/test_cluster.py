"""What is measured over engines of a large installation: that it can be, and that nothing is left of it."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bench.bare import open_bare
from bench.load import spread
from bench.sections.doors import retried
from bench.server import Server
from tests.tools import needs

ROOT = Path(__file__).resolve().parent.parent.parent

_METRICS = b"""# HELP kiln_database_retries_total Transactions that were run again.
# TYPE kiln_database_retries_total counter
kiln_database_retries_total{reason="serialization"} 3.0
kiln_database_retries_total{reason="unique"} 2.0
kiln_database_retries_created{reason="unique"} 1.7e+09
kiln_process_info{host="one",role="api",worker="w"} 1.0
"""


class Tells(BaseHTTPRequestHandler):
    """A process that is asked what is measured."""

    def do_GET(self):
        self.send_response(200 if self.path == "/metrics" else 404)
        self.end_headers()
        self.wfile.write(_METRICS)

    def log_message(self, *_):
        pass


def test_each_server_is_sent_its_share():
    with ExitStack() as held:
        servers = [held.enter_context(open_bare(100, None)) for _ in range(3)]

        outcome = spread(servers, [{"Action": "DescribeImages"}] * 31, clients=6)

    assert (outcome.requests, outcome.failed, len(outcome.latencies_ms)) == (31, 0, 31)


def test_a_server_that_refuses_is_counted(tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as refusing, open_bare(100, None) as bare:
        Thread(target=refusing.serve_forever, daemon=True).start()
        other = Server(f"http://127.0.0.1:{refusing.server_port}", bare.pid, tmp_path, 0.0, None)

        outcome = spread([bare, other], [{"Action": "DescribeImages"}] * 20, clients=4)
        refusing.shutdown()

    assert (outcome.requests, outcome.failed) == (20, 10)


class Refuses(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_reads_of_all_processes_how_often_they_ran_something_again(tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), Tells) as telling:
        Thread(target=telling.serve_forever, daemon=True).start()
        one = Server(f"http://127.0.0.1:{telling.server_port}", 0, tmp_path, 0.0, None)

        assert retried([one, one]) == 10
        telling.shutdown()


@pytest.mark.ceph
@pytest.mark.postgresql
@pytest.mark.slow
def test_a_short_run_copies_nothing_and_leaves_nothing(tmp_path):
    needs("ceph-mon", "ceph-osd", "rbd", "setpriv", "qemu-img")
    command = [sys.executable, "-m", "bench", "--quick", "--section", "cluster", "--data", tmp_path]

    ended = subprocess.run(
        [*command, "--json", tmp_path / "figures.json"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures = {figure["what"]: figure for figure in json.loads((tmp_path / "figures.json").read_text())["figures"]}
    assert [figure["value"] for what, figure in figures.items() if "copied" in what or "left" in what] == [0, 0]
    assert all(figure["against"] for what, figure in figures.items() if "CreateImage" in what)
    assert list(tmp_path.iterdir()) == [tmp_path / "figures.json"]
