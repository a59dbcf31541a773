"""``kiln events``, before a served Kiln."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from kiln.client.client import Client
from tests.warm import start_kiln


@pytest.mark.slow
def test_follows_what_is_asked_for_and_ends_without_a_word(tmp_path):
    with start_kiln(tmp_path / "data") as kiln:
        told = {
            "KILN_ENDPOINT": kiln.endpoint,
            "KILN_ACCESS_KEY_ID": kiln.access_key_id,
            "KILN_ACCESS_KEY_SECRET": kiln.secret,
            "KILN_REGION": kiln.region,
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
        of_disk = ["--resource", "data-1", "--region", kiln.region]
        begun = [
            subprocess.Popen(
                [sys.executable, "-P", "-m", "kiln.cli.main", "events", *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**kept, **told},
            )
            for words in (of_disk, ["--type", "kiln:Disk:*", "--json"])
        ]
        for one in begun:
            assert one.stderr.readline().startswith("kiln: listening")
        client = Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)
        with closing(client):
            zone = f"{kiln.region}-a"
            made = [
                client.call("CreateDisk", ZoneId=zone, Size=20, DiskCategory="cloud_essd", DiskName=name)["DiskId"]
                for name in ("data-0", "data-1")
            ]
        line = begun[0].stdout.readline()
        events = [json.loads(begun[1].stdout.readline()) for _ in range(4)]
        for one in begun:
            one.send_signal(signal.SIGINT)
            assert one.communicate()[1] == ""

        assert [one.returncode for one in begun] == [exits.INTERRUPTED.number] * 2
        assert line.split()[1:] == ["disk", made[1], "data-1", "Creating"]
        assert {event["data"]["resourceId"] for event in events} == set(made)
        assert {event["data"]["state"] for event in events} == {"Creating", "Available"}


def test_refuses_a_type_that_no_event_has():
    result = CliRunner().invoke(app, ["events", "--type", "ecs:Image:*"])

    assert result.exit_code == exits.USAGE.number
    assert "kiln:Image:StateChange" in result.stderr
