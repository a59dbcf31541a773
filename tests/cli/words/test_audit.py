"""``kiln audit``, before a served Kiln and beside it."""

from __future__ import annotations

import json
import os
import signal
from contextlib import closing

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from kiln.client.client import Client
from tests.warm import begin, start_kiln


@pytest.mark.slow
def test_shows_and_follows_what_an_account_changed(tmp_path):
    data = tmp_path / "data"
    with start_kiln(data) as kiln:
        env = {
            "KILN_ENDPOINT": kiln.endpoint,
            "KILN_ACCESS_KEY_ID": kiln.access_key_id,
            "KILN_ACCESS_KEY_SECRET": kiln.secret,
            "KILN_REGION": kiln.region,
        }

        def audit(*words: str) -> list[str]:
            result = CliRunner().invoke(app, ["audit", *words], env=env)
            assert result.exit_code == 0, result.output
            return result.stdout.splitlines()

        (reading, its), nowhere = os.pipe(), os.open(os.devnull, os.O_WRONLY)
        others = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
        with closing(Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)) as client:
            first = client.call("CreateDisk", ZoneId=f"{kiln.region}-a", Size=20)["DiskId"]
            following = begin(
                "audit", "--follow", "--name", "CreateDisk", "--json", stdout=its, stderr=nowhere, env=others | env
            )
            os.close(its)
            os.close(nowhere)
            with os.fdopen(reading) as told:
                try:
                    seen = json.loads(told.readline())
                    client.call("CreateVpc")
                    second = client.call("CreateDisk", ZoneId=f"{kiln.region}-a", Size=20, DiskName="logs")["DiskId"]
                    later = json.loads(told.readline())
                finally:
                    following.send_signal(signal.SIGINT)
                    assert following.wait(300) == exits.INTERRUPTED.number

        assert [event["responseElements"]["DiskId"] for event in (seen, later)] == [first, second]
        assert [line.split()[2:] for line in audit("--resource", second)] == [
            [kiln.access_key_id, "CreateDisk", second]
        ]
        assert audit("--noun", "disk", "--resource", "logs") == audit("--resource", second)
        unfound = CliRunner().invoke(app, ["audit", "--resource", "logs"], env=env)
        assert (unfound.stdout, "together with --noun" in unfound.stderr) == ("", True)
        unknown = CliRunner().invoke(app, ["audit", "--resource", "nothing", "--noun", "disk"], env=env)
        assert (unknown.exit_code, "no disk 'nothing'" in unknown.stderr) == (exits.REFUSED.number, True)
        assert [line.split()[3] for line in audit("--since", "1h")] == ["CreateDisk", "CreateVpc", "CreateDisk"]
        assert audit("--user", "nobody") == []
        assert audit("--data", str(data), "--json") == audit("--json")


def test_refuses_what_is_no_time():
    result = CliRunner().invoke(app, ["audit", "--since", "yesterday"])

    assert result.exit_code == exits.USAGE.number
    assert "24h" in result.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--resource", "web", "--noun", "vm"], "'vm' is none of image, instance, "),
        (["--noun", "disk"], "--noun says what --resource is"),
        (["--resource", "web", "--noun", "disk", "--data", "nowhere"], "give an ID"),
    ],
)
def test_refuses_a_name_that_cannot_be_looked_up(words, told):
    result = CliRunner().invoke(app, ["audit", *words])

    assert result.exit_code == exits.USAGE.number
    assert told in " ".join(result.stderr.split())
