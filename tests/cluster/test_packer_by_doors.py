"""Debian's Packer behind a balancer without a memory, whose every request comes to the other of two doors."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.acceptance.packer import FAR, REGION, TYPE
from tests.tools import needs
from tests.waiting import wait_for

pytestmark = [pytest.mark.postgresql, pytest.mark.slow, pytest.mark.sdk]

_ENDS_WITHIN_S = 600.0


class Balancer(ThreadingHTTPServer):
    """A proxy that hands each request to the next door, and remembers which it was and what came of it."""

    daemon_threads = True

    def __init__(self, doors):
        super().__init__(("127.0.0.1", 0), Passing)
        self.turns = itertools.cycle(enumerate(urlsplit(one.endpoint) for one in doors))
        self.passed = []  #: Of each request the door's number, the action and the status.
        self.one_at_a_time = threading.Lock()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Passing(BaseHTTPRequestHandler):
    """One request that is passed on as it came; nothing is tunnelled, as Packer does without."""

    protocol_version = "HTTP/1.1"

    def do_CONNECT(self):
        self.send_error(502)

    def do_POST(self):
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        action = parse_qs(urlsplit(self.path).query)["Action"][0]
        with self.server.one_at_a_time:
            number, door = next(self.server.turns)
            to = http.client.HTTPConnection(door.hostname, door.port)
            to.request("POST", self.path, content, {"Host": self.headers["Host"]})
            answer = to.getresponse()
            said = answer.read()
            to.close()
            self.server.passed.append((number, action, answer.status))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        """Keep standard error for what tests say."""


@contextmanager
def balancer(doors):
    made = Balancer(doors)
    serving = threading.Thread(target=made.serve_forever)
    serving.start()
    try:
        yield made
    finally:
        made.shutdown()
        serving.join()
        made.server_close()


def test_bakes_copies_and_clears_up_though_every_request_comes_to_another_door(deployed, tmp_path):
    """What one door has made the next is asked for at once, with the same ClientToken, too."""
    needs("packer")
    doors = [deployed.start(name, "api", regions=f"{REGION},{FAR}") for name in ("api-1", "api-2")]
    deployed.start("worker", "worker", regions=f"{REGION},{FAR}")
    source = deployed.an_image(deployed.caller(doors[0]))
    client = deployed.client(doors[0])
    template = {
        "type": "alicloud-ecs",
        "access_key": doors[0].access_key_id,
        "secret_key": doors[0].secret,
        "region": REGION,
        "source_image": source,
        "instance_type": TYPE,
        "image_name": "web-1",
        "communicator": "none",
        "ssh_password": "Pass-word-1",
        "user_data": "#!/bin/sh",  # So that it makes a VPC of its own.
        "tags": {"use": "web"},
        "image_copy_regions": [FAR],
        "image_copy_names": ["web-1"],
    }
    (tmp_path / "web.json").write_text(json.dumps({"builders": [template]}))

    with balancer(doors) as proxy:
        kept = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
        led = {"HTTP_PROXY": proxy.address, "HTTPS_PROXY": proxy.address, "CHECKPOINT_DISABLE": "1"}
        done = subprocess.run(
            ["packer", "build", "-color=false", "web.json"],
            capture_output=True, text=True, check=False, cwd=tmp_path, timeout=_ENDS_WITHIN_S,
            env={**kept, **led, "HOME": str(tmp_path), "PACKER_CACHE_DIR": str(tmp_path)},
        )  # fmt: skip
        passed = list(proxy.passed)

    assert done.returncode == 0, done.stdout
    assert [one for one in passed if one[2] != 200] == []
    assert [number for number, _, _ in passed] == [n % 2 for n in range(len(passed))]
    asked_for = {action for _, action, _ in passed}
    assert asked_for >= {"CreateVpc", "CreateInstance", "CreateImage", "AddTags", "CopyImage", "DeleteVpc"}

    def statuses():
        return [
            image["Status"]
            for region in (REGION, FAR)
            for image in client.call("DescribeImages", RegionId=region, ImageName="web-1", Status="ALL")["Images"][
                "Image"
            ]
        ]

    wait_for(lambda: statuses() == ["Available", "Available"])
    assert client.call("DescribeInstances")["TotalCount"] == 0
    assert [one for one in client.call("DescribeVpcs")["Vpcs"]["Vpc"] if not one["IsDefault"]] == []
