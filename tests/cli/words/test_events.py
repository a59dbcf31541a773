"""``kiln events``, before a served Kiln."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import NamedTuple, TextIO

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from kiln.client.client import Client
from tests.warm import Begun, begin, start_kiln


class Following(NamedTuple):
    begun: Begun
    told: TextIO
    said: TextIO


@contextmanager
def following(*words: str, env: dict[str, str]) -> Iterator[Following]:
    """``kiln events``, with what it prints."""
    (told, its_told), (said, its_said) = os.pipe(), os.pipe()
    begun = begin("events", *words, stdout=its_told, stderr=its_said, env=env)
    os.close(its_told)
    os.close(its_said)
    try:
        with os.fdopen(told) as output, os.fdopen(said) as errors:
            yield Following(begun, output, errors)
    finally:
        begun.kill()
        begun.wait()


@pytest.mark.slow
def test_follows_what_is_asked_for_and_ends_without_a_word(tmp_path):
    with start_kiln(tmp_path / "data") as kiln, ExitStack() as stack:
        told = {
            "KILN_ENDPOINT": kiln.endpoint,
            "KILN_ACCESS_KEY_ID": kiln.access_key_id,
            "KILN_ACCESS_KEY_SECRET": kiln.secret,
            "KILN_REGION": kiln.region,
        }
        env = {**{name: value for name, value in os.environ.items() if not name.startswith("KILN_")}, **told}
        of_one = stack.enter_context(following("--resource", "data-1", "--region", kiln.region, env=env))
        of_disks = stack.enter_context(following("--type", "kiln:Disk:*", "--json", env=env))
        for one in (of_one, of_disks):
            assert one.said.readline().startswith("kiln: listening")
        client = Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)
        with closing(client):
            zone = f"{kiln.region}-a"
            made = [
                client.call("CreateDisk", ZoneId=zone, Size=20, DiskCategory="cloud_essd", DiskName=name)["DiskId"]
                for name in ("data-0", "data-1")
            ]
        line = of_one.told.readline()
        events = [json.loads(of_disks.told.readline()) for _ in range(4)]
        for one in (of_one, of_disks):
            one.begun.send_signal(signal.SIGINT)
            assert one.begun.wait(300) == exits.INTERRUPTED.number
            assert one.said.read() == ""

        assert line.split()[1:] == ["disk", made[1], "data-1", "Creating"]
        assert {event["data"]["resourceId"] for event in events} == set(made)
        assert {event["data"]["state"] for event in events} == {"Creating", "Available"}


def test_refuses_a_type_that_no_event_has():
    result = CliRunner().invoke(app, ["events", "--type", "ecs:Image:*"])

    assert result.exit_code == exits.USAGE.number
    assert "kiln:Image:StateChange" in result.stderr
