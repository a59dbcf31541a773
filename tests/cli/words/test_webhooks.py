"""``kiln webhook``, before a served Kiln and a receiver."""

from __future__ import annotations

from contextlib import closing

import pytest
from typer.testing import CliRunner

from kiln.cli import exits
from kiln.cli.main import app
from kiln.client.client import Client
from tests.receivers import receiving
from tests.waiting import wait_for
from tests.warm import start_kiln


def words_of(kiln):
    """The words of ``kiln webhook``, before that Kiln."""
    told = {
        "KILN_ENDPOINT": kiln.endpoint,
        "KILN_ACCESS_KEY_ID": kiln.access_key_id,
        "KILN_ACCESS_KEY_SECRET": kiln.secret,
        "KILN_REGION": kiln.region,
    }
    return lambda *words: CliRunner(env=told).invoke(app, ["webhook", *words])


@pytest.mark.slow
def test_what_a_killed_service_had_to_tell_the_next_one_tells(tmp_path):
    named = tmp_path / "point"
    with (
        receiving() as receiver,
        start_kiln(tmp_path / "data", webhooks_to="127.0.0.1/32", kill_at=f"@{named}") as kiln,
    ):
        words = words_of(kiln)
        webhook, secret = words("create", receiver.url, "--type", "kiln:Disk:StateChange").stdout.split()
        tested = words("test", webhook)
        assert (tested.exit_code, tested.stdout) == (0, f"{receiver.url} answered 204\n")
        named.write_text("postman.sent")
        with closing(Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)) as client:
            made = client.call("CreateDisk", ZoneId=f"{kiln.region}-a", Size=20, DiskCategory="cloud_essd")["DiskId"]
        kiln.process.wait(300)
        named.unlink()
        kiln.start()
        wait_for(lambda: [came.event["data"].get("state") for came in receiver.came][-1] == "Available")

        test, *came = receiver.came
        assert test.event["type"] == "kiln:Webhook:Test"
        assert {one.event["data"]["resourceId"] for one in came} == {made}
        assert [one.event["data"]["state"] for one in {one.id: one for one in came}.values()] == [
            "Creating",
            "Available",
        ]
        assert len(came) > len({one.id for one in came})
        assert all(one.is_signed_with(secret) for one in receiver.came)

        receiver.answers = [500]
        failed = words("test", webhook)
        assert failed.exit_code == exits.FAILED_LATER.number
        assert "it answered 500" in failed.stderr
        assert "it answered 500" in words("list").stdout
        assert words("delete", webhook).exit_code == 0
        assert words("test", webhook).exit_code == exits.REFUSED.number
