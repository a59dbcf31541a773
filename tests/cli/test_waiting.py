"""Who waits while the service goes."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing

import pytest

from kiln.cli import exits
from kiln.client.client import Client
from tests.warm import start_kiln

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_is_told_that_the_work_is_taken_up_again_and_how_to_wait_for_it(tmp_path, is_elsewhere):
    """With --region where that is not what the shell has: the advice led to a region in which there is no such ID."""
    with start_kiln(tmp_path / "data") as kiln:
        told = {
            "KILN_ENDPOINT": kiln.endpoint,
            "KILN_ACCESS_KEY_ID": kiln.access_key_id,
            "KILN_ACCESS_KEY_SECRET": kiln.secret,
            "KILN_REGION": "cn-hangzhou" if is_elsewhere else kiln.region,
        }
        region = ["--region", kiln.region] if is_elsewhere else []
        client = Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)
        with closing(client):
            made = client.call("CreateDisk", ZoneId=f"{kiln.region}-a", Size=20, DiskCategory="cloud_essd")["DiskId"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "kiln.cli.main", "wait", made, "--gone", *region],
            stderr=subprocess.PIPE,
            text=True,
            env={**kept, **told},
        ) as waits:
            assert waits.stderr.readline().startswith(f"{made}  Available")
            kiln.stop()
            said = waits.stderr.read()

        assert waits.returncode == exits.UNREACHABLE.number
        assert "the service went while it was waited for" in said
        assert "an import or an export from its beginning" in said
        assert f"`{' '.join(['kiln', 'wait', made, '--gone', *region])}` waits again" in said
